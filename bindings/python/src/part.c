/* SPDX-License-Identifier: MIT */
/* A part of another buffer, of a frame for instance, which knows how many views of it are out; and
 * the word in front of a frame that tells whether it was filled anew. */
#include "extension.h"

typedef struct {
    PyObject_HEAD Py_buffer whole; /* no obj: nothing was taken */
    char *base;
    Py_ssize_t size;
    Py_ssize_t exports;
    bool is_closed;
} part_object;

static part_object *as_part(PyObject *self) {
    return (part_object *)self;
}

static bool take_whole(PyObject *from, Py_buffer *out) {
    if (PyObject_GetBuffer(from, out, PyBUF_WRITABLE) == 0) {
        return true;
    }
    PyErr_Clear(); /* one that can be read alone */
    return PyObject_GetBuffer(from, out, PyBUF_SIMPLE) == 0;
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {"buffer", "offset", "size", NULL};
    static const signature call = {"Part", names, 3, 3};
    PyObject *given[3];
    uint64_t offset = 0;
    uint64_t size = 0;
    Py_buffer whole;
    if (!take_call(&call, args, kwargs, given) ||
        !take_unsigned(given[1], "offset", PY_SSIZE_T_MAX, &offset) ||
        !take_unsigned(given[2], "size", PY_SSIZE_T_MAX, &size) || !take_whole(given[0], &whole)) {
        return NULL;
    }
    const bool fits = offset <= (uint64_t)whole.len && size <= (uint64_t)whole.len - offset;
    const allocfunc allocate = PyType_GetSlot(type, Py_tp_alloc);
    part_object *made = fits ? (part_object *)allocate(type, 0) : NULL;
    if (!fits) {
        PyErr_Format(PyExc_ValueError, "a buffer of %zd bytes has no such part", whole.len);
    }
    if (made == NULL) {
        PyBuffer_Release(&whole);
        return NULL;
    }
    made->whole = whole;
    made->base = (char *)whole.buf + offset;
    made->size = (Py_ssize_t)size;
    return (PyObject *)made;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyBuffer_Release(&as_part(self)->whole);
    PyObject_Free(self);
    Py_DECREF(type);
}

static int get_buffer(PyObject *self, Py_buffer *view, int flags) {
    part_object *part = as_part(self);
    view->obj = NULL;
    if (part->is_closed) {
        PyErr_SetString(PyExc_BufferError, "it was released");
        return -1;
    }
    if (PyBuffer_FillInfo(view, self, part->base, part->size, part->whole.readonly, flags) < 0) {
        return -1;
    }
    ++part->exports;
    return 0;
}

static void release_buffer(PyObject *self, Py_buffer *view) {
    (void)view;
    --as_part(self)->exports;
}

static PyObject *close_part(PyObject *self, PyObject *unused) {
    (void)unused;
    as_part(self)->is_closed = true;
    return PyLong_FromSsize_t(as_part(self)->exports);
}

static PyObject *reopen(PyObject *self, PyObject *unused) {
    (void)unused;
    as_part(self)->is_closed = false;
    Py_RETURN_NONE;
}

static Py_ssize_t length(PyObject *self) {
    return as_part(self)->size;
}

static PyMethodDef methods[] = {
    {"close", close_part, METH_NOARGS, "No more views; how many are out."},
    {"reopen", reopen, METH_NOARGS, "Views again."},
    {NULL, NULL, 0, NULL}};

static PyObject *get_exports(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromSsize_t(as_part(self)->exports);
}

static PyGetSetDef properties[] = {{"exports", get_exports, NULL, "How many views are out.", NULL},
                                   {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot slots[] = {{Py_tp_doc, "A part of a buffer, which counts its views."},
                              {Py_tp_new, (void *)make},
                              {Py_tp_dealloc, (void *)dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {Py_sq_length, (void *)length},
                              {Py_bf_getbuffer, (void *)get_buffer},
                              {Py_bf_releasebuffer, (void *)release_buffer},
                              {0, NULL}};

PyType_Spec part_spec = {"zbq._zbq.Part", sizeof(part_object), 0, Py_TPFLAGS_DEFAULT, slots};

/* ---- stamps ------------------------------------------------------------- */

/* The first word of a frame's memory: as in include/zbq/frame_pool.hpp, which has the pairs. */
static uint64_t *word_of(const Py_buffer *memory) {
    if (memory->len < (Py_ssize_t)sizeof(uint64_t) || (uintptr_t)memory->buf % 8 != 0) {
        PyErr_SetString(PyExc_ValueError, "no memory of a frame");
        return NULL;
    }
    return memory->buf;
}

PyObject *part_begin_frame(PyObject *module, PyObject *memory) {
    (void)module;
    Py_buffer view;
    if (PyObject_GetBuffer(memory, &view, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    uint64_t *word = word_of(&view);
    if (word != NULL) {
        __atomic_store_n(word, 0, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE); /* bytes that are written later show it */
    }
    PyBuffer_Release(&view);
    return word == NULL ? NULL : Py_BuildValue("");
}

PyObject *part_end_frame(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *offset_given = NULL;
    Py_buffer view;
    uint64_t offset = 0;
    if (!PyArg_ParseTuple(args, "w*O", &view, &offset_given)) {
        return NULL;
    }
    uint64_t *word =
        take_unsigned(offset_given, "offset", UINT64_MAX - 1, &offset) ? word_of(&view) : NULL;
    if (word != NULL) {
        __atomic_store_n(word, offset + 1, __ATOMIC_RELEASE); /* carries the bytes */
    }
    PyBuffer_Release(&view);
    return word == NULL ? NULL : Py_BuildValue("");
}

PyObject *part_is_frame(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *offset_given = NULL;
    Py_buffer view;
    uint64_t offset = 0;
    uint64_t found = 0;
    if (!PyArg_ParseTuple(args, "y*O", &view, &offset_given)) {
        return NULL;
    }
    const uint64_t *word =
        take_unsigned(offset_given, "offset", UINT64_MAX - 1, &offset) ? word_of(&view) : NULL;
    if (word != NULL) {
        __atomic_thread_fence(__ATOMIC_ACQUIRE); /* after the bytes were read */
        found = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    }
    PyBuffer_Release(&view);
    return word == NULL ? NULL : PyBool_FromLong(found == offset + 1);
}
