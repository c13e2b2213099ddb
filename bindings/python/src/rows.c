/* SPDX-License-Identifier: MIT */
/* Payloads of one size, in place: a buffer of two dimensions, whose rows lie as far apart as the
 * messages do. */
#include "extension.h"

typedef struct {
    PyObject_HEAD const state *module;
    hold *of;
    const char *base;
    Py_ssize_t shape[2];
    Py_ssize_t strides[2];
} rows_object;

static rows_object *as_rows(PyObject *self) {
    return (rows_object *)self;
}

PyObject *rows_make(const state *module, hold *of, const char *base, uint64_t count, uint64_t size,
                    uint64_t stride) {
    rows_object *made = PyObject_New(rows_object, module->rows_type);
    if (made == NULL) {
        return NULL;
    }
    made->module = module;
    made->of = of;
    hold_keep(of);
    made->base = base != NULL ? base : "";
    made->shape[0] = (Py_ssize_t)count;
    made->shape[1] = (Py_ssize_t)size;
    made->strides[0] = (Py_ssize_t)stride;
    made->strides[1] = 1;
    return (PyObject *)made;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    hold_let_go(as_rows(self)->of);
    PyObject_Free(self);
    Py_DECREF(type);
}

static bool wants(int flags, int which) {
    return (flags & which) == which;
}

static int get_buffer(PyObject *self, Py_buffer *view, int flags) {
    rows_object *all = as_rows(self);
    const bool is_strided = wants(flags, PyBUF_STRIDES);
    int orders = PyBUF_C_CONTIGUOUS;
    orders |= PyBUF_F_CONTIGUOUS;
    orders |= PyBUF_ANY_CONTIGUOUS;
    const bool wants_order = (flags & orders & ~PyBUF_STRIDES) != 0;
    view->obj = NULL;
    if (!is_strided || wants_order) {
        PyErr_SetString(PyExc_BufferError, "the rows do not lie close together: they have strides");
        return -1;
    }
    if (hold_fill_buffer(all->module, all->of, self, view, all->base,
                         (uint64_t)all->shape[0] * (uint64_t)all->shape[1],
                         flags & ~PyBUF_INDIRECT) < 0) {
        return -1;
    }
    view->ndim = 2;
    view->shape = all->shape;
    view->strides = all->strides;
    view->format = wants(flags, PyBUF_FORMAT) ? "B" : NULL;
    return 0;
}

static void release_buffer(PyObject *self, Py_buffer *view) {
    (void)view;
    hold_release_buffer(as_rows(self)->of);
}

static Py_ssize_t length(PyObject *self) {
    return as_rows(self)->shape[0];
}

static PyObject *intact(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(hold_is_whole(as_rows(self)->of, as_rows(self)->of->begin));
}

static PyMethodDef methods[] = {
    {"intact", intact, METH_NOARGS, "Whether the bytes were whole until now, or the batch's end."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_doc, "Payloads of one size in place, as rows."},
                              {Py_tp_dealloc, (void *)dealloc},
                              {Py_tp_methods, methods},
                              {Py_sq_length, (void *)length},
                              {Py_bf_getbuffer, (void *)get_buffer},
                              {Py_bf_releasebuffer, (void *)release_buffer},
                              {0, NULL}};

PyType_Spec rows_spec = {"zbq._zbq.Rows", sizeof(rows_object), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
