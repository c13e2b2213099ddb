/* SPDX-License-Identifier: MIT */
/* The calls of a producer that publish. Each gives the offset where its first message starts. */
#include "producer.h"

#include <stdlib.h>
#include <string.h>

/* ---- one message -------------------------------------------------------- */

struct message {
    Py_buffer payload;
    uint64_t flags;
    descriptor_list descriptors;
    uint64_t seq_id; /* once descriptors were sent for it */
    uint64_t offset; /* once it is published */
};

static int find_room(ring *of, uint64_t payload, char **place) {
    const uint64_t bytes = message_size(payload);
    ++of->reservations;
    void *found = NULL;
    const int result =
        bytes == 0 ? ZBQ_ERROR_OVERFLOW : zbq_window_reserve(of->window, bytes, &found);
    *place = found;
    return result;
}

static int send_descriptors(ring *of, struct message *what) {
    if (what->descriptors.count == 0) {
        return ZBQ_OK;
    }
    if (what->seq_id == 0) {
        what->seq_id = zbq_producer_next_seq_id(of->handle);
    }
    return zbq_producer_broadcast_fds(of->handle, what->seq_id, what->descriptors.numbers,
                                      what->descriptors.count);
}

static int attempt_message(ring *of, void *context) {
    struct message *what = context;
    const uint64_t size = (uint64_t)what->payload.len;
    char *place = NULL;
    int result = find_room(of, size, &place);
    if (result == ZBQ_OK) {
        result = send_descriptors(of, what); /* first: who sees the message has them */
    }
    if (result != ZBQ_OK) {
        return result;
    }
    write_header(place, size, (unsigned)what->flags, what->descriptors.count, what->seq_id);
    ring_copy(of, place + sizeof(zbq_msg_header), what->payload.buf, size);
    what->offset = of->window->head;
    return zbq_window_commit(of->window, message_size(size)) ? ZBQ_OK : ZBQ_ERROR_INVALID;
}

PyObject *producer_try_publish(PyObject *self, PyObject *const *args, Py_ssize_t count,
                               PyObject *names) {
    static const char *const parameters[] = {"payload", "flags", NULL};
    static const signature call = {"try_publish", parameters, 1, 2};
    PyObject *given[2];
    struct message what;
    what.flags = what.seq_id = what.descriptors.count = 0;
    if (!take_arguments(&call, args, count, names, given) ||
        !take_unsigned(given[1], "flags", UINT8_MAX, &what.flags) ||
        PyObject_GetBuffer(given[0], &what.payload, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    const int result = producer_try((producer_object *)self, attempt_message, &what, 0);
    PyBuffer_Release(&what.payload);
    if (result == ZBQ_OK || result == ZBQ_ERROR_AGAIN) {
        return PyBool_FromLong(result == ZBQ_OK);
    }
    return fail(((producer_object *)self)->module, result, "publishing");
}

PyObject *producer_publish(PyObject *self, PyObject *const *args, Py_ssize_t count,
                           PyObject *names) {
    static const char *const parameters[] = {"payload", "fds", "flags", "timeout", NULL};
    static const signature call = {"publish", parameters, 1, 1};
    PyObject *given[4];
    struct message what;
    uint64_t deadline = 0;
    const state *module = ((producer_object *)self)->module;
    what.flags = what.seq_id = 0;
    if (!take_arguments(&call, args, count, names, given) ||
        !take_descriptors(module, given[1], &what.descriptors) ||
        !take_unsigned(given[2], "flags", UINT8_MAX, &what.flags) ||
        !take_deadline(given[3], &deadline) ||
        PyObject_GetBuffer(given[0], &what.payload, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    const int result = producer_try((producer_object *)self, attempt_message, &what, deadline);
    PyBuffer_Release(&what.payload);
    return result == ZBQ_OK ? PyLong_FromUnsignedLongLong(what.offset)
                            : fail(module, result, "publishing");
}

/* ---- many in one commit ------------------------------------------------- */

struct many {
    const Py_buffer *payloads;
    Py_ssize_t count;
    uint64_t bytes; /* that all of them take; 0: more than can be */
    uint64_t flags;
    uint64_t offset;
};

static int attempt_many(ring *of, void *context) {
    struct many *what = context;
    void *place = NULL;
    ++of->reservations;
    const int result =
        what->bytes == 0 ? ZBQ_ERROR_OVERFLOW : zbq_window_reserve(of->window, what->bytes, &place);
    if (result != ZBQ_OK) {
        return result;
    }
    what->offset = of->window->head;
    char *at = place;
    for (Py_ssize_t i = 0; i < what->count; ++i) {
        const uint64_t size = (uint64_t)what->payloads[i].len;
        write_header(at, size, (unsigned)what->flags, 0, 0);
        ring_copy(of, at + sizeof(zbq_msg_header), what->payloads[i].buf, size);
        at += message_size(size);
    }
    return zbq_window_commit(of->window, what->bytes) ? ZBQ_OK : ZBQ_ERROR_INVALID;
}

static uint64_t bytes_of_all(const Py_buffer *payloads, Py_ssize_t count) {
    uint64_t bytes = 0;
    for (Py_ssize_t i = 0; i < count; ++i) {
        const uint64_t one = message_size((uint64_t)payloads[i].len);
        if (one == 0) {
            return 0;
        }
        bytes += one;
    }
    return bytes;
}

/* The bytes of bytes itself without a buffer, which takes longer than to copy them. */
static bool take_payload(PyObject *from, Py_buffer *out) {
    if (PyBytes_CheckExact(from)) {
        char *text = NULL;
        out->obj = NULL;
        const int done = PyBytes_AsStringAndSize(from, &text, &out->len);
        out->buf = text;
        return done == 0;
    }
    return PyObject_GetBuffer(from, out, PyBUF_SIMPLE) == 0;
}

static void release_payloads(Py_buffer *payloads, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; ++i) {
        if (payloads[i].obj != NULL) {
            PyBuffer_Release(&payloads[i]);
        }
    }
    PyMem_Free(payloads);
}

/* How many were taken; fewer than there are with an exception. */
static Py_ssize_t take_payloads(PyObject *all, Py_buffer *out, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; ++i) {
        if (!take_payload(PyTuple_GetItem(all, i), &out[i])) {
            return i;
        }
    }
    return count;
}

static PyObject *publish_all(producer_object *self, PyObject *all, uint64_t flags,
                             uint64_t deadline) {
    const Py_ssize_t count = PyTuple_Size(all);
    Py_buffer *payloads = PyMem_Calloc((size_t)count + 1, sizeof *payloads);
    if (payloads == NULL) {
        return PyErr_NoMemory();
    }
    const Py_ssize_t taken = take_payloads(all, payloads, count);
    struct many what = {payloads, count, bytes_of_all(payloads, taken), flags, 0};
    int result = taken == count ? ring_check_room(self->of) : result_raised;
    if (result == ZBQ_OK) {
        what.offset = self->of->window->head;
        result = count == 0 ? ZBQ_OK : producer_try(self, attempt_many, &what, deadline);
    }
    release_payloads(payloads, taken);
    return result == ZBQ_OK ? PyLong_FromUnsignedLongLong(what.offset)
                            : fail(self->module, result, "publishing several");
}

PyObject *producer_publish_many(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                PyObject *names) {
    static const char *const parameters[] = {"payloads", "flags", "timeout", NULL};
    static const signature call = {"publish_many", parameters, 1, 1};
    PyObject *given[3];
    uint64_t flags = 0;
    uint64_t deadline = 0;
    if (!take_arguments(&call, args, count, names, given) ||
        !take_unsigned(given[1], "flags", UINT8_MAX, &flags) ||
        !take_deadline(given[2], &deadline)) {
        return NULL;
    }
    PyObject *all = PySequence_Tuple(given[0]);
    if (all == NULL) {
        return NULL;
    }
    PyObject *result = publish_all((producer_object *)self, all, flags, deadline);
    Py_DECREF(all);
    return result;
}

/* ---- the items of a buffer ---------------------------------------------- */

struct items {
    const char *from;
    uint64_t count, size;
    uint64_t flags;
    uint64_t offset;
};

static int attempt_items(ring *of, void *context) {
    struct items *what = context;
    const uint64_t one = message_size(what->size);
    void *place = NULL;
    ++of->reservations;
    const int result = one == 0 || what->count > UINT64_MAX / one
                           ? ZBQ_ERROR_OVERFLOW
                           : zbq_window_reserve(of->window, one * what->count, &place);
    if (result != ZBQ_OK) {
        return result;
    }
    what->offset = of->window->head;
    char *at = place;
    for (uint64_t i = 0; i < what->count; ++i, at += one) {
        write_header(at, what->size, (unsigned)what->flags, 0, 0);
        memcpy(at + sizeof(zbq_msg_header), what->from + i * what->size, what->size);
    }
    return zbq_window_commit(of->window, one * what->count) ? ZBQ_OK : ZBQ_ERROR_INVALID;
}

static PyObject *publish_buffer(producer_object *self, const Py_buffer *all, struct items *what,
                                uint64_t deadline) {
    if (what->size == 0 || (uint64_t)all->len % what->size != 0) {
        PyErr_Format(self->module->invalid, "%zd bytes are no whole number of items of %llu bytes",
                     all->len, (unsigned long long)what->size);
        return NULL;
    }
    what->from = all->buf;
    what->count = (uint64_t)all->len / what->size;
    int result = ring_check_room(self->of);
    if (result == ZBQ_OK) {
        what->offset = self->of->window->head;
        result = what->count == 0 ? ZBQ_OK : producer_try(self, attempt_items, what, deadline);
    }
    return result == ZBQ_OK ? PyLong_FromUnsignedLongLong(what->offset)
                            : fail(self->module, result, "publishing items");
}

PyObject *producer_publish_items(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                 PyObject *names) {
    static const char *const parameters[] = {"items", "size", "flags", "timeout", NULL};
    static const signature call = {"publish_items", parameters, 2, 2};
    PyObject *given[4];
    struct items what = {NULL, 0, 0, 0, 0};
    uint64_t deadline = 0;
    Py_buffer all;
    if (!take_arguments(&call, args, count, names, given) ||
        !take_unsigned(given[1], "size", UINT32_MAX, &what.size) ||
        !take_unsigned(given[2], "flags", UINT8_MAX, &what.flags) ||
        !take_deadline(given[3], &deadline) ||
        PyObject_GetBuffer(given[0], &all, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *result = publish_buffer((producer_object *)self, &all, &what, deadline);
    PyBuffer_Release(&all);
    return result;
}

/* ---- in place ----------------------------------------------------------- */

static int attempt_room(ring *of, void *context) {
    const uint64_t *bytes = context;
    void *place = NULL;
    ++of->reservations;
    return *bytes == 0 ? ZBQ_ERROR_OVERFLOW : zbq_window_reserve(of->window, *bytes, &place);
}

PyObject *producer_reserve(PyObject *self, PyObject *const *args, Py_ssize_t count,
                           PyObject *names) {
    static const char *const parameters[] = {"size", "flags", "timeout", NULL};
    static const signature call = {"reserve", parameters, 1, 1};
    PyObject *given[3];
    uint64_t size = 0;
    uint64_t flags = 0;
    uint64_t deadline = 0;
    producer_object *producer = (producer_object *)self;
    if (!take_arguments(&call, args, count, names, given) ||
        !take_unsigned(given[0], "size", UINT64_MAX, &size) ||
        !take_unsigned(given[1], "flags", UINT8_MAX, &flags) ||
        !take_deadline(given[2], &deadline)) {
        return NULL;
    }
    uint64_t bytes = message_size(size);
    const int result = producer_try(producer, attempt_room, &bytes, deadline);
    return result == ZBQ_OK
               ? reservation_make(producer->module, producer->of, size, flags, deadline)
               : fail(producer->module, result, "reserving room");
}

PyObject *producer_batch(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const char *const parameters[] = {"size", "timeout", NULL};
    static const signature call = {"batch", parameters, 1, 1};
    PyObject *given[2];
    uint64_t bytes = 0;
    uint64_t deadline = 0;
    producer_object *producer = (producer_object *)self;
    if (!take_arguments(&call, args, count, names, given) ||
        !take_unsigned(given[0], "size", UINT64_MAX, &bytes) ||
        !take_deadline(given[1], &deadline)) {
        return NULL;
    }
    if (bytes == 0) {
        return fail(producer->module, ZBQ_ERROR_INVALID, "reserving room of 0 bytes");
    }
    const int result = producer_try(producer, attempt_room, &bytes, deadline);
    return result == ZBQ_OK ? batch_make(producer->module, producer->of, bytes)
                            : fail(producer->module, result, "reserving room");
}

PyObject *producer_wait_for_room(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                 PyObject *names) {
    static const char *const parameters[] = {"timeout", NULL};
    static const signature call = {"wait_for_room", parameters, 0, 1};
    PyObject *given[1];
    uint64_t deadline = 0;
    producer_object *producer = (producer_object *)self;
    if (!take_arguments(&call, args, count, names, given) || !take_deadline(given[0], &deadline)) {
        return NULL;
    }
    ring *of = producer_ring(producer, "waiting for room");
    if (of == NULL) {
        return NULL;
    }
    ring_keep(of);
    const int result = ring_wait(of, deadline, producer->serves ? self : NULL);
    ring_let_go(of);
    if (result == ZBQ_OK || result == ZBQ_ERROR_AGAIN) {
        return PyBool_FromLong(result == ZBQ_OK);
    }
    return fail(producer->module, result, "waiting for room");
}
