/* SPDX-License-Identifier: MIT */
/* What the calls of a producer have in common. */
#ifndef ZBQ_PYTHON_PRODUCER_H
#define ZBQ_PYTHON_PRODUCER_H

#include "extension.h"

#include <time.h>

typedef struct {
    PyObject_HEAD state *module;
    ring *of;    /* NULL once it is closed */
    bool serves; /* something is attached, for _serve_beside */
    struct timespec served_at;
} producer_object;

/* What a call tries, with the ring kept: a result. */
typedef int attempt(ring *of, void *context);

/* Tries, and waits, until the deadline. The ring may be gone or closed after it. */
int producer_try(producer_object *self, attempt *what, void *context, uint64_t deadline);
/* None, or NULL with an exception that says what was tried. */
PyObject *producer_result(const producer_object *self, int result, const char *tried);
/* The ring, for a call that neither waits nor writes into it; NULL with an exception. */
ring *producer_ring(const producer_object *self, const char *tried);

/* A call of Python with arguments by place and by name. */
typedef PyObject *producer_call(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                PyObject *names);

/* publish.c */
producer_call producer_try_publish, producer_publish, producer_publish_many, producer_publish_items,
    producer_reserve, producer_batch, producer_wait_for_room;
/* manage.c */
producer_call producer_retain, producer_forget, producer_released, producer_wait_released,
    producer_admit, producer_find_start, producer_set_patience, producer_set_type,
    producer_set_name, producer_consumer_info, producer_send_statistics;
PyObject *producer_event_fd(PyObject *self, PyObject *unused);
PyObject *producer_scan(PyObject *self, PyObject *unused);
PyObject *producer_counters(PyObject *self, PyObject *unused);
PyObject *producer_statistics_fd(PyObject *self, PyObject *unused);
PyObject *producer_refresh_statistics(PyObject *self, PyObject *unused);
PyObject *producer_set_serving(PyObject *self, PyObject *serves);

#endif
