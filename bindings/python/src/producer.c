/* SPDX-License-Identifier: MIT */
/* The producer as an object: how it is made, closed, and how its calls try and wait. */
#include "producer.h"

/* ---- trying and waiting ------------------------------------------------- */

/* For who is busy: at most once in a tick of the kernel's clock, for the look that is cheap. */
static int look_at_services(producer_object *self) {
    if (!self->serves) {
        return ZBQ_OK;
    }
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (now.tv_sec == self->served_at.tv_sec && now.tv_nsec == self->served_at.tv_nsec) {
        return ZBQ_OK;
    }
    self->served_at = now;
    PyObject *result = PyObject_CallMethod((PyObject *)self, "_serve_beside", "ii", -1, 0);
    Py_XDECREF(result);
    return result != NULL ? ZBQ_OK : result_raised;
}

int producer_try(producer_object *self, attempt *what, void *context, uint64_t deadline) {
    int result = ring_check_room(self->of);
    if (result != ZBQ_OK) {
        return result;
    }
    ring *const of = self->of;
    ring_keep(of);
    result = look_at_services(self);
    while (result == ZBQ_OK && (result = ring_check_room(of)) == ZBQ_OK) {
        result = what(of, context);
        if (result != ZBQ_ERROR_AGAIN) {
            break;
        }
        result = ring_wait(of, deadline, self->serves ? (PyObject *)self : NULL);
    }
    ring_let_go(of);
    return result;
}

PyObject *producer_result(const producer_object *self, int result, const char *tried) {
    if (result != ZBQ_OK) {
        return fail(self->module, result, tried);
    }
    Py_RETURN_NONE;
}

ring *producer_ring(const producer_object *self, const char *tried) {
    const int result = ring_check(self->of);
    if (result != ZBQ_OK) {
        fail(self->module, result, tried);
        return NULL;
    }
    return self->of;
}

/* ---- making and closing ------------------------------------------------- */

static bool take_params(PyObject *args, PyObject *kwargs, zbq_producer_params *out) {
    static const char *const names[] = {"capacity", "stall_timeout", "max_consumers",
                                        "clog_threshold", NULL};
    static const signature call = {"Producer", names, 1, 1};
    PyObject *given[4];
    uint64_t consumers = 16;
    *out = (zbq_producer_params){.clog_threshold = 16, .stall_timeout_ns = 1000000000};
    if (!take_call(&call, args, kwargs, given) ||
        !take_unsigned(given[0], "capacity", UINT64_MAX, &out->ring_capacity) ||
        !take_nanoseconds(given[1], "stall_timeout", &out->stall_timeout_ns) ||
        !take_unsigned(given[2], "max_consumers", UINT32_MAX, &consumers) ||
        !take_unsigned(given[3], "clog_threshold", UINT64_MAX, &out->clog_threshold)) {
        return false;
    }
    out->max_consumers = (uint32_t)consumers;
    return true;
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    zbq_producer_params params;
    state *module = state_of(type);
    if (module == NULL || !take_params(args, kwargs, &params)) {
        return NULL;
    }
    int result = ZBQ_OK;
    ring *of = ring_make(&params, &result);
    if (of == NULL) {
        return fail(module, result, "making a ring");
    }
    const allocfunc allocate = PyType_GetSlot(type, Py_tp_alloc);
    producer_object *made = (producer_object *)allocate(type, 0);
    if (made == NULL) {
        ring_let_go(of);
        return NULL;
    }
    made->module = module;
    made->of = of;
    return (PyObject *)made;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    producer_object *producer = (producer_object *)self;
    if (producer->of != NULL) {
        producer->of->is_closed = true;
        ring_let_go(producer->of);
    }
    const freefunc release = PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *close_producer(PyObject *self, PyObject *unused) {
    (void)unused;
    producer_object *producer = (producer_object *)self;
    ring *of = producer->of;
    if (of == NULL) {
        Py_RETURN_NONE;
    }
    if (shelter_is_own(&of->memory) && of->is_busy) {
        return fail(producer->module, result_busy, "closing a producer");
    }
    const Py_ssize_t views = of->memory.exports;
    of->is_closed = true;
    producer->of = NULL;
    ring_let_go(of);
    if (views != 0) {
        PyErr_Format(PyExc_BufferError,
                     "%zd views of a reservation are still out: the stream ends with the last one",
                     views);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *get_closed(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(((producer_object *)self)->of == NULL);
}

static PyObject *get_head(PyObject *self, void *unused) {
    (void)unused;
    ring *of = producer_ring((producer_object *)self, "asking for the head");
    return of == NULL ? NULL : PyLong_FromUnsignedLongLong(of->window->head);
}

static PyObject *get_capacity(PyObject *self, void *unused) {
    (void)unused;
    ring *of = producer_ring((producer_object *)self, "asking for the capacity");
    return of == NULL ? NULL : PyLong_FromUnsignedLongLong(of->memory.size / 2);
}

static PyObject *get_id(PyObject *self, void *unused) {
    (void)unused;
    ring *of = producer_ring((producer_object *)self, "asking for the ring's id");
    return of == NULL ? NULL
                      : PyBytes_FromStringAndSize(
                            (const char *)zbq_producer_ctrl(of->handle)->ring_id, 16);
}

static PyGetSetDef properties[] = {
    {"closed", get_closed, NULL, "Whether it was closed.", NULL},
    {"head", get_head, NULL, "Where in the stream the next message starts, in bytes.", NULL},
    {"capacity", get_capacity, NULL, "Bytes of the ring.", NULL},
    {"id", get_id, NULL, "16 bytes that tell this ring from all others.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

/* ---- the type ----------------------------------------------------------- */

#define CALL(name, function, text)                                                                 \
    { name, (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS, text }

static PyMethodDef methods[] = {
    {"close", close_producer, METH_NOARGS,
     "close($self)\n"
     "--\n"
     "\n"
     "Ends the stream: consumers read on to its end. Nothing, when that was done. BusyError while\n"
     "another thread is within. BufferError where a view of a reservation is still out: the stream "
     "ends\n"
     "with the last one, then. In a forked child it releases the child's copies and leaves the "
     "stream\n"
     "alone."},
    CALL("try_publish", producer_try_publish,
         "try_publish($self, payload, flags=0)\n"
         "--\n"
         "\n"
         "Publishes a copy of what exports a contiguous buffer, if there is room. Never blocks.\n"
         "\n"
         "flags: the application's own, 0 to 255. Returns whether it was published. Raises "
         "TooLargeError\n"
         "(never), BufferError (a view of a reservation is out), BusyError, ClosedError, "
         "ForkedError."),
    CALL("publish", producer_publish,
         "publish($self, payload, *, fds=None, flags=0, timeout=None)\n"
         "--\n"
         "\n"
         "Publishes a copy of what exports a contiguous buffer. Blocks until there is room, for "
         "timeout\n"
         "seconds at most; None: for as long as it takes. Consumers that hold it back for the "
         "stall timeout\n"
         "are evicted meanwhile, and what is attached is served.\n"
         "\n"
         "fds: at most 253 descriptors, numbers or objects with fileno(), which stay yours; they "
         "are sent\n"
         "first, so that who sees the message has them. Returns the offset where the message "
         "starts, in\n"
         "bytes since the ring was made. Raises AgainError (not in time), TooLargeError, "
         "InvalidError (a bad\n"
         "descriptor), BufferError, BusyError, ClosedError, ForkedError."),
    CALL("publish_many", producer_publish_many,
         "publish_many($self, payloads, *, flags=0, timeout=None)\n"
         "--\n"
         "\n"
         "Publishes copies of all payloads of an iterable in one commit: all of them, or none. "
         "Blocks as\n"
         "publish. Returns the offset of the first. TooLargeError where they can never fit "
         "together."),
    CALL("publish_items", producer_publish_items,
         "publish_items($self, items, size, *, flags=0, timeout=None)\n"
         "--\n"
         "\n"
         "Publishes each `size` bytes of a contiguous buffer as a message, all in one commit. "
         "Blocks as\n"
         "publish. Returns the offset of the first. InvalidError where the buffer is no whole "
         "number of them."),
    CALL("reserve", producer_reserve,
         "reserve($self, size, *, flags=0, timeout=None)\n"
         "--\n"
         "\n"
         "Room for a message with a payload of so many bytes, to be filled in place by a with "
         "block. Blocks\n"
         "until there is room, as publish. A newer reservation, or a publish, makes an older one "
         "void."),
    CALL("batch", producer_batch,
         "batch($self, size, *, timeout=None)\n"
         "--\n"
         "\n"
         "Room for messages that take so many bytes of the ring in all, each counted by size_of, "
         "which are\n"
         "published by one commit at the end of a with block. Blocks until there is room, as "
         "publish."),
    CALL("wait_for_room", producer_wait_for_room,
         "wait_for_room($self, timeout=None)\n"
         "--\n"
         "\n"
         "Blocks until it is worth while to try again what found no room, or so many seconds have "
         "passed.\n"
         "Serves what is attached meanwhile. Returns False where the time is up. It may return for "
         "nothing."),
    CALL("retain", producer_retain,
         "retain($self, key, payload, *, fds=None, flags=0, timeout=None)\n"
         "--\n"
         "\n"
         "Publishes a message that is kept under a key, 1 to 32,767, in place of an earlier one of "
         "that key:\n"
         "each newcomer has it before its first message. At most 64 keys, 1 MiB and 253 "
         "descriptors in all,\n"
         "else TooLargeError. Blocks until there is room, as publish."),
    CALL("forget", producer_forget,
         "forget($self, key, *, timeout=None)\n"
         "--\n"
         "\n"
         "Retains no more what is under a key, and says so in the stream. Blocks as publish. "
         "NoneError where\n"
         "nothing is."),
    CALL("released", producer_released,
         "released($self, offset)\n"
         "--\n"
         "\n"
         "Whether every consumer but the observers has let go of all below an offset. Never "
         "blocks.\n"
         "InvalidError past the head."),
    CALL("wait_released", producer_wait_released,
         "wait_released($self, offset, *, timeout=None)\n"
         "--\n"
         "\n"
         "Blocks until every consumer but the observers has let go of all below an offset, for so "
         "many\n"
         "seconds at most. Returns whether they have. Who is in the way for the stall timeout is "
         "evicted."),
    CALL("admit", producer_admit, "Gives the other end of a socket a slot."),
    CALL("find_start", producer_find_start,
         "find_start($self, at, offset=0, ring_id=...)\n"
         "--\n"
         "\n"
         "Where one would start that asks for a zbq.Start with these fields."),
    CALL("set_patience", producer_set_patience,
         "set_patience($self, at_once, per_second=0, *, slot=None)\n"
         "--\n"
         "\n"
         "Limits how long it waits for a consumer, however that moves: so many seconds at once, "
         "and so many\n"
         "more in each second. Who uses them up is evicted. slot None: for all; at_once None: no "
         "limit."),
    CALL("set_type", producer_set_type,
         "set_type($self, hash, size, align)\n"
         "--\n"
         "\n"
         "Says what the payloads are, to consumers that join from now on. InvalidError once one "
         "has joined."),
    CALL("set_name", producer_set_name, "What people call this ring."),
    CALL("consumer_info", producer_consumer_info, "What is known of a slot's consumer."),
    CALL("send_statistics", producer_send_statistics,
         "send_statistics($self, socket)\n"
         "--\n"
         "\n"
         "Sends the statistics page to the other end of a connected Unix socket. Never blocks."),
    {"event_fd", producer_event_fd, METH_NOARGS,
     "event_fd($self)\n"
     "--\n"
     "\n"
     "A descriptor that becomes readable when it is worth while to try again what found no room. "
     "It\n"
     "stays this object's: never read from it, never close it."},
    {"scan", producer_scan, METH_NOARGS,
     "scan($self)\n"
     "--\n"
     "\n"
     "Evicts consumers that are dead or hung. Never blocks."},
    {"statistics", producer_counters, METH_NOARGS, "Counters of the ring."},
    {"statistics_fd", producer_statistics_fd, METH_NOARGS,
     "statistics_fd($self)\n"
     "--\n"
     "\n"
     "The descriptor of the ring's statistics page, which others can map. It stays this object's."},
    {"refresh_statistics", producer_refresh_statistics, METH_NOARGS,
     "refresh_statistics($self)\n"
     "--\n"
     "\n"
     "Writes an account of the ring into its statistics page now. Never blocks."},
    {"_set_serving", producer_set_serving, METH_O, "Whether _serve_beside is to be called."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_doc, "Publishes into a ring. Use zbq.Producer."},
                              {Py_tp_new, (void *)make},
                              {Py_tp_dealloc, (void *)dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {0, NULL}};

PyType_Spec producer_spec = {"zbq._zbq.Producer", sizeof(producer_object), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
