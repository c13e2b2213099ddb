/* SPDX-License-Identifier: MIT */
/* How the extension says what went wrong. */
#include "extension.h"

#include <errno.h>
#include <string.h>

static PyObject *set(PyObject *kind, int os_error, const char *tried, const char *why) {
    PyObject *text = PyUnicode_FromFormat("%s: %s", tried, why);
    PyObject *made = text == NULL    ? NULL
                     : os_error != 0 ? PyObject_CallFunction(kind, "iO", os_error, text)
                                     : PyObject_CallFunction(kind, "O", text);
    if (made != NULL) {
        PyErr_SetObject(kind, made);
    }
    Py_XDECREF(made);
    Py_XDECREF(text);
    return NULL;
}

static PyObject *fail_of_library(const state *module, int result, const char *tried) {
    const int os_error = errno;
    switch (result) {
    case ZBQ_ERROR_NOMEM:
        return set(module->no_memory, os_error, tried, strerror(os_error));
    case ZBQ_ERROR_IO:
        return set(module->io, os_error, tried,
                   os_error != 0 ? strerror(os_error) : zbq_strerror(result));
    case ZBQ_ERROR_AGAIN:
        return set(module->again, 0, tried, zbq_strerror(result));
    case ZBQ_ERROR_PROTOCOL:
        return set(module->protocol, 0, tried, zbq_strerror(result));
    case ZBQ_ERROR_OVERFLOW:
        return set(module->too_large, 0, tried, zbq_strerror(result));
    case ZBQ_ERROR_NOENT:
        return set(module->none, 0, tried, zbq_strerror(result));
    default:
        return set(module->invalid, 0, tried, zbq_strerror(result));
    }
}

PyObject *fail(const state *module, int result, const char *tried) {
    switch (result) {
    case result_raised:
        return NULL;
    case result_closed:
        return set(module->closed, 0, tried, "it is closed");
    case result_torn:
        return set(module->torn, 0, tried, "its bytes were overwritten meanwhile");
    case result_busy:
        return set(module->busy, 0, tried, "another thread uses it, or a call further up");
    case result_forked:
        return set(module->forked, 0, tried, "it is the parent process's, and dead in a child");
    case result_view_is_out:
        PyErr_Format(PyExc_BufferError, "%s: a view of a reservation is still out", tried);
        return NULL;
    default:
        return fail_of_library(module, result, tried);
    }
}

static PyObject *fail_evicted(const state *module, uint32_t reason) {
    PyObject *made =
        PyObject_CallFunction(module->evicted, "Is", (unsigned int)reason, zbq_strevict(reason));
    if (made != NULL) {
        PyErr_SetObject(module->evicted, made);
        Py_DECREF(made);
    }
    return NULL;
}

PyObject *fail_reading(const state *module, const reader *of, int result) {
    static const char *const tried = "reading";
    if (result != ZBQ_ERROR_NOENT) {
        return fail(module, result, tried);
    }
    uint32_t reason = 0;
    const zbq_ending ending = zbq_consumer_ending(of->handle, &reason);
    if (ending == ZBQ_ENDING_EVICTED) {
        return fail_evicted(module, reason);
    }
    if (ending == ZBQ_ENDING_MALFORMED) {
        return fail(module, ZBQ_ERROR_PROTOCOL, tried);
    }
    return ending == ZBQ_ENDING_PRODUCER_DIED
               ? set(module->producer_died, 0, tried, "the producer was killed, or crashed")
               : set(module->ended, 0, tried, "the stream has ended");
}
