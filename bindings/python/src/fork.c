/* SPDX-License-Identifier: MIT */
/* What becomes of handles and of views in a forked child.
 *
 * The library's mappings are not there in a child. A handle knows by its number of generation that
 * it is the parent's. A view that came along would fault: so the child maps zeros where views may
 * look. */
#include "extension.h"

#include <pthread.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static unsigned long generation; /* counts forks on the way to this process */
static shelter *exported;        /* those with views out, whose makers this process is or was */

static void enter_child(void) {
    ++generation;
    for (shelter *at = exported; at != NULL; at = at->next) {
        if (at->generation + 1 == generation) { /* a grandchild has the zeros already */
            /* Where something else lies there by now a view reads that: it does not fault. */
            (void)mmap((void *)at->base, at->size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        }
    }
}

bool prepare_for_forks(void) {
    static bool is_prepared;
    if (!is_prepared && pthread_atfork(NULL, NULL, enter_child) != 0) {
        PyErr_NoMemory();
        return false;
    }
    is_prepared = true;
    return true;
}

unsigned long fork_generation(void) {
    return generation;
}

void shelter_init(shelter *place, const char *base, uint64_t size) {
    *place = (shelter){.base = base, .size = size, .generation = generation};
}

bool shelter_is_own(const shelter *place) {
    return place->generation == generation;
}

void shelter_export(shelter *place) {
    if (place->exports++ != 0) {
        return;
    }
    place->previous = NULL;
    place->next = exported;
    if (exported != NULL) {
        exported->previous = place;
    }
    exported = place;
}

void shelter_give_back(shelter *place) {
    if (--place->exports != 0) {
        return;
    }
    if (place->previous != NULL) {
        place->previous->next = place->next;
    } else {
        exported = place->next;
    }
    if (place->next != NULL) {
        place->next->previous = place->previous;
    }
}
