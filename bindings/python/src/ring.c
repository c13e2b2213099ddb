/* SPDX-License-Identifier: MIT */
/* A producer's ring. It lives as long as its producer object, and as long as a view of it. */
#include "extension.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

ring *ring_make(const zbq_producer_params *params, int *result) {
    ring *made = calloc(1, sizeof *made);
    *result = ZBQ_ERROR_NOMEM;
    if (made == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS; /* it allocates all of the memory */
    *result = zbq_producer_create(&made->handle, params);
    Py_END_ALLOW_THREADS;
    if (*result != ZBQ_OK) {
        free(made);
        return NULL;
    }
    made->references = 1;
    made->window = zbq_producer_window(made->handle);
    /* The head is 0: what comes next lies where the ring begins, and it is mapped twice. */
    shelter_init(&made->memory, made->window->next, 2 * params->ring_capacity);
    return made;
}

void ring_keep(ring *of) {
    ++of->references;
}

void ring_let_go(ring *of) {
    if (of != NULL && --of->references == 0) {
        zbq_producer_destroy(of->handle); /* in a forked child it leaves the stream alone */
        free(of);
    }
}

int ring_check(const ring *of) {
    return of == NULL || of->is_closed    ? result_closed
           : !shelter_is_own(&of->memory) ? result_forked
           : of->is_busy                  ? result_busy
                                          : ZBQ_OK;
}

int ring_check_room(const ring *of) {
    const int result = ring_check(of);
    return result == ZBQ_OK && of->memory.exports != 0 ? result_view_is_out : result;
}

uint64_t message_size(uint64_t payload) {
    const uint64_t mask = ZBQ_MSG_ALIGN - 1;
    return payload > UINT32_MAX ? 0 : (sizeof(zbq_msg_header) + payload + mask) & ~mask;
}

void write_header(char *at, uint64_t payload, unsigned flags, unsigned fd_count, uint64_t seq_id) {
    const zbq_msg_header header = {(uint32_t)payload, (uint8_t)fd_count, (uint8_t)flags, 0, seq_id};
    memcpy(at, &header, sizeof header);
}

void ring_copy(ring *of, char *to, const void *from, uint64_t size) {
    const uint64_t long_one = UINT64_C(1) << 18U;
    if (size < long_one) {
        memcpy(to, from, size);
        return;
    }
    of->is_busy = true;
    Py_BEGIN_ALLOW_THREADS;
    memcpy(to, from, size);
    Py_END_ALLOW_THREADS;
    of->is_busy = false;
}

/* ---- waiting ------------------------------------------------------------ */

static int sleep_for(ring *of, int fd, int timeout) {
    struct pollfd ready = {fd, POLLIN, 0};
    int result = 0;
    of->is_busy = true;
    Py_BEGIN_ALLOW_THREADS;
    result = poll(&ready, 1, timeout);
    Py_END_ALLOW_THREADS;
    of->is_busy = false;
    return result >= 0 || errno == EINTR ? ZBQ_OK : ZBQ_ERROR_IO;
}

static int serve_for(PyObject *server, int fd, int timeout) {
    PyObject *result = PyObject_CallMethod(server, "_serve_beside", "ii", fd, timeout);
    Py_XDECREF(result);
    return result != NULL ? ZBQ_OK : result_raised;
}

int ring_wait(ring *of, uint64_t deadline, PyObject *server) {
    const int fd = zbq_producer_event_fd(of->handle);
    if (fd < 0) {
        return fd;
    }
    if (left_until(deadline) == 0) {
        return ZBQ_ERROR_AGAIN;
    }
    const int timeout = poll_timeout(deadline);
    const int result = server != NULL ? serve_for(server, fd, timeout) : sleep_for(of, fd, timeout);
    if (result != ZBQ_OK) {
        return result;
    }
    return PyErr_CheckSignals() < 0 ? result_raised : ZBQ_OK;
}
