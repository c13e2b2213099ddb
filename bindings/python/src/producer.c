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
    {"close", close_producer, METH_NOARGS, "Ends the stream: consumers read on to its end."},
    CALL("try_publish", producer_try_publish, "Publishes a copy, if there is room."),
    CALL("publish", producer_publish, "Publishes a copy; blocks until there is room."),
    CALL("publish_many", producer_publish_many, "Publishes copies in one commit."),
    CALL("publish_items", producer_publish_items, "Publishes the items of a buffer in one commit."),
    CALL("reserve", producer_reserve, "Room for a message, to be filled in place."),
    CALL("batch", producer_batch, "Room for several messages."),
    CALL("wait_for_room", producer_wait_for_room, "Blocks until it is worth while to try again."),
    CALL("retain", producer_retain, "Publishes and keeps a message under a key."),
    CALL("forget", producer_forget, "Retains no more what is under a key."),
    CALL("released", producer_released, "Whether all have let go of what lies below an offset."),
    CALL("wait_released", producer_wait_released, "Blocks until they have."),
    CALL("admit", producer_admit, "Gives the other end of a socket a slot."),
    CALL("find_start", producer_find_start, "Where one would start."),
    CALL("set_patience", producer_set_patience, "Limits how long it waits for consumers."),
    CALL("set_type", producer_set_type, "Says what the payloads are."),
    CALL("set_name", producer_set_name, "What people call this ring."),
    CALL("consumer_info", producer_consumer_info, "What is known of a slot's consumer."),
    CALL("send_statistics", producer_send_statistics, "Sends the page to a socket's other end."),
    {"event_fd", producer_event_fd, METH_NOARGS, "Readable when to try again."},
    {"scan", producer_scan, METH_NOARGS, "Evicts who is dead or hung."},
    {"statistics", producer_counters, METH_NOARGS, "Counters of the ring."},
    {"statistics_fd", producer_statistics_fd, METH_NOARGS, "The statistics page's descriptor."},
    {"refresh_statistics", producer_refresh_statistics, METH_NOARGS, "Writes an account now."},
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
