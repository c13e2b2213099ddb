/* SPDX-License-Identifier: MIT */
/* A message as it lies in the ring. */
#include "extension.h"

typedef struct {
    PyObject_HEAD const state *module;
    hold *of;
    description what;
} message_object;

static message_object *as_message(PyObject *self) {
    return (message_object *)self;
}

PyObject *message_make(const state *module, hold *of, const description *what) {
    message_object *made = PyObject_New(message_object, module->message_type);
    if (made == NULL) {
        return NULL;
    }
    made->module = module;
    made->of = of;
    hold_keep(of);
    made->what = *what;
    return (PyObject *)made;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    hold_let_go(as_message(self)->of);
    PyObject_Free(self);
    Py_DECREF(type);
}

static int get_buffer(PyObject *self, Py_buffer *view, int flags) {
    const message_object *message = as_message(self);
    return hold_fill_buffer(message->module, message->of, self, view, message->what.payload,
                            message->what.size, flags);
}

static void release_buffer(PyObject *self, Py_buffer *view) {
    (void)view;
    hold_release_buffer(as_message(self)->of);
}

static Py_ssize_t length(PyObject *self) {
    return (Py_ssize_t)as_message(self)->what.size;
}

/* ---- reading ------------------------------------------------------------ */

static PyObject *intact(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(hold_is_whole(as_message(self)->of, as_message(self)->what.offset));
}

static PyObject *to_bytes(PyObject *self, PyObject *unused) {
    (void)unused;
    const message_object *message = as_message(self);
    Py_buffer view;
    if (PyObject_GetBuffer(self, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *copy = PyBytes_FromStringAndSize(view.buf, view.len);
    const bool is_whole = hold_is_whole(message->of, message->what.offset);
    PyBuffer_Release(&view);
    if (copy == NULL || is_whole) {
        return copy;
    }
    Py_DECREF(copy);
    return fail(message->module, result_torn, "copying a message");
}

/* The result of a function, with the view gone that it was given; NULL with an exception. */
static PyObject *apply(PyObject *self, PyObject *function) {
    const hold *of = as_message(self)->of;
    const Py_ssize_t before = of->exports;
    PyObject *view = PyMemoryView_FromObject(self);
    if (view == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_CallFunctionObjArgs(function, view, NULL);
    PyObject *released = result == NULL ? NULL : PyObject_CallMethod(view, "release", NULL);
    Py_DECREF(view);
    if (released == NULL || of->exports > before) {
        Py_XDECREF(released);
        if (result != NULL) {
            PyErr_SetString(PyExc_BufferError,
                            "the function has kept something that looks at the message's bytes");
        }
        Py_XDECREF(result);
        return NULL;
    }
    Py_DECREF(released);
    return result;
}

static PyObject *process(PyObject *self, PyObject *function) {
    PyObject *result = apply(self, function);
    const message_object *message = as_message(self);
    if (hold_is_whole(message->of, message->what.offset)) {
        return result;
    }
    if (result == NULL && !PyErr_ExceptionMatches(PyExc_Exception)) {
        return NULL; /* KeyboardInterrupt, which is no matter of bytes */
    }
    /* What it has made of torn bytes is nothing, and what it has raised is no more. */
    Py_XDECREF(result);
    PyErr_Clear();
    return fail(message->module, result_torn, "reading a message");
}

static PyObject *array(PyObject *self, PyObject *args, PyObject *kwargs) {
    PyObject *from = PyImport_ImportModule("zbq._arrays");
    PyObject *function = from == NULL ? NULL : PyObject_GetAttrString(from, "array_of");
    PyObject *all = function == NULL ? NULL : PyTuple_New(PyTuple_Size(args) + 1);
    PyObject *result = NULL;
    if (all != NULL) {
        Py_INCREF(self);
        PyTuple_SetItem(all, 0, self);
        for (Py_ssize_t i = 0; i < PyTuple_Size(args); ++i) {
            PyObject *one = PyTuple_GetItem(args, i);
            Py_INCREF(one);
            PyTuple_SetItem(all, i + 1, one);
        }
        result = PyObject_Call(function, all, kwargs);
    }
    Py_XDECREF(all);
    Py_XDECREF(function);
    Py_XDECREF(from);
    return result;
}

/* ---- descriptors -------------------------------------------------------- */

static PyObject *take(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const char *const parameters[] = {"timeout", NULL};
    static const signature call = {"take_descriptors", parameters, 0, 1};
    PyObject *given[1];
    uint64_t deadline = 0;
    message_object *message = as_message(self);
    if (!take_arguments(&call, args, count, names, given) ||
        (given[0] != NULL && !take_deadline(given[0], &deadline))) {
        return NULL;
    }
    if (message->of->is_released) {
        return fail(message->module, result_closed, "taking descriptors");
    }
    reader *of = message->of->of;
    int result = !shelter_is_own(&of->memory) ? result_forked : of->is_busy ? result_busy : ZBQ_OK;
    if (result == ZBQ_OK && of->window->observes != 0 &&
        !reader_is_whole(of, message->what.offset)) {
        result = result_torn; /* its header may be, which names them */
    }
    descriptor_list list;
    list.count = 0;
    if (result == ZBQ_OK) {
        result = reader_collect(of, &message->what, deadline, &list);
    }
    if (result != ZBQ_OK) {
        return fail(message->module, result, "taking descriptors");
    }
    if (message->of->record == message->what.seq_id) {
        message->of->record = 0;
    }
    message->what.seq_id = 0; /* they are taken once */
    return own_descriptors(message->module, &list);
}

/* ---- letting go --------------------------------------------------------- */

static PyObject *release(PyObject *self, PyObject *unused) {
    (void)unused;
    const message_object *message = as_message(self);
    if (message->of->is_batch) {
        return fail(message->module, ZBQ_ERROR_INVALID,
                    "releasing one message of a batch, which goes as one");
    }
    hold_release(message->of);
    if (message->of->exports != 0) {
        PyErr_Format(PyExc_BufferError,
                     "%zd views of the message are still out: they read whatever lies there",
                     message->of->exports);
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
    PyObject *result = kind == NULL ? NULL : release(self, NULL);
    if (result == NULL && kind != NULL && kind != Py_None) {
        PyErr_Clear(); /* what was raised within says more */
        Py_RETURN_NONE;
    }
    return result;
}

/* ---- what can be asked -------------------------------------------------- */

static PyObject *get_payload(PyObject *self, void *unused) {
    (void)unused;
    return PyMemoryView_FromObject(self);
}

static PyObject *get_offset(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(as_message(self)->what.offset);
}

static PyObject *get_flags(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLong(as_message(self)->what.flags);
}

static PyObject *get_key(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLong(as_message(self)->what.key);
}

static PyObject *get_fd_count(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLong(as_message(self)->what.fd_count);
}

static PyObject *get_is_forgotten(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(as_message(self)->what.is_forgotten);
}

static PyObject *get_released(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(as_message(self)->of->is_released);
}

static PyObject *represent(PyObject *self) {
    const message_object *message = as_message(self);
    return PyUnicode_FromFormat(
        "<zbq.Message of %llu bytes at offset %llu%s>", (unsigned long long)message->what.size,
        (unsigned long long)message->what.offset, message->of->is_released ? ", released" : "");
}

static PyGetSetDef properties[] = {
    {"payload", get_payload, NULL, "A read-only memoryview of the bytes, in place.", NULL},
    {"offset", get_offset, NULL, "Where in the stream it starts, in bytes.", NULL},
    {"flags", get_flags, NULL, "The application's own: 0 to 255.", NULL},
    {"key", get_key, NULL, "The key of a message that is, or was, retained; 0 for others.", NULL},
    {"fd_count", get_fd_count, NULL, "How many descriptors it was sent with.", NULL},
    {"is_forgotten", get_is_forgotten, NULL, "Whether its key is retained no more.", NULL},
    {"released", get_released, NULL, "Whether its room was given back.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMethodDef methods[] = {
    {"intact", intact, METH_NOARGS, "Whether the bytes were whole until now, or its release."},
    {"tobytes", to_bytes, METH_NOARGS, "A copy, which was whole; TornError where it was not."},
    {"__bytes__", to_bytes, METH_NOARGS, "A copy, which was whole; TornError where it was not."},
    {"process", process, METH_O, "What a function makes of the bytes, if they were whole."},
    {"array", (PyCFunction)(void (*)(void))array, METH_VARARGS | METH_KEYWORDS,
     "A NumPy array of the bytes, in place and read-only."},
    {"take_descriptors", (PyCFunction)(void (*)(void))take, METH_FASTCALL | METH_KEYWORDS,
     "Its descriptors, waiting for them so many seconds."},
    {"release", release, METH_NOARGS, "Gives the room back."},
    {"__enter__", enter, METH_NOARGS, "The message."},
    {"__exit__", leave, METH_VARARGS, "Gives the room back."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_doc, "A message in place, which holds room of the ring."},
                              {Py_tp_dealloc, (void *)dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {Py_tp_repr, (void *)represent},
                              {Py_sq_length, (void *)length},
                              {Py_bf_getbuffer, (void *)get_buffer},
                              {Py_bf_releasebuffer, (void *)release_buffer},
                              {0, NULL}};

PyType_Spec message_spec = {"zbq._zbq.Message", sizeof(message_object), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
