/* SPDX-License-Identifier: MIT */
/* Room of the ring that messages hold, and the buffers that look at it. */
#include "extension.h"

#include <stdlib.h>

hold *hold_make(reader *of, uint64_t begin, uint64_t end) {
    hold *made = calloc(1, sizeof *made);
    if (made == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    made->of = of;
    made->references = 1;
    made->begin = begin;
    made->end = end;
    reader_keep(of);
    reader_hold(of);
    return made;
}

void hold_keep(hold *of) {
    ++of->references;
}

void hold_let_go(hold *of) {
    if (of == NULL || --of->references != 0) {
        return;
    }
    hold_release(of);
    if (of->references == 0) { /* else it is postponed */
        reader_let_go(of->of);
        free(of);
    }
}

bool hold_is_whole(const hold *of, uint64_t offset) {
    if (of->is_released) {
        return of->was_whole;
    }
    return shelter_is_own(&of->of->memory) && reader_is_whole(of->of, offset);
}

static void give_back(const hold *of) {
    if (of->record != 0) {
        reader_drop_record(of->of, of->record, of->record_offset);
    }
    reader_release(of->of, of->begin, of->end);
}

void hold_release(hold *of) {
    if (of->is_released) {
        return;
    }
    of->was_whole = hold_is_whole(of, of->begin);
    of->is_released = true;
    if (!shelter_is_own(&of->of->memory)) {
        return;
    }
    if (of->of->is_busy) {
        hold_keep(of);
        of->next_postponed = of->of->postponed;
        of->of->postponed = of;
        return;
    }
    give_back(of);
}

void hold_settle_postponed(reader *of) {
    while (of->postponed != NULL) {
        hold *first = of->postponed;
        of->postponed = first->next_postponed;
        give_back(first);
        hold_let_go(first);
    }
}

int hold_fill_buffer(const state *module, hold *of, PyObject *exporter, Py_buffer *view,
                     const char *base, uint64_t size, int flags) {
    view->obj = NULL;
    if (of->is_released) {
        fail(module, result_closed, "looking at a message that was released");
        return -1;
    }
    if (!shelter_is_own(&of->of->memory)) {
        fail(module, result_forked, "looking at a message");
        return -1;
    }
    if (PyBuffer_FillInfo(view, exporter, (void *)base, (Py_ssize_t)size, 1, flags) < 0) {
        return -1;
    }
    ++of->exports;
    shelter_export(&of->of->memory);
    return 0;
}

void hold_release_buffer(hold *of) {
    --of->exports;
    shelter_give_back(&of->of->memory);
}
