/* SPDX-License-Identifier: MIT */
/* Bytes of the ring that are exported for writing, until the commit. */
#include "extension.h"

typedef struct {
    PyObject_HEAD ring *of; /* NULL in one that was made by nobody */
    char *base;
    uint64_t size;
    Py_ssize_t exports;
    bool is_closed;
} room_object;

static int get_buffer(PyObject *self, Py_buffer *view, int flags) {
    room_object *room = (room_object *)self;
    if (room->is_closed || !shelter_is_own(&room->of->memory)) {
        PyErr_SetString(PyExc_BufferError, "the reservation was committed, or given up");
        view->obj = NULL;
        return -1;
    }
    if (PyBuffer_FillInfo(view, self, room->base, (Py_ssize_t)room->size, 0, flags) < 0) {
        return -1;
    }
    ++room->exports;
    shelter_export(&room->of->memory);
    return 0;
}

static void release_buffer(PyObject *self, Py_buffer *view) {
    (void)view;
    room_object *room = (room_object *)self;
    --room->exports;
    shelter_give_back(&room->of->memory);
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    ring_let_go(((room_object *)self)->of);
    PyObject_Free(self);
    Py_DECREF(type);
}

PyObject *room_view(const state *module, ring *of, char *base, uint64_t size, PyObject **exporter) {
    room_object *room = PyObject_New(room_object, module->room_type);
    if (room == NULL) {
        return NULL;
    }
    room->of = of;
    ring_keep(of);
    room->base = base;
    room->size = size;
    room->exports = 0;
    room->is_closed = false;
    PyObject *view = PyMemoryView_FromObject((PyObject *)room);
    if (view == NULL) {
        Py_DECREF(room);
        return NULL;
    }
    *exporter = (PyObject *)room;
    return view;
}

bool room_close(const state *module, PyObject *view, PyObject *exporter) {
    (void)module;
    room_object *room = (room_object *)exporter;
    room->is_closed = true;
    PyObject *released = PyObject_CallMethod(view, "release", NULL);
    Py_XDECREF(released);
    if (released == NULL) { /* an array was made of it, say */
        PyErr_Clear();
    }
    if (room->exports != 0) {
        PyErr_SetString(PyExc_BufferError,
                        "something made of the view still looks at it (a slice, an array): nothing "
                        "was published");
        return false;
    }
    return true;
}

static PyType_Slot slots[] = {{Py_tp_doc, "Bytes of a ring that a view writes to."},
                              {Py_tp_dealloc, (void *)dealloc},
                              {Py_bf_getbuffer, (void *)get_buffer},
                              {Py_bf_releasebuffer, (void *)release_buffer},
                              {0, NULL}};

PyType_Spec room_spec = {"zbq._zbq.Room", sizeof(room_object), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
