/* SPDX-License-Identifier: MIT */
/* Room for one message, which is filled by a view and published at the end of a with block. */
#include "extension.h"

typedef struct {
    PyObject_HEAD const state *module;
    ring *of;
    uint64_t number, head; /* it is open while the ring has both */
    char *base;
    uint64_t size, used, flags;
    uint64_t deadline; /* for descriptors */
    uint64_t seq_id;
    PyObject *view, *exporter; /* while it is entered */
    PyObject *descriptors;
    bool is_done; /* published, or given up */
} reservation_object;

static reservation_object *as_reservation(PyObject *self) {
    return (reservation_object *)self;
}

PyObject *reservation_make(const state *module, ring *of, uint64_t size, uint64_t flags,
                           uint64_t deadline) {
    reservation_object *made = PyObject_New(reservation_object, module->reservation_type);
    if (made == NULL) {
        return NULL;
    }
    made->module = module;
    made->of = of;
    ring_keep(of);
    made->number = of->reservations;
    made->head = of->window->head;
    made->base = of->window->next;
    made->size = made->used = size;
    made->flags = flags;
    made->deadline = deadline;
    made->seq_id = 0;
    made->view = made->exporter = made->descriptors = NULL;
    made->is_done = false;
    return (PyObject *)made;
}

/* Closes the view, if there is one. false with an exception where something still looks at it. */
static bool close_view(reservation_object *self) {
    if (self->view == NULL) {
        return true;
    }
    PyObject *view = self->view;
    PyObject *exporter = self->exporter;
    self->view = self->exporter = NULL;
    const bool is_closed = room_close(self->module, view, exporter);
    Py_DECREF(view);
    Py_DECREF(exporter);
    return is_closed;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    reservation_object *room = as_reservation(self);
    if (room->view != NULL && !close_view(room)) {
        PyErr_WriteUnraisable(NULL);
    }
    Py_XDECREF(room->descriptors);
    ring_let_go(room->of);
    PyObject_Free(self);
    Py_DECREF(type);
}

static int check(const reservation_object *self) {
    const int result = ring_check(self->of);
    if (result != ZBQ_OK) {
        return result;
    }
    const bool is_open = !self->is_done && self->of->reservations == self->number &&
                         self->of->window->head == self->head;
    return is_open ? ZBQ_OK : ZBQ_ERROR_INVALID;
}

/* ---- publishing --------------------------------------------------------- */

static int send_descriptors(reservation_object *self, const descriptor_list *list) {
    int result = list->count == 0 ? ZBQ_OK : ZBQ_ERROR_AGAIN;
    if (list->count != 0 && self->seq_id == 0) {
        self->seq_id = zbq_producer_next_seq_id(self->of->handle);
    }
    while (result == ZBQ_ERROR_AGAIN) {
        result =
            zbq_producer_broadcast_fds(self->of->handle, self->seq_id, list->numbers, list->count);
        if (result == ZBQ_ERROR_AGAIN) {
            const int waited = ring_wait(self->of, self->deadline, NULL);
            if (waited != ZBQ_OK) {
                return waited;
            }
            const int is_open = check(self); /* a handler of signals may have done anything */
            result = is_open == ZBQ_OK ? result : is_open;
        }
    }
    return result;
}

static int publish(reservation_object *self) {
    descriptor_list list;
    if (!take_descriptors(self->module, self->descriptors, &list)) {
        return result_raised;
    }
    int result = check(self);
    if (result == ZBQ_OK && self->used > self->size) {
        result = ZBQ_ERROR_INVALID;
    }
    if (result == ZBQ_OK) {
        result = send_descriptors(self, &list);
    }
    if (result != ZBQ_OK) {
        return result;
    }
    write_header(self->base, self->used, (unsigned)self->flags, list.count, self->seq_id);
    self->is_done = true;
    return zbq_window_commit(self->of->window, message_size(self->used)) ? ZBQ_OK
                                                                         : ZBQ_ERROR_INVALID;
}

static PyObject *commit(PyObject *self, PyObject *unused) {
    (void)unused;
    reservation_object *room = as_reservation(self);
    if (!close_view(room)) {
        room->is_done = true;
        return NULL;
    }
    const int result = publish(room);
    return result == ZBQ_OK ? PyLong_FromUnsignedLongLong(room->head)
                            : fail(room->module, result, "publishing what was reserved");
}

static PyObject *cancel(PyObject *self, PyObject *unused) {
    (void)unused;
    reservation_object *room = as_reservation(self);
    room->is_done = true;
    if (!close_view(room)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *enter(PyObject *self, PyObject *unused) {
    (void)unused;
    reservation_object *room = as_reservation(self);
    int result = check(room);
    if (result == ZBQ_OK && room->of->memory.exports != 0) {
        result = result_view_is_out;
    }
    if (result != ZBQ_OK) {
        return fail(room->module, result, "filling what was reserved");
    }
    room->view = room_view(room->module, room->of, room->base + sizeof(zbq_msg_header), room->size,
                           &room->exporter);
    Py_XINCREF(room->view);
    return room->view;
}

static PyObject *leave(PyObject *self, PyObject *args) {
    PyObject *kind = PyTuple_GetItem(args, 0);
    if (kind == NULL) {
        return NULL;
    }
    if (kind == Py_None && as_reservation(self)->is_done) {
        Py_RETURN_NONE; /* cancelled or committed within */
    }
    PyObject *result = kind == Py_None ? commit(self, NULL) : cancel(self, NULL);
    if (result == NULL && kind != Py_None) {
        PyErr_Clear(); /* what was raised within says more */
    }
    if (result == NULL && kind == Py_None) {
        return NULL;
    }
    Py_XDECREF(result);
    Py_RETURN_NONE;
}

/* ---- what can be asked and set ------------------------------------------ */

static PyObject *get_offset(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(as_reservation(self)->head);
}

static PyObject *get_size(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(as_reservation(self)->size);
}

static PyObject *get_used(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(as_reservation(self)->used);
}

static bool refuse_deletion(PyObject *value) {
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "it cannot be deleted");
    }
    return value == NULL;
}

static int set_used(PyObject *self, PyObject *value, void *unused) {
    (void)unused;
    reservation_object *room = as_reservation(self);
    return !refuse_deletion(value) && take_unsigned(value, "used", room->size, &room->used) ? 0
                                                                                            : -1;
}

static PyObject *get_flags(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(as_reservation(self)->flags);
}

static int set_flags(PyObject *self, PyObject *value, void *unused) {
    (void)unused;
    return !refuse_deletion(value) &&
                   take_unsigned(value, "flags", UINT8_MAX, &as_reservation(self)->flags)
               ? 0
               : -1;
}

static PyObject *get_descriptors(PyObject *self, void *unused) {
    (void)unused;
    PyObject *list = as_reservation(self)->descriptors;
    if (list == NULL) {
        return PyTuple_New(0);
    }
    Py_INCREF(list);
    return list;
}

static int set_descriptors(PyObject *self, PyObject *value, void *unused) {
    (void)unused;
    PyObject *list = refuse_deletion(value) ? NULL : PySequence_Tuple(value);
    if (list == NULL) {
        return -1;
    }
    PyObject *old = as_reservation(self)->descriptors;
    as_reservation(self)->descriptors = list;
    Py_XDECREF(old);
    return 0;
}

static PyGetSetDef properties[] = {
    {"offset", get_offset, NULL, "Where in the stream the message starts, in bytes.", NULL},
    {"size", get_size, NULL, "Bytes of payload that there is room for.", NULL},
    {"used", get_used, set_used, "Bytes of payload that are published: all, unless it is set.",
     NULL},
    {"flags", get_flags, set_flags, "The application's own: 0 to 255.", NULL},
    {"fds", get_descriptors, set_descriptors, "Descriptors to send along; they stay yours.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMethodDef methods[] = {
    {"commit", commit, METH_NOARGS, "Publishes it, and gives its offset; the view is released."},
    {"cancel", cancel, METH_NOARGS, "Gives it up: it never was. The view is released."},
    {"__enter__", enter, METH_NOARGS, "A writable memoryview of the payload, until the end."},
    {"__exit__", leave, METH_VARARGS, "Publishes it; where something was raised, gives it up."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Room for one message, to be filled in place within a with block."},
    {Py_tp_dealloc, (void *)dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, NULL}};

PyType_Spec reservation_spec = {"zbq._zbq.Reservation", sizeof(reservation_object), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
