/* SPDX-License-Identifier: MIT */
/* The module: its types, and what they have in common. */
#include "extension.h"

state *state_of(PyTypeObject *type) {
    for (PyTypeObject *at = type; at != NULL; at = PyType_GetSlot(at, Py_tp_base)) {
        state *found = PyType_GetModuleState(at);
        if (found != NULL) {
            return found;
        }
        PyErr_Clear(); /* of a type that is derived */
    }
    PyErr_SetString(PyExc_TypeError, "not a type of zbq");
    return NULL;
}

/* ---- functions ---------------------------------------------------------- */

static PyObject *create_memory(PyObject *module, PyObject *argument) {
    uint64_t size = 0;
    if (!take_unsigned(argument, "size", UINT64_MAX, &size)) {
        return NULL;
    }
    const int fd = zbq_memory_create(size);
    return fd < 0 ? fail(PyModule_GetState(module), fd, "making memory") : PyLong_FromLong(fd);
}

static PyObject *type_hash(PyObject *module, PyObject *name) {
    (void)module;
    const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
    return text == NULL ? NULL : PyLong_FromUnsignedLongLong(zbq_type_hash(text));
}

static PyObject *eviction_text(PyObject *module, PyObject *reason) {
    (void)module;
    uint64_t number = 0;
    if (!take_unsigned(reason, "reason", UINT32_MAX, &number)) {
        return NULL;
    }
    return PyUnicode_FromString(zbq_strevict((uint32_t)number));
}

static PyMethodDef functions[] = {
    {"memory_create", create_memory, METH_O, "A memfd of so many bytes; the caller closes it."},
    {"type_hash", type_hash, METH_O, "The hash of a type's name."},
    {"eviction_text", eviction_text, METH_O, "What an eviction's reason means."},
    {"make_timer", watch_make_timer, METH_NOARGS, "A descriptor that is readable at a time."},
    {"set_timer", watch_set_timer, METH_VARARGS, "In so many seconds; 0: never."},
    {"make_inotify", watch_make_inotify, METH_NOARGS, "A descriptor that tells of files."},
    {"watch_directory", watch_directory, METH_VARARGS, "Tells of those that come there."},
    {"rename_new", watch_rename_new, METH_VARARGS, "Renames, where the new name is free."},
    {"begin_frame", part_begin_frame, METH_O, "Marks a frame's memory as being filled."},
    {"end_frame", part_end_frame, METH_VARARGS, "Marks it as that of a message."},
    {"is_frame", part_is_frame, METH_VARARGS, "Whether it is still that of a message."},
    {"generation", watch_generation, METH_NOARGS, "Counts forks on the way to this process."},
    {NULL, NULL, 0, NULL}};

/* ---- the module --------------------------------------------------------- */

static bool find(PyObject *from, const char *name, PyObject **out) {
    *out = PyObject_GetAttrString(from, name);
    return *out != NULL;
}

static bool find_errors(state *module) {
    PyObject *from = PyImport_ImportModule("zbq._errors");
    if (from == NULL) {
        return false;
    }
    const bool found =
        find(from, "InvalidError", &module->invalid) &&
        find(from, "NoMemoryError", &module->no_memory) &&
        find(from, "AgainError", &module->again) && find(from, "IoError", &module->io) &&
        find(from, "ProtocolError", &module->protocol) &&
        find(from, "TooLargeError", &module->too_large) && find(from, "NoneError", &module->none) &&
        find(from, "ClosedError", &module->closed) && find(from, "TornError", &module->torn) &&
        find(from, "BusyError", &module->busy) && find(from, "ForkedError", &module->forked) &&
        find(from, "EndedError", &module->ended) &&
        find(from, "ProducerDiedError", &module->producer_died) &&
        find(from, "EvictedError", &module->evicted);
    Py_DECREF(from);
    return found;
}

static bool find_descriptor(state *module) {
    PyObject *from = PyImport_ImportModule("zbq._descriptor");
    const bool found = from != NULL && find(from, "Descriptor", &module->descriptor);
    Py_XDECREF(from);
    return found;
}

static bool add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **out) {
    PyObject *made = PyType_FromModuleAndSpec(module, spec, NULL);
    if (made == NULL || PyModule_AddType(module, (PyTypeObject *)made) < 0) {
        Py_XDECREF(made);
        return false;
    }
    if (out != NULL) {
        *out = (PyTypeObject *)made;
    } else {
        Py_DECREF(made);
    }
    return true;
}

static bool add_types(PyObject *to, state *module) {
    return add_type(to, &producer_spec, NULL) && add_type(to, &consumer_spec, NULL) &&
           add_type(to, &statistics_page_spec, NULL) && add_type(to, &part_spec, NULL) &&
           add_type(to, &room_spec, &module->room_type) &&
           add_type(to, &reservation_spec, &module->reservation_type) &&
           add_type(to, &batch_spec, &module->batch_type) &&
           add_type(to, &message_spec, &module->message_type) &&
           add_type(to, &message_batch_spec, &module->message_batch_type) &&
           add_type(to, &rows_spec, &module->rows_type) &&
           add_type(to, &copied_spec, &module->copied_type);
}

/* Handles belong to one process, and the state of forks to all of it: one interpreter has them. */
static bool is_main_interpreter(void) {
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) == 0) {
        return true;
    }
    PyErr_SetString(PyExc_ImportError, "zbq can be imported by the main interpreter alone");
    return false;
}

static int execute(PyObject *module) {
    state *of = PyModule_GetState(module);
    const uint32_t version = zbq_version();
    const bool done = is_main_interpreter() && prepare_for_forks() && find_errors(of) &&
                      find_descriptor(of) && add_types(module, of) &&
                      PyModule_AddIntConstant(module, "MAX_FD_PER_MSG", ZBQ_MAX_FD_PER_MSG) == 0 &&
                      PyModule_AddIntConstant(module, "MSG_ALIGN", ZBQ_MSG_ALIGN) == 0 &&
                      PyModule_AddIntConstant(module, "VERSION", (long)version) == 0;
    return done ? 0 : -1;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)execute}, {0, NULL}};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                 "zbq._zbq",
                                 "The rings of zbq. Use the package zbq.",
                                 sizeof(state),
                                 functions,
                                 slots,
                                 NULL,
                                 NULL,
                                 NULL};

PyMODINIT_FUNC PyInit__zbq(void);
PyMODINIT_FUNC PyInit__zbq(void) {
    return PyModuleDef_Init(&definition);
}
