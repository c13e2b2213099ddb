/* SPDX-License-Identifier: MIT */
/* A message that was copied, and was whole. */
#include "extension.h"

typedef struct {
    PyObject_HEAD PyObject *payload; /* bytes */
    PyObject *descriptors;           /* a tuple */
    uint64_t offset;
    uint16_t key;
    uint8_t fd_count;
    uint8_t flags;
    bool is_forgotten;
} copied_object;

static copied_object *as_copied(PyObject *self) {
    return (copied_object *)self;
}

PyObject *copied_make(const state *module, const description *what, PyObject *payload,
                      PyObject *descriptors) {
    copied_object *made = payload == NULL || descriptors == NULL
                              ? NULL
                              : PyObject_New(copied_object, module->copied_type);
    if (made == NULL) {
        Py_XDECREF(payload);
        Py_XDECREF(descriptors);
        return NULL;
    }
    made->payload = payload;
    made->descriptors = descriptors;
    made->offset = what->offset;
    made->key = what->key;
    made->fd_count = what->fd_count;
    made->flags = what->flags;
    made->is_forgotten = what->is_forgotten;
    return (PyObject *)made;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(as_copied(self)->payload);
    Py_XDECREF(as_copied(self)->descriptors);
    PyObject_Free(self);
    Py_DECREF(type);
}

static int get_buffer(PyObject *self, Py_buffer *view, int flags) {
    PyObject *payload = as_copied(self)->payload;
    return PyBuffer_FillInfo(view, self, PyBytes_AsString(payload), PyBytes_Size(payload), 1,
                             flags);
}

static Py_ssize_t length(PyObject *self) {
    return PyBytes_Size(as_copied(self)->payload);
}

static PyObject *keep(PyObject *what) {
    Py_INCREF(what);
    return what;
}

static PyObject *get_payload(PyObject *self, void *unused) {
    (void)unused;
    return keep(as_copied(self)->payload);
}

static PyObject *to_bytes(PyObject *self, PyObject *unused) {
    (void)unused;
    return keep(as_copied(self)->payload);
}

static PyObject *get_descriptors(PyObject *self, void *unused) {
    (void)unused;
    return keep(as_copied(self)->descriptors);
}

static PyObject *get_offset(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(as_copied(self)->offset);
}

static PyObject *get_flags(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLong(as_copied(self)->flags);
}

static PyObject *get_key(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLong(as_copied(self)->key);
}

static PyObject *get_fd_count(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLong(as_copied(self)->fd_count);
}

static PyObject *get_is_forgotten(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(as_copied(self)->is_forgotten);
}

static PyObject *represent(PyObject *self) {
    const copied_object *copied = as_copied(self);
    return PyUnicode_FromFormat("<zbq.Copied of %zd bytes at offset %llu>",
                                PyBytes_Size(copied->payload), (unsigned long long)copied->offset);
}

static PyGetSetDef properties[] = {
    {"payload", get_payload, NULL, "The bytes.", NULL},
    {"fds", get_descriptors, NULL, "The descriptors that came along, which own themselves.", NULL},
    {"offset", get_offset, NULL, "Where in the stream it starts, in bytes.", NULL},
    {"flags", get_flags, NULL, "The application's own: 0 to 255.", NULL},
    {"key", get_key, NULL, "The key of a message that is, or was, retained; 0 for others.", NULL},
    {"fd_count", get_fd_count, NULL, "How many descriptors it was sent with.", NULL},
    {"is_forgotten", get_is_forgotten, NULL, "Whether its key is retained no more.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMethodDef methods[] = {{"__bytes__", to_bytes, METH_NOARGS, "The bytes."},
                                {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_doc, "A message that was copied out of the ring, whole."},
                              {Py_tp_dealloc, (void *)dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {Py_tp_repr, (void *)represent},
                              {Py_sq_length, (void *)length},
                              {Py_bf_getbuffer, (void *)get_buffer},
                              {0, NULL}};

PyType_Spec copied_spec = {"zbq._zbq.Copied", sizeof(copied_object), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
