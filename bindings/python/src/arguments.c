/* SPDX-License-Identifier: MIT */
/* What is given to calls: names, numbers, times. Each refusal says what was expected. */
#include "extension.h"

#include <math.h>
#include <time.h>

static int find_name(const signature *what, PyObject *name) {
    for (int i = 0; what->names[i] != NULL; ++i) {
        if (PyUnicode_CompareWithASCIIString(name, what->names[i]) == 0) {
            return i;
        }
    }
    PyErr_Format(PyExc_TypeError, "%s() has no argument '%U'", what->call, name);
    return -1;
}

static int count_of(const signature *what) {
    int count = 0;
    while (what->names[count] != NULL) {
        ++count;
    }
    return count;
}

static bool take_positional(const signature *what, Py_ssize_t count) {
    if (count > what->positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes %d arguments without a name at most, not %zd",
                     what->call, what->positional, count);
        return false;
    }
    return true;
}

static bool set_named(const signature *what, PyObject *name, PyObject *value, PyObject **out) {
    const int at = find_name(what, name);
    if (at < 0) {
        return false;
    }
    if (out[at] != NULL) {
        PyErr_Format(PyExc_TypeError, "%s() was given '%U' twice", what->call, name);
        return false;
    }
    out[at] = value;
    return true;
}

static bool has_required(const signature *what, PyObject *const *out) {
    for (int i = 0; i < what->required; ++i) {
        if (out[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() needs '%s'", what->call, what->names[i]);
            return false;
        }
    }
    return true;
}

bool take_arguments(const signature *what, PyObject *const *given, Py_ssize_t count,
                    PyObject *names, PyObject **out) {
    const int all = count_of(what);
    for (int i = 0; i < all; ++i) {
        out[i] = NULL;
    }
    if (!take_positional(what, count)) {
        return false;
    }
    for (Py_ssize_t i = 0; i < count; ++i) {
        out[i] = given[i];
    }
    const Py_ssize_t named = names != NULL ? PyTuple_Size(names) : 0;
    for (Py_ssize_t i = 0; i < named; ++i) {
        if (!set_named(what, PyTuple_GetItem(names, i), given[count + i], out)) {
            return false;
        }
    }
    return has_required(what, out);
}

bool take_call(const signature *what, PyObject *tuple, PyObject *dict, PyObject **out) {
    const int all = count_of(what);
    for (int i = 0; i < all; ++i) {
        out[i] = NULL;
    }
    const Py_ssize_t count = PyTuple_Size(tuple);
    if (!take_positional(what, count)) {
        return false;
    }
    for (Py_ssize_t i = 0; i < count; ++i) {
        out[i] = PyTuple_GetItem(tuple, i);
    }
    PyObject *name = NULL;
    PyObject *value = NULL;
    Py_ssize_t at = 0;
    while (dict != NULL && PyDict_Next(dict, &at, &name, &value)) {
        if (!set_named(what, name, value, out)) {
            return false;
        }
    }
    return has_required(what, out);
}

/* ---- numbers ------------------------------------------------------------ */

bool take_unsigned(PyObject *number, const char *name, uint64_t most, uint64_t *out) {
    if (number == NULL) {
        return true;
    }
    PyObject *index = PyNumber_Index(number);
    if (index == NULL) {
        return false;
    }
    const uint64_t value = PyLong_AsUnsignedLongLong(index);
    Py_DECREF(index);
    const bool is_out = PyErr_Occurred() != NULL;
    if (is_out && !PyErr_ExceptionMatches(PyExc_OverflowError)) {
        return false;
    }
    if (is_out || value > most) {
        PyErr_Clear();
        PyObject *limit = PyLong_FromUnsignedLongLong(most);
        if (limit != NULL) {
            PyErr_Format(PyExc_ValueError, "%s is %R, not from 0 to %S", name, number, limit);
            Py_DECREF(limit);
        }
        return false;
    }
    *out = value;
    return true;
}

/* ---- times -------------------------------------------------------------- */

static const uint64_t second = 1000000000;

bool take_nanoseconds(PyObject *seconds, const char *name, uint64_t *out) {
    if (seconds == NULL) {
        return true;
    }
    const double value = PyFloat_AsDouble(seconds);
    if (PyErr_Occurred() != NULL) {
        return false;
    }
    if (!(value >= 0)) { /* nor what is no number */
        PyErr_Format(PyExc_ValueError, "%s is %R, not 0 seconds or more", name, seconds);
        return false;
    }
    const double longest = 9e9; /* some 300 years: what is more is for ever */
    *out = value >= longest ? never : (uint64_t)ceil(value * (double)second);
    return true;
}

bool take_deadline(PyObject *seconds, uint64_t *out) {
    *out = never;
    if (seconds == NULL || seconds == Py_None) {
        return true;
    }
    uint64_t time = 0;
    if (!take_nanoseconds(seconds, "timeout", &time)) {
        return false;
    }
    *out = time == 0 ? 0 : time < never - clock_now() ? clock_now() + time : never;
    return true;
}

uint64_t clock_now(void) {
    struct timespec time = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * second + (uint64_t)time.tv_nsec;
}

uint64_t left_until(uint64_t deadline) {
    if (deadline == never || deadline == 0) {
        return deadline;
    }
    const uint64_t now = clock_now();
    return deadline > now ? deadline - now : 0;
}

int poll_timeout(uint64_t deadline) {
    const uint64_t millisecond = 1000000;
    const uint64_t left = left_until(deadline);
    const uint64_t slice = left < ZBQ_WAIT_SLICE_NS ? left : ZBQ_WAIT_SLICE_NS;
    return (int)((slice + millisecond - 1) / millisecond);
}
