/* SPDX-License-Identifier: MIT */
/* Accounts, as dictionaries that zbq/_statistics.py makes objects of. */
#include "extension.h"

#include <poll.h>

typedef unsigned long long wide; /* as Py_BuildValue has it */

static PyObject *list_of(const uint64_t *numbers, Py_ssize_t count) {
    PyObject *all = PyTuple_New(count);
    for (Py_ssize_t i = 0; all != NULL && i < count; ++i) {
        PyObject *one = PyLong_FromUnsignedLongLong(numbers[i]);
        if (one == NULL) {
            Py_DECREF(all);
            return NULL;
        }
        PyTuple_SetItem(all, i, one);
    }
    return all;
}

PyObject *producer_statistics(const zbq_producer_statistics *from) {
    PyObject *evicted = list_of(from->evicted, 7);
    return evicted == NULL
               ? NULL
               : Py_BuildValue("{s:K,s:K,s:K,s:N,s:K,s:K,s:K,s:I,s:I}", "head", (wide)from->head,
                               "slowest_tail", (wide)from->slowest_tail, "joined",
                               (wide)from->joined, "evicted", evicted, "failures",
                               (wide)from->failures, "scans", (wide)from->scans, "wakes",
                               (wide)from->wakes, "consumers", from->consumers, "max_consumers",
                               from->max_consumers);
}

PyObject *consumer_information(const zbq_consumer_info *from) {
    return Py_BuildValue("{s:I,s:K,s:K,s:i,s:I,s:I,s:I,s:K,s:K}", "slot", from->slot_index, "lag",
                         (wide)from->lag, "join_number", (wide)from->join_number, "pid", from->pid,
                         "mode", from->mode, "eviction", from->eviction, "fds_in_flight",
                         from->fds_in_flight, "tail", (wide)from->tail, "dropped_records",
                         (wide)from->dropped_records);
}

/* ---- the page of another process ---------------------------------------- */

typedef struct {
    PyObject_HEAD const state *module;
    zbq_stats *page;
    shelter memory; /* to know forks by */
} page_object;

static page_object *as_page(PyObject *self) {
    return (page_object *)self;
}

static int receive(int socket, uint64_t deadline, zbq_stats **out) {
    for (;;) {
        struct pollfd ready = {socket, POLLIN, 0};
        int result = 0;
        const int timeout = poll_timeout(deadline);
        Py_BEGIN_ALLOW_THREADS;
        result = poll(&ready, 1, timeout);
        Py_END_ALLOW_THREADS;
        if (PyErr_CheckSignals() < 0) {
            return result_raised;
        }
        result = result > 0 ? zbq_stats_receive(socket, out) : ZBQ_ERROR_AGAIN;
        if (result != ZBQ_ERROR_AGAIN || left_until(deadline) == 0) {
            return result;
        }
    }
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {"fd", "is_socket", "timeout", NULL};
    static const signature call = {"StatisticsPage", names, 1, 3};
    PyObject *given[3];
    uint64_t deadline = 0;
    state *module = state_of(type);
    if (module == NULL || !take_call(&call, args, kwargs, given) ||
        !take_deadline(given[2], &deadline)) {
        return NULL;
    }
    const int is_socket = given[1] == NULL ? 0 : PyObject_IsTrue(given[1]);
    const int fd = is_socket < 0 ? -1 : PyObject_AsFileDescriptor(given[0]);
    if (fd < 0) {
        return NULL;
    }
    zbq_stats *page = NULL;
    const int result = is_socket != 0 ? receive(fd, deadline, &page) : zbq_stats_open(fd, &page);
    if (result != ZBQ_OK) {
        return fail(module, result, "opening statistics");
    }
    const allocfunc allocate = PyType_GetSlot(type, Py_tp_alloc);
    page_object *made = (page_object *)allocate(type, 0);
    if (made == NULL) {
        zbq_stats_close(page);
        return NULL;
    }
    made->module = module;
    made->page = page;
    shelter_init(&made->memory, NULL, 0);
    return (PyObject *)made;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    zbq_stats_close(as_page(self)->page);
    const freefunc release = PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static int check(const page_object *self) {
    return self->page == NULL               ? result_closed
           : !shelter_is_own(&self->memory) ? result_forked
                                            : ZBQ_OK;
}

static PyObject *close_page(PyObject *self, PyObject *unused) {
    (void)unused;
    zbq_stats_close(as_page(self)->page);
    as_page(self)->page = NULL;
    Py_RETURN_NONE;
}

static PyObject *as_dictionary(const zbq_ring_stats *of) {
    PyObject *evicted = list_of(of->evicted, 8);
    return evicted == NULL
               ? NULL
               : Py_BuildValue("{s:y#,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:N,s:(KII),s:i,"
                               "s:I,s:I,s:I,"
                               "s:I,s:O,s:y}",
                               "ring_id", (const char *)of->ring_id, (Py_ssize_t)16, "written_at",
                               (wide)of->written_at, "created_at", (wide)of->created_at, "capacity",
                               (wide)of->capacity, "head", (wide)of->head, "slowest_tail",
                               (wide)of->slowest_tail, "stall_timeout_ns",
                               (wide)of->stall_timeout_ns, "full_ns", (wide)of->full_ns, "joined",
                               (wide)of->joined, "failures", (wide)of->failures, "scans",
                               (wide)of->scans, "wakes", (wide)of->wakes, "evicted", evicted,
                               "type", (wide)of->payload_type.hash, of->payload_type.size,
                               of->payload_type.align, "pid", of->pid, "consumers", of->consumers,
                               "max_consumers", of->max_consumers, "slots", of->slots,
                               "slowest_slot", of->slowest_slot, "closed",
                               of->closed != 0 ? Py_True : Py_False, "name", of->name);
}

static PyObject *read_page(PyObject *self, PyObject *unused) {
    (void)unused;
    zbq_ring_stats all = {0};
    int result = check(as_page(self));
    if (result == ZBQ_OK) {
        result = zbq_stats_read(as_page(self)->page, &all, sizeof all);
    }
    return result == ZBQ_OK ? as_dictionary(&all)
                            : fail(as_page(self)->module, result, "reading statistics");
}

static PyObject *slot_dictionary(const zbq_slot_stats *of) {
    return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:i,s:I,s:I,s:I,s:I,s:I}",
                         "join_number", (wide)of->join_number, "joined_at", (wide)of->joined_at,
                         "evicted_at", (wide)of->evicted_at, "moved_at", (wide)of->moved_at, "tail",
                         (wide)of->tail, "lag", (wide)of->lag, "times_slowest",
                         (wide)of->times_slowest, "held_ns", (wide)of->held_ns, "lost_bytes",
                         (wide)of->lost_bytes, "dropped_records", (wide)of->dropped_records, "pid",
                         of->pid, "uid", of->uid, "mode", of->mode, "eviction", of->eviction,
                         "fds_in_flight", of->fds_in_flight, "in_the_way", of->in_the_way);
}

static PyObject *read_slot(PyObject *self, PyObject *number) {
    uint64_t slot = 0;
    zbq_slot_stats of = {0};
    if (!take_unsigned(number, "slot", UINT32_MAX, &slot)) {
        return NULL;
    }
    int result = check(as_page(self));
    if (result == ZBQ_OK) {
        result = zbq_stats_slot(as_page(self)->page, (uint32_t)slot, &of, sizeof of);
    }
    if (result == ZBQ_ERROR_NOENT) {
        Py_RETURN_NONE;
    }
    return result == ZBQ_OK ? slot_dictionary(&of)
                            : fail(as_page(self)->module, result, "reading statistics");
}

static PyMethodDef methods[] = {
    {"read", read_page, METH_NOARGS, "The newest account."},
    {"slot", read_slot, METH_O, "A slot's, of the account last read, or None."},
    {"close", close_page, METH_NOARGS, "Unmaps the page."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_doc, "Statistics of another process. Use zbq.inspect."},
                              {Py_tp_new, (void *)make},
                              {Py_tp_dealloc, (void *)dealloc},
                              {Py_tp_methods, methods},
                              {0, NULL}};

PyType_Spec statistics_page_spec = {"zbq._zbq.StatisticsPage", sizeof(page_object), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
