/* SPDX-License-Identifier: MIT */
/* Of the kernel, what Python 3.11 has no module for: timers and directories to wait for. */
#include "extension.h"

#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static PyObject *result_or_errno(int result) {
    return result < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLong(result);
}

PyObject *watch_make_timer(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    return result_or_errno(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
}

PyObject *watch_set_timer(PyObject *module, PyObject *args) {
    (void)module;
    int fd = -1;
    PyObject *seconds = NULL;
    uint64_t time = 0;
    if (!PyArg_ParseTuple(args, "iO", &fd, &seconds) ||
        !take_nanoseconds(seconds, "seconds", &time)) {
        return NULL;
    }
    const uint64_t second = 1000000000;
    const uint64_t longest = INT64_MAX;
    time = time < longest ? time : longest;
    const struct itimerspec timer = {{0, 0}, {(time_t)(time / second), (long)(time % second)}};
    return result_or_errno(timerfd_settime(fd, 0, &timer, NULL));
}

PyObject *watch_make_inotify(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    return result_or_errno(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
}

PyObject *watch_directory(PyObject *module, PyObject *args) {
    (void)module;
    int fd = -1;
    PyObject *path = NULL;
    if (!PyArg_ParseTuple(args, "iO&", &fd, PyUnicode_FSConverter, &path)) {
        return NULL;
    }
    const uint32_t comes = IN_CREATE | IN_MOVED_TO | IN_ONLYDIR;
    const int result = inotify_add_watch(fd, PyBytes_AsString(path), comes);
    Py_DECREF(path);
    return result_or_errno(result);
}

PyObject *watch_rename_new(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *from = NULL;
    PyObject *to = NULL;
    if (!PyArg_ParseTuple(args, "O&O&", PyUnicode_FSConverter, &from, PyUnicode_FSConverter, &to)) {
        return NULL;
    }
    const unsigned no_replace = 1; /* RENAME_NOREPLACE, include/uapi/linux/fs.h */
    const long result = syscall(SYS_renameat2, -100, PyBytes_AsString(from), -100,
                                PyBytes_AsString(to), no_replace);
    Py_DECREF(from);
    Py_DECREF(to);
    return result_or_errno((int)result);
}

PyObject *watch_generation(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLong(fork_generation());
}
