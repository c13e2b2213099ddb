/* SPDX-License-Identifier: MIT */
/* Room for several messages, which are published by one commit at the end of a with block. */
#include "extension.h"

typedef struct {
    PyObject_HEAD const state *module;
    ring *of;
    uint64_t number, head; /* it is open while the ring has both */
    char *base, *next, *end;
    uint64_t messages;
    PyObject *views; /* a list: each view, then its exporter */
    bool is_done;
} batch_object;

static batch_object *as_batch(PyObject *self) {
    return (batch_object *)self;
}

PyObject *batch_make(const state *module, ring *of, uint64_t bytes) {
    PyObject *views = PyList_New(0);
    batch_object *made = views == NULL ? NULL : PyObject_New(batch_object, module->batch_type);
    if (made == NULL) {
        Py_XDECREF(views);
        return NULL;
    }
    made->module = module;
    made->of = of;
    ring_keep(of);
    made->number = of->reservations;
    made->head = of->window->head;
    made->base = made->next = of->window->next;
    made->end = made->base + bytes;
    made->messages = 0;
    made->views = views;
    made->is_done = false;
    return (PyObject *)made;
}

/* All of them. false with an exception where something still looks at one. */
static bool close_views(batch_object *self) {
    bool are_closed = true;
    const Py_ssize_t count = PyList_Size(self->views);
    for (Py_ssize_t i = 0; i + 1 < count; i += 2) {
        PyErr_Clear(); /* of one before */
        are_closed = room_close(self->module, PyList_GetItem(self->views, i),
                                PyList_GetItem(self->views, i + 1)) &&
                     are_closed;
    }
    PyObject *old = self->views;
    self->views = PyList_New(0);
    Py_DECREF(old);
    if (!are_closed && PyErr_Occurred() == NULL) {
        PyErr_SetString(PyExc_BufferError,
                        "a view of the batch is still out: nothing was published");
    }
    return are_closed && self->views != NULL;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    batch_object *batch = as_batch(self);
    if (batch->views != NULL && PyList_Size(batch->views) != 0 && !close_views(batch)) {
        PyErr_WriteUnraisable(NULL);
    }
    Py_XDECREF(batch->views);
    ring_let_go(batch->of);
    PyObject_Free(self);
    Py_DECREF(type);
}

static int check(const batch_object *self) {
    const int result = ring_check(self->of);
    if (result != ZBQ_OK) {
        return result;
    }
    const bool is_open = !self->is_done && self->views != NULL &&
                         self->of->reservations == self->number &&
                         self->of->window->head == self->head;
    return is_open ? ZBQ_OK : ZBQ_ERROR_INVALID;
}

/* The place of the next payload; NULL: no room is left. */
static char *place_for(batch_object *self, uint64_t size, uint64_t flags) {
    const uint64_t bytes = message_size(size);
    if (bytes == 0 || bytes > (uint64_t)(self->end - self->next)) {
        return NULL;
    }
    char *at = self->next;
    write_header(at, size, (unsigned)flags, 0, 0);
    self->next += bytes;
    ++self->messages;
    return at + sizeof(zbq_msg_header);
}

static PyObject *add(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const char *const parameters[] = {"payload", "flags", NULL};
    static const signature call = {"add", parameters, 1, 2};
    PyObject *given[2];
    Py_buffer payload;
    uint64_t flags = 0;
    batch_object *batch = as_batch(self);
    if (!take_arguments(&call, args, count, names, given) ||
        !take_unsigned(given[1], "flags", UINT8_MAX, &flags) ||
        PyObject_GetBuffer(given[0], &payload, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    const int result = check(batch);
    char *place = result == ZBQ_OK ? place_for(batch, (uint64_t)payload.len, flags) : NULL;
    if (place != NULL) {
        ring_copy(batch->of, place, payload.buf, (uint64_t)payload.len);
    }
    PyBuffer_Release(&payload);
    return result == ZBQ_OK ? PyBool_FromLong(place != NULL)
                            : fail(batch->module, result, "adding to a batch");
}

static bool keep_view(batch_object *self, PyObject *view, PyObject *exporter) {
    return PyList_Append(self->views, view) == 0 && PyList_Append(self->views, exporter) == 0;
}

static PyObject *view_of(batch_object *self, char *place, uint64_t size) {
    PyObject *exporter = NULL;
    PyObject *view = room_view(self->module, self->of, place, size, &exporter);
    if (view != NULL && !keep_view(self, view, exporter)) {
        Py_DECREF(view);
        view = NULL;
    }
    Py_XDECREF(exporter);
    return view;
}

static PyObject *reserve(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const char *const parameters[] = {"size", "flags", NULL};
    static const signature call = {"reserve", parameters, 1, 2};
    PyObject *given[2];
    uint64_t size = 0;
    uint64_t flags = 0;
    batch_object *batch = as_batch(self);
    if (!take_arguments(&call, args, count, names, given) ||
        !take_unsigned(given[0], "size", UINT64_MAX, &size) ||
        !take_unsigned(given[1], "flags", UINT8_MAX, &flags)) {
        return NULL;
    }
    const int result = check(batch);
    if (result != ZBQ_OK) {
        return fail(batch->module, result, "adding to a batch");
    }
    char *place = place_for(batch, size, flags);
    if (place == NULL) {
        Py_RETURN_NONE;
    }
    return view_of(batch, place, size);
}

static PyObject *commit(PyObject *self, PyObject *unused) {
    (void)unused;
    batch_object *batch = as_batch(self);
    int result = check(batch);
    batch->is_done = true;
    if (!close_views(batch)) {
        return NULL;
    }
    const uint64_t bytes = (uint64_t)(batch->next - batch->base);
    if (result == ZBQ_OK && bytes != 0 && !zbq_window_commit(batch->of->window, bytes)) {
        result = ZBQ_ERROR_INVALID;
    }
    return result == ZBQ_OK ? PyLong_FromUnsignedLongLong(batch->head)
                            : fail(batch->module, result, "publishing a batch");
}

static PyObject *cancel(PyObject *self, PyObject *unused) {
    (void)unused;
    as_batch(self)->is_done = true;
    if (!close_views(as_batch(self))) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *enter(PyObject *self, PyObject *unused) {
    (void)unused;
    Py_INCREF(self);
    return self;
}

static PyObject *leave(PyObject *self, PyObject *args) {
    PyObject *kind = PyTuple_GetItem(args, 0);
    if (kind == NULL) {
        return NULL;
    }
    if (kind == Py_None && as_batch(self)->is_done) {
        Py_RETURN_NONE; /* cancelled or committed within */
    }
    PyObject *result = kind == Py_None ? commit(self, NULL) : cancel(self, NULL);
    if (result == NULL && kind == Py_None) {
        return NULL;
    }
    if (result == NULL) {
        PyErr_Clear(); /* what was raised within says more */
    }
    Py_XDECREF(result);
    Py_RETURN_NONE;
}

static Py_ssize_t length(PyObject *self) {
    return (Py_ssize_t)as_batch(self)->messages;
}

static PyObject *get_offset(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(as_batch(self)->head);
}

static PyObject *get_left(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong((uint64_t)(as_batch(self)->end - as_batch(self)->next));
}

static PyGetSetDef properties[] = {
    {"offset", get_offset, NULL, "Where in the stream the first message starts, in bytes.", NULL},
    {"left", get_left, NULL, "Bytes of the ring that are left to fill.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMethodDef methods[] = {
    {"add", (PyCFunction)(void (*)(void))add, METH_FASTCALL | METH_KEYWORDS,
     "Adds a copy; False where no room is left for it."},
    {"reserve", (PyCFunction)(void (*)(void))reserve, METH_FASTCALL | METH_KEYWORDS,
     "Adds a message, and gives a view to fill; None where no room is left for it."},
    {"commit", commit, METH_NOARGS, "Publishes all, and gives the offset; views are released."},
    {"cancel", cancel, METH_NOARGS, "Gives all up. Views are released."},
    {"__enter__", enter, METH_NOARGS, "The batch."},
    {"__exit__", leave, METH_VARARGS, "Publishes all; where something was raised, nothing."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_doc, "Room for several messages, published by one commit."},
                              {Py_tp_dealloc, (void *)dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {Py_sq_length, (void *)length},
                              {0, NULL}};

PyType_Spec batch_spec = {"zbq._zbq.Batch", sizeof(batch_object), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
