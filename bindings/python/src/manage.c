/* SPDX-License-Identifier: MIT */
/* The calls of a producer about its consumers, what is retained, and how it stands. */
#include "producer.h"

#include <string.h>

static producer_object *as_producer(PyObject *self) {
    return (producer_object *)self;
}

/* ---- retained messages -------------------------------------------------- */

struct retained {
    Py_buffer payload;
    uint64_t key;
    uint64_t flags;
    descriptor_list descriptors;
    zbq_msg_header header;
    bool is_sent; /* the record */
};

static int attempt_retain(ring *of, void *context) {
    struct retained *what = context;
    if (!what->is_sent) {
        const int sent = zbq_producer_broadcast_fds(
            of->handle, what->header.seq_id, what->descriptors.numbers, what->descriptors.count);
        if (sent != ZBQ_OK) {
            return sent;
        }
        what->is_sent = true;
    }
    ++of->reservations;
    return zbq_producer_retain(of->handle, (uint16_t)what->key, &what->header, what->payload.buf,
                               what->descriptors.numbers);
}

static int retain(producer_object *self, struct retained *what, uint64_t deadline) {
    const int result = ring_check_room(self->of);
    if (result != ZBQ_OK) {
        return result;
    }
    if ((uint64_t)what->payload.len > UINT32_MAX) {
        return ZBQ_ERROR_OVERFLOW;
    }
    const uint8_t count = what->descriptors.count;
    const uint64_t id = count != 0 ? zbq_producer_next_seq_id(self->of->handle) : 0;
    what->header =
        (zbq_msg_header){(uint32_t)what->payload.len, count, (uint8_t)what->flags, 0, id};
    return producer_try(self, attempt_retain, what, deadline);
}

PyObject *producer_retain(PyObject *self, PyObject *const *args, Py_ssize_t count,
                          PyObject *names) {
    static const char *const parameters[] = {"key", "payload", "fds", "flags", "timeout", NULL};
    static const signature call = {"retain", parameters, 2, 2};
    PyObject *given[5];
    struct retained what;
    uint64_t deadline = 0;
    what.key = what.flags = 0;
    what.is_sent = false;
    if (!take_arguments(&call, args, count, names, given) ||
        !take_unsigned(given[0], "key", UINT16_MAX, &what.key) ||
        !take_descriptors(as_producer(self)->module, given[2], &what.descriptors) ||
        !take_unsigned(given[3], "flags", UINT8_MAX, &what.flags) ||
        !take_deadline(given[4], &deadline) ||
        PyObject_GetBuffer(given[1], &what.payload, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    const int result = retain(as_producer(self), &what, deadline);
    PyBuffer_Release(&what.payload);
    return producer_result(as_producer(self), result, "retaining a message");
}

static int attempt_forget(ring *of, void *context) {
    const uint64_t *key = context;
    ++of->reservations;
    return zbq_producer_forget(of->handle, (uint16_t)*key);
}

PyObject *producer_forget(PyObject *self, PyObject *const *args, Py_ssize_t count,
                          PyObject *names) {
    static const char *const parameters[] = {"key", "timeout", NULL};
    static const signature call = {"forget", parameters, 1, 1};
    PyObject *given[2];
    uint64_t key = 0;
    uint64_t deadline = 0;
    if (!take_arguments(&call, args, count, names, given) ||
        !take_unsigned(given[0], "key", UINT16_MAX, &key) || !take_deadline(given[1], &deadline)) {
        return NULL;
    }
    const int result = producer_try(as_producer(self), attempt_forget, &key, deadline);
    return producer_result(as_producer(self), result, "forgetting a message");
}

/* ---- what was let go ---------------------------------------------------- */

static int attempt_released(ring *of, void *context) {
    const uint64_t *offset = context;
    return zbq_producer_released(of->handle, *offset);
}

static PyObject *ask_released(PyObject *self, PyObject *offset_given, uint64_t deadline) {
    uint64_t offset = 0;
    if (!take_unsigned(offset_given, "offset", UINT64_MAX, &offset)) {
        return NULL;
    }
    const int result = producer_try(as_producer(self), attempt_released, &offset, deadline);
    if (result == ZBQ_OK || result == ZBQ_ERROR_AGAIN) {
        return PyBool_FromLong(result == ZBQ_OK);
    }
    return fail(as_producer(self)->module, result, "asking what was released");
}

PyObject *producer_released(PyObject *self, PyObject *const *args, Py_ssize_t count,
                            PyObject *names) {
    static const char *const parameters[] = {"offset", NULL};
    static const signature call = {"released", parameters, 1, 1};
    PyObject *given[1];
    return take_arguments(&call, args, count, names, given) ? ask_released(self, given[0], 0)
                                                            : NULL;
}

PyObject *producer_wait_released(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                 PyObject *names) {
    static const char *const parameters[] = {"offset", "timeout", NULL};
    static const signature call = {"wait_released", parameters, 1, 1};
    PyObject *given[2];
    uint64_t deadline = 0;
    return take_arguments(&call, args, count, names, given) && take_deadline(given[1], &deadline)
               ? ask_released(self, given[0], deadline)
               : NULL;
}

/* ---- consumers ---------------------------------------------------------- */

static bool take_start(const state *module, PyObject *at, PyObject *offset, PyObject *id,
                       zbq_start *out) {
    uint64_t where = 0;
    *out = (zbq_start){0};
    if (!take_unsigned(at, "start", ZBQ_START_WITHIN, &where) ||
        !take_unsigned(offset, "offset", UINT64_MAX, &out->offset)) {
        return false;
    }
    out->at = (uint32_t)where;
    if (id == NULL) {
        return true;
    }
    char *bytes = NULL;
    Py_ssize_t size = 0;
    if (PyBytes_AsStringAndSize(id, &bytes, &size) < 0) {
        return false;
    }
    if (size != (Py_ssize_t)sizeof out->ring_id) {
        PyErr_Format(module->invalid, "a ring's id has 16 bytes, not %zd", size);
        return false;
    }
    memcpy(out->ring_id, bytes, sizeof out->ring_id);
    return true;
}

PyObject *producer_admit(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const char *const parameters[] = {"socket", "mode", "at", "offset", "ring_id", NULL};
    static const signature call = {"admit", parameters, 2, 5};
    PyObject *given[5];
    zbq_start start;
    uint64_t mode = 0;
    uint32_t slot = 0;
    if (!take_arguments(&call, args, count, names, given) ||
        !take_unsigned(given[1], "mode", ZBQ_OBSERVE_PULL, &mode) ||
        !take_start(as_producer(self)->module, given[2], given[3], given[4], &start)) {
        return NULL;
    }
    const int socket = PyObject_AsFileDescriptor(given[0]);
    ring *of = socket < 0 ? NULL : producer_ring(as_producer(self), "admitting a consumer");
    if (of == NULL) {
        return NULL;
    }
    const int result = zbq_producer_admit(of->handle, socket, (zbq_wakeup_mode)mode, &start, &slot);
    return result == ZBQ_OK ? PyLong_FromUnsignedLong(slot)
                            : fail(as_producer(self)->module, result, "admitting a consumer");
}

PyObject *producer_find_start(PyObject *self, PyObject *const *args, Py_ssize_t count,
                              PyObject *names) {
    static const char *const parameters[] = {"at", "offset", "ring_id", NULL};
    static const signature call = {"find_start", parameters, 1, 3};
    PyObject *given[3];
    zbq_start start;
    uint64_t offset = 0;
    if (!take_arguments(&call, args, count, names, given) ||
        !take_start(as_producer(self)->module, given[0], given[1], given[2], &start)) {
        return NULL;
    }
    ring *of = producer_ring(as_producer(self), "looking for a start");
    if (of == NULL) {
        return NULL;
    }
    const int result = zbq_producer_find_start(of->handle, &start, &offset);
    return result == ZBQ_OK ? PyLong_FromUnsignedLongLong(offset)
                            : fail(as_producer(self)->module, result, "looking for a start");
}

PyObject *producer_set_patience(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                PyObject *names) {
    static const char *const parameters[] = {"at_once", "per_second", "slot", NULL};
    static const signature call = {"set_patience", parameters, 1, 2};
    PyObject *given[3];
    zbq_patience limit = {0, 0};
    uint64_t slot = ZBQ_ALL_CONSUMERS;
    if (!take_arguments(&call, args, count, names, given)) {
        return NULL;
    }
    const bool is_limited = given[0] != Py_None;
    if ((is_limited && !take_nanoseconds(given[0], "at_once", &limit.at_once_ns)) ||
        !take_nanoseconds(given[1], "per_second", &limit.per_second_ns) ||
        (given[2] != Py_None && !take_unsigned(given[2], "slot", UINT32_MAX - 1, &slot))) {
        return NULL;
    }
    ring *of = producer_ring(as_producer(self), "setting a patience");
    if (of == NULL) {
        return NULL;
    }
    const int result =
        zbq_producer_set_patience(of->handle, (uint32_t)slot, is_limited ? &limit : NULL);
    return producer_result(as_producer(self), result, "setting a patience");
}

PyObject *producer_set_type(PyObject *self, PyObject *const *args, Py_ssize_t count,
                            PyObject *names) {
    static const char *const parameters[] = {"hash", "size", "align", NULL};
    static const signature call = {"set_type", parameters, 3, 3};
    PyObject *given[3];
    uint64_t hash = 0;
    uint64_t size = 0;
    uint64_t align = 0;
    if (!take_arguments(&call, args, count, names, given) ||
        !take_unsigned(given[0], "hash", UINT64_MAX, &hash) ||
        !take_unsigned(given[1], "size", UINT32_MAX, &size) ||
        !take_unsigned(given[2], "align", ZBQ_MSG_ALIGN, &align)) {
        return NULL;
    }
    ring *of = producer_ring(as_producer(self), "setting a type");
    if (of == NULL) {
        return NULL;
    }
    const zbq_type type = {hash, (uint32_t)size, (uint32_t)align};
    return producer_result(as_producer(self), zbq_producer_set_type(of->handle, &type),
                           "setting a type");
}

PyObject *producer_consumer_info(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                 PyObject *names) {
    static const char *const parameters[] = {"slot", NULL};
    static const signature call = {"consumer_info", parameters, 1, 1};
    PyObject *given[1];
    uint64_t slot = 0;
    zbq_consumer_info info = {0};
    if (!take_arguments(&call, args, count, names, given) ||
        !take_unsigned(given[0], "slot", UINT32_MAX, &slot)) {
        return NULL;
    }
    ring *of = producer_ring(as_producer(self), "asking for a consumer");
    if (of == NULL) {
        return NULL;
    }
    const int result = zbq_producer_consumer_info(of->handle, (uint32_t)slot, &info);
    return result == ZBQ_OK || result == ZBQ_ERROR_NOENT
               ? consumer_information(&info)
               : fail(as_producer(self)->module, result, "asking for a consumer");
}

PyObject *producer_event_fd(PyObject *self, PyObject *unused) {
    (void)unused;
    ring *of = producer_ring(as_producer(self), "making a descriptor to wait for");
    if (of == NULL) {
        return NULL;
    }
    const int fd = zbq_producer_event_fd(of->handle);
    return fd < 0 ? fail(as_producer(self)->module, fd, "making a descriptor to wait for")
                  : PyLong_FromLong(fd);
}

PyObject *producer_scan(PyObject *self, PyObject *unused) {
    (void)unused;
    ring *of = producer_ring(as_producer(self), "scanning");
    return of == NULL
               ? NULL
               : producer_result(as_producer(self), zbq_producer_scan(of->handle), "scanning");
}

/* ---- statistics --------------------------------------------------------- */

PyObject *producer_counters(PyObject *self, PyObject *unused) {
    (void)unused;
    zbq_producer_statistics counters = {0};
    ring *of = producer_ring(as_producer(self), "asking for statistics");
    if (of == NULL) {
        return NULL;
    }
    const int result = zbq_producer_stats(of->handle, &counters);
    return result == ZBQ_OK ? producer_statistics(&counters)
                            : fail(as_producer(self)->module, result, "asking for statistics");
}

PyObject *producer_set_name(PyObject *self, PyObject *const *args, Py_ssize_t count,
                            PyObject *names) {
    static const char *const parameters[] = {"name", NULL};
    static const signature call = {"set_name", parameters, 1, 1};
    PyObject *given[1];
    const char *text = NULL;
    if (!take_arguments(&call, args, count, names, given) ||
        (given[0] != Py_None && (text = PyUnicode_AsUTF8AndSize(given[0], NULL)) == NULL)) {
        return NULL;
    }
    ring *of = producer_ring(as_producer(self), "naming a ring");
    return of == NULL ? NULL
                      : producer_result(as_producer(self), zbq_producer_set_name(of->handle, text),
                                        "naming a ring");
}

PyObject *producer_statistics_fd(PyObject *self, PyObject *unused) {
    (void)unused;
    ring *of = producer_ring(as_producer(self), "making a page for statistics");
    if (of == NULL) {
        return NULL;
    }
    const int fd = zbq_producer_stats_fd(of->handle);
    return fd < 0 ? fail(as_producer(self)->module, fd, "making a page for statistics")
                  : PyLong_FromLong(fd);
}

PyObject *producer_refresh_statistics(PyObject *self, PyObject *unused) {
    (void)unused;
    ring *of = producer_ring(as_producer(self), "refreshing statistics");
    return of == NULL ? NULL
                      : producer_result(as_producer(self), zbq_producer_refresh_stats(of->handle),
                                        "refreshing statistics");
}

PyObject *producer_send_statistics(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                   PyObject *names) {
    static const char *const parameters[] = {"socket", NULL};
    static const signature call = {"send_statistics", parameters, 1, 1};
    PyObject *given[1];
    if (!take_arguments(&call, args, count, names, given)) {
        return NULL;
    }
    const int socket = PyObject_AsFileDescriptor(given[0]);
    ring *of = socket < 0 ? NULL : producer_ring(as_producer(self), "sending statistics");
    return of == NULL
               ? NULL
               : producer_result(as_producer(self), zbq_producer_send_stats(of->handle, socket),
                                 "sending statistics");
}

PyObject *producer_set_serving(PyObject *self, PyObject *serves) {
    const int value = PyObject_IsTrue(serves);
    if (value < 0) {
        return NULL;
    }
    as_producer(self)->serves = value != 0;
    Py_RETURN_NONE;
}
