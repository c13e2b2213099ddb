/* SPDX-License-Identifier: MIT */
/* File descriptors on their way: each has one owner. */
#include "extension.h"

#include <unistd.h>

bool take_descriptors(const state *module, PyObject *sequence, descriptor_list *out) {
    out->count = 0;
    if (sequence == NULL || sequence == Py_None) {
        return true;
    }
    PyObject *all = PySequence_Tuple(sequence);
    if (all == NULL) {
        return false;
    }
    const Py_ssize_t count = PyTuple_Size(all);
    if (count > ZBQ_MAX_FD_PER_MSG) {
        PyErr_Format(module->invalid, "%zd descriptors, where a message has %d at most", count,
                     ZBQ_MAX_FD_PER_MSG);
        Py_DECREF(all);
        return false;
    }
    for (Py_ssize_t i = 0; i < count; ++i) {
        out->numbers[i] = PyObject_AsFileDescriptor(PyTuple_GetItem(all, i));
        if (out->numbers[i] < 0) {
            Py_DECREF(all);
            return false;
        }
    }
    out->count = (uint8_t)count;
    Py_DECREF(all);
    return true;
}

void close_descriptors(const descriptor_list *list) {
    for (unsigned i = 0; i < list->count; ++i) {
        close(list->numbers[i]);
    }
}

/* Those from `first` on. */
static void close_rest(const descriptor_list *list, Py_ssize_t first) {
    for (Py_ssize_t i = first; i < list->count; ++i) {
        close(list->numbers[i]);
    }
}

PyObject *own_descriptors(const state *module, const descriptor_list *list) {
    PyObject *all = PyTuple_New(list->count);
    if (all == NULL) {
        close_descriptors(list);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < list->count; ++i) {
        PyObject *one = PyObject_CallFunction(module->descriptor, "i", list->numbers[i]);
        if (one == NULL) {
            close_rest(list, i);
            Py_DECREF(all); /* closes those before */
            return NULL;
        }
        PyTuple_SetItem(all, i, one);
    }
    return all;
}
