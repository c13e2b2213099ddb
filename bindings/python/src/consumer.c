/* SPDX-License-Identifier: MIT */
/* The consumer as an object. */
#include "extension.h"

#include <errno.h>
#include <poll.h>

typedef struct {
    PyObject_HEAD state *module;
    reader *of;             /* NULL once it is closed */
    bool takes_descriptors; /* along with copies */
} consumer_object;

static consumer_object *as_consumer(PyObject *self) {
    return (consumer_object *)self;
}

/* NULL with an exception. */
static reader *reader_of(PyObject *self, const char *tried) {
    reader *of = as_consumer(self)->of;
    const int result = reader_check(of);
    if (result != ZBQ_OK) {
        fail(as_consumer(self)->module, result, tried);
        return NULL;
    }
    return of;
}

/* ---- joining ------------------------------------------------------------ */

/* Until the other end has sent something: 0, or why not. */
static int wait_for_socket(int socket, uint64_t deadline) {
    struct pollfd ready = {socket, POLLIN, 0};
    int result = 0;
    while (result == 0) {
        const int timeout = poll_timeout(deadline);
        Py_BEGIN_ALLOW_THREADS;
        result = poll(&ready, 1, timeout);
        Py_END_ALLOW_THREADS;
        if (PyErr_CheckSignals() < 0) {
            return result_raised;
        }
        if (result < 0 && errno != EINTR) {
            return ZBQ_ERROR_IO;
        }
        result = result < 0 ? 0 : result;
        if (result == 0 && left_until(deadline) == 0) {
            return ZBQ_ERROR_AGAIN;
        }
    }
    return ZBQ_OK;
}

static int join(int socket, zbq_wakeup_mode mode, uint64_t deadline, zbq_consumer **out) {
    int result = ZBQ_ERROR_AGAIN;
    while (result == ZBQ_ERROR_AGAIN) {
        result = wait_for_socket(socket, deadline);
        if (result != ZBQ_OK) {
            return result;
        }
        Py_BEGIN_ALLOW_THREADS; /* mapping takes time with the ring's size */
        result = zbq_consumer_join(socket, mode, out);
        Py_END_ALLOW_THREADS;
    }
    return result;
}

static PyObject *make_object(PyTypeObject *type, state *module, zbq_consumer *handle, bool is_push,
                             bool is_newest) {
    reader *of = reader_make(handle, is_push, is_newest);
    if (of == NULL) {
        zbq_consumer_destroy(handle);
        return NULL;
    }
    const allocfunc allocate = PyType_GetSlot(type, Py_tp_alloc);
    consumer_object *made = (consumer_object *)allocate(type, 0);
    if (made == NULL) {
        reader_let_go(of);
        return NULL;
    }
    made->module = module;
    made->of = of;
    return (PyObject *)made;
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {"socket", "mode", "newest", "timeout", NULL};
    static const signature call = {"Consumer", names, 1, 4};
    PyObject *given[4];
    uint64_t mode = 0;
    uint64_t deadline = 0;
    state *module = state_of(type);
    if (module == NULL || !take_call(&call, args, kwargs, given) ||
        !take_unsigned(given[1], "mode", ZBQ_OBSERVE_PULL, &mode) ||
        !take_deadline(given[3], &deadline)) {
        return NULL;
    }
    const int is_newest = given[2] == NULL ? 0 : PyObject_IsTrue(given[2]);
    const int socket = is_newest < 0 ? -1 : PyObject_AsFileDescriptor(given[0]);
    if (socket < 0) {
        return NULL;
    }
    zbq_consumer *handle = NULL;
    const int result = join(socket, (zbq_wakeup_mode)mode, deadline, &handle);
    return result == ZBQ_OK
               ? make_object(type, module, handle, (mode & ZBQ_WAKEUP_PULL) == 0, is_newest != 0)
               : fail(module, result, "joining a producer");
}

static void let_go(consumer_object *self) {
    if (self->of != NULL) {
        self->of->is_closed = true;
        reader_let_go(self->of);
        self->of = NULL;
    }
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    let_go(as_consumer(self));
    const freefunc release = PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *close_consumer(PyObject *self, PyObject *unused) {
    (void)unused;
    reader *of = as_consumer(self)->of;
    if (of == NULL) {
        Py_RETURN_NONE;
    }
    if (shelter_is_own(&of->memory) && of->is_busy) {
        return fail(as_consumer(self)->module, result_busy, "closing a consumer");
    }
    const Py_ssize_t views = of->memory.exports;
    let_go(as_consumer(self));
    if (views != 0) {
        PyErr_Format(PyExc_BufferError,
                     "%zd views of messages are still out: it has its slot until the last one goes",
                     views);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- copies ------------------------------------------------------------- */

static const int most_laps = 8; /* in a row, after which an observer gives up for now */

/* The next message, copied, or result_torn, or another; *payload may be set in any case. */
static int copy_once(reader *of, description *what, PyObject **payload) {
    const int result = reader_take(of, what);
    if (result != ZBQ_OK) {
        return result;
    }
    *payload = PyBytes_FromStringAndSize(what->payload, (Py_ssize_t)what->size);
    return *payload == NULL                    ? result_raised
           : reader_is_whole(of, what->offset) ? ZBQ_OK
           : of->window->observes != 0         ? result_torn
                                               : ZBQ_ERROR_NOENT;
}

/* What was taken is held for as long as this takes, so that its descriptors are there. */
static int copy_next(consumer_object *self, reader *of, uint64_t deadline, description *what,
                     PyObject **payload, descriptor_list *list) {
    int result = result_torn;
    list->count = 0;
    for (int laps = 0; result == result_torn && laps < most_laps; ++laps) {
        Py_XDECREF(*payload);
        *payload = NULL;
        result = copy_once(of, what, payload);
    }
    if (result != ZBQ_OK) {
        return result == result_torn ? ZBQ_ERROR_AGAIN : result;
    }
    reader_hold(of);
    if (what->seq_id != 0 && self->takes_descriptors) {
        result = reader_collect(of, what, deadline, list);
        /* Those that never come, or not in time: how many there should be is told. */
        result = result == result_raised || result == result_forked ? result : ZBQ_OK;
    } else if (what->seq_id != 0) {
        reader_drop_record(of, what->seq_id, what->offset);
    }
    reader_release(of, what->offset, what->end);
    return result;
}

/* A copy, or NULL: with an exception, or with *result at ZBQ_ERROR_AGAIN. */
static PyObject *try_copy(consumer_object *self, reader *of, uint64_t deadline, int *result) {
    description what;
    descriptor_list list;
    PyObject *payload = NULL;
    *result = copy_next(self, of, deadline, &what, &payload, &list);
    if (*result == ZBQ_OK) {
        return copied_make(self->module, &what, payload,
                           list.count != 0 ? own_descriptors(self->module, &list) : PyTuple_New(0));
    }
    close_descriptors(&list);
    Py_XDECREF(payload);
    return *result == ZBQ_ERROR_AGAIN ? NULL : fail_reading(self->module, of, *result);
}

static PyObject *receive_kept(consumer_object *self, reader *of, uint64_t deadline, uint64_t spin) {
    int result = ZBQ_OK;
    PyObject *copy = try_copy(self, of, deadline, &result);
    while (copy == NULL && result == ZBQ_ERROR_AGAIN) {
        result = reader_wait(of, deadline, spin);
        if (result != ZBQ_OK) {
            return result == result_closed ? fail(self->module, result, "reading")
                                           : fail_reading(self->module, of, result);
        }
        copy = try_copy(self, of, deadline, &result);
    }
    return copy;
}

static PyObject *receive(consumer_object *self, uint64_t deadline, uint64_t spin) {
    reader *of = reader_of((PyObject *)self, "reading");
    if (of == NULL) {
        return NULL;
    }
    reader_keep(of); /* a handler of signals may close it */
    PyObject *copy = receive_kept(self, of, deadline, spin);
    reader_let_go(of);
    return copy;
}

static bool take_wait(PyObject *const *args, Py_ssize_t count, PyObject *names, const char *call,
                      uint64_t *deadline, uint64_t *spin) {
    static const char *const parameters[] = {"timeout", "spin", NULL};
    const signature what = {call, parameters, 0, 1};
    PyObject *given[2];
    *spin = 0;
    return take_arguments(&what, args, count, names, given) && take_deadline(given[0], deadline) &&
           take_nanoseconds(given[1], "spin", spin);
}

static PyObject *recv_copy(PyObject *self, PyObject *const *args, Py_ssize_t count,
                           PyObject *names) {
    uint64_t deadline = 0;
    uint64_t spin = 0;
    return take_wait(args, count, names, "recv", &deadline, &spin)
               ? receive(as_consumer(self), deadline, spin)
               : NULL;
}

static PyObject *try_recv(PyObject *self, PyObject *unused) {
    (void)unused;
    int result = ZBQ_OK;
    reader *of = reader_of(self, "reading");
    if (of == NULL) {
        return NULL;
    }
    reader_keep(of);
    PyObject *copy = try_copy(as_consumer(self), of, 0, &result);
    reader_let_go(of);
    if (copy == NULL && result == ZBQ_ERROR_AGAIN) {
        Py_RETURN_NONE;
    }
    return copy;
}

static PyObject *iterate(PyObject *self) {
    Py_INCREF(self);
    return self;
}

static PyObject *next(PyObject *self) {
    PyObject *copy = receive(as_consumer(self), never, 0);
    if (copy == NULL && PyErr_ExceptionMatches(as_consumer(self)->module->ended) &&
        !PyErr_ExceptionMatches(as_consumer(self)->module->producer_died)) {
        PyErr_Clear(); /* the end of the iteration */
    }
    return copy;
}

/* ---- in place ----------------------------------------------------------- */

/* NULL: with an exception, or with *result at ZBQ_ERROR_AGAIN. */
static PyObject *take_message(consumer_object *self, reader *of, int *result) {
    description what;
    *result = reader_take(of, &what);
    if (*result != ZBQ_OK) {
        return *result == ZBQ_ERROR_AGAIN ? NULL : fail_reading(self->module, of, *result);
    }
    hold *room = hold_make(of, what.offset, what.end);
    if (room == NULL) {
        return NULL;
    }
    room->record = what.seq_id;
    room->record_offset = what.offset;
    PyObject *message = message_make(self->module, room, &what);
    hold_let_go(room);
    return message;
}

static PyObject *try_next(PyObject *self, PyObject *unused) {
    (void)unused;
    int result = ZBQ_OK;
    reader *of = reader_of(self, "reading");
    if (of == NULL) {
        return NULL;
    }
    PyObject *message = take_message(as_consumer(self), of, &result);
    if (message == NULL && result == ZBQ_ERROR_AGAIN) {
        Py_RETURN_NONE;
    }
    return message;
}

static PyObject *next_kept(consumer_object *self, reader *of, uint64_t deadline, uint64_t spin) {
    int result = ZBQ_OK;
    PyObject *message = take_message(self, of, &result);
    while (message == NULL && result == ZBQ_ERROR_AGAIN) {
        result = reader_wait(of, deadline, spin);
        if (result != ZBQ_OK) {
            return result == result_closed ? fail(self->module, result, "reading")
                                           : fail_reading(self->module, of, result);
        }
        message = take_message(self, of, &result);
    }
    return message;
}

static PyObject *next_message(PyObject *self, PyObject *const *args, Py_ssize_t count,
                              PyObject *names) {
    uint64_t deadline = 0;
    uint64_t spin = 0;
    if (!take_wait(args, count, names, "next", &deadline, &spin)) {
        return NULL;
    }
    reader *of = reader_of(self, "reading");
    if (of == NULL) {
        return NULL;
    }
    reader_keep(of);
    PyObject *message = next_kept(as_consumer(self), of, deadline, spin);
    reader_let_go(of);
    return message;
}

static PyObject *batch(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const char *const parameters[] = {"most", NULL};
    static const signature call = {"batch", parameters, 0, 1};
    PyObject *given[1];
    uint64_t most = UINT64_MAX;
    if (!take_arguments(&call, args, count, names, given) ||
        (given[0] != Py_None && !take_unsigned(given[0], "most", UINT64_MAX, &most))) {
        return NULL;
    }
    reader *of = reader_of(self, "taking a batch");
    return of == NULL ? NULL : message_batch_make(as_consumer(self)->module, of, most);
}

/* Copies of what was retained; of an index past the last one None. */
static PyObject *retained_at(consumer_object *self, reader *of, uint32_t index) {
    zbq_msg_view view;
    description what;
    descriptor_list list;
    const int result = zbq_consumer_retained(of->handle, index, &view);
    if (result == ZBQ_ERROR_NOENT) {
        Py_RETURN_NONE;
    }
    if (result != ZBQ_OK) {
        return fail(self->module, result, "reading what is retained");
    }
    describe(&view, &what);
    list.count = 0;
    if (what.seq_id != 0 && self->takes_descriptors && of->is_push) {
        reader_collect(of, &what, 0, &list); /* they were sent before the join */
    }
    PyObject *payload = PyBytes_FromStringAndSize(what.payload, (Py_ssize_t)what.size);
    return copied_make(self->module, &what, payload, own_descriptors(self->module, &list));
}

static PyObject *retained(PyObject *self, PyObject *unused) {
    (void)unused;
    reader *of = reader_of(self, "reading what is retained");
    PyObject *list = of == NULL ? NULL : PyList_New(0);
    for (uint32_t index = 0; list != NULL; ++index) {
        PyObject *one = retained_at(as_consumer(self), of, index);
        if (one == Py_None) {
            Py_DECREF(one);
            break;
        }
        if (one == NULL || PyList_Append(list, one) < 0) {
            Py_DECREF(list);
            list = NULL;
        }
        Py_XDECREF(one);
    }
    return list;
}

/* ---- waiting ------------------------------------------------------------ */

static PyObject *wait_for_message(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                  PyObject *names) {
    uint64_t deadline = 0;
    uint64_t spin = 0;
    if (!take_wait(args, count, names, "wait", &deadline, &spin)) {
        return NULL;
    }
    reader *of = reader_of(self, "waiting for messages");
    if (of == NULL) {
        return NULL;
    }
    reader_keep(of);
    const int result = reader_wait(of, deadline, spin);
    PyObject *answer = result == ZBQ_OK || result == ZBQ_ERROR_AGAIN
                           ? PyBool_FromLong(result == ZBQ_OK)
                           : fail_reading(as_consumer(self)->module, of, result);
    reader_let_go(of);
    return answer;
}

static PyObject *event_fd(PyObject *self, PyObject *unused) {
    (void)unused;
    reader *of = reader_of(self, "making a descriptor to wait for");
    if (of == NULL) {
        return NULL;
    }
    const int fd = zbq_consumer_event_fd(of->handle);
    return fd < 0 ? fail(as_consumer(self)->module, fd, "making a descriptor to wait for")
                  : PyLong_FromLong(fd);
}

/* ---- moving ------------------------------------------------------------- */

/* As zbq_consumer_skip: 0, or a result. */
static PyObject *skip(PyObject *self, PyObject *offset_given) {
    uint64_t offset = 0;
    if (!take_unsigned(offset_given, "offset", UINT64_MAX, &offset)) {
        return NULL;
    }
    reader *of = reader_of(self, "going to an offset");
    if (of != NULL && of->held != 0) { /* whose room would go with all before */
        return fail(as_consumer(self)->module, ZBQ_ERROR_INVALID,
                    "going to an offset while messages are held");
    }
    return of == NULL ? NULL : PyLong_FromLong(zbq_consumer_skip(of->handle, offset));
}

static PyObject *seek(PyObject *self, PyObject *where_given) {
    uint64_t where = 0;
    if (!take_unsigned(where_given, "where", ZBQ_SEEK_HEAD, &where)) {
        return NULL;
    }
    reader *of = reader_of(self, "moving");
    if (of == NULL) {
        return NULL;
    }
    const int result = zbq_consumer_seek(of->handle, (zbq_seek_to)where);
    if (result != ZBQ_OK) {
        return fail(as_consumer(self)->module, result, "moving");
    }
    Py_RETURN_NONE;
}

/* ---- what can be asked -------------------------------------------------- */

static PyObject *get_closed(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(as_consumer(self)->of == NULL);
}

static PyObject *get_offset(PyObject *self, void *unused) {
    (void)unused;
    reader *of = reader_of(self, "asking for the offset");
    return of == NULL ? NULL : PyLong_FromUnsignedLongLong(of->window->cursor);
}

static PyObject *get_tail(PyObject *self, void *unused) {
    (void)unused;
    reader *of = reader_of(self, "asking for the tail");
    return of == NULL ? NULL : PyLong_FromUnsignedLongLong(of->window->tail);
}

static PyObject *get_head(PyObject *self, void *unused) {
    (void)unused;
    reader *of = reader_of(self, "asking for the head");
    return of == NULL ? NULL : PyLong_FromUnsignedLongLong(zbq_consumer_acquire_head(of->handle));
}

static PyObject *get_capacity(PyObject *self, void *unused) {
    (void)unused;
    reader *of = reader_of(self, "asking for the capacity");
    return of == NULL ? NULL : PyLong_FromUnsignedLongLong(of->window->capacity);
}

static PyObject *get_id(PyObject *self, void *unused) {
    (void)unused;
    reader *of = reader_of(self, "asking for the ring's id");
    return of == NULL ? NULL
                      : PyBytes_FromStringAndSize(
                            (const char *)zbq_consumer_ctrl(of->handle)->ring_id, 16);
}

static PyObject *get_lost(PyObject *self, void *unused) {
    (void)unused;
    zbq_loss loss = {0, 0};
    reader *of = reader_of(self, "asking what was lost");
    if (of == NULL) {
        return NULL;
    }
    zbq_consumer_lost(of->handle, &loss);
    return Py_BuildValue("KK", (unsigned long long)loss.bytes, (unsigned long long)loss.times);
}

static PyObject *get_type(PyObject *self, void *unused) {
    (void)unused;
    zbq_type type = {0, 0, 0};
    reader *of = reader_of(self, "asking for the type");
    if (of == NULL) {
        return NULL;
    }
    zbq_consumer_type(of->handle, &type);
    return Py_BuildValue("KII", (unsigned long long)type.hash, type.size, type.align);
}

static PyObject *get_ending(PyObject *self, void *unused) {
    (void)unused;
    uint32_t reason = 0;
    reader *of = reader_of(self, "asking how the stream stands");
    if (of == NULL) {
        return NULL;
    }
    const zbq_ending ending = zbq_consumer_ending(of->handle, &reason);
    return Py_BuildValue("iI", (int)ending, reason);
}

static PyObject *get_observes(PyObject *self, void *unused) {
    (void)unused;
    reader *of = reader_of(self, "asking whether it observes");
    return of == NULL ? NULL : PyBool_FromLong(of->window->observes != 0);
}

static PyObject *get_is_push(PyObject *self, void *unused) {
    (void)unused;
    reader *of = reader_of(self, "asking for the mode");
    return of == NULL ? NULL : PyBool_FromLong(of->is_push);
}

static PyObject *get_takes(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(as_consumer(self)->takes_descriptors);
}

static int set_takes(PyObject *self, PyObject *value, void *unused) {
    (void)unused;
    const int takes = value == NULL ? -1 : PyObject_IsTrue(value);
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "it cannot be deleted");
    }
    as_consumer(self)->takes_descriptors = takes > 0;
    return takes < 0 ? -1 : 0;
}

static PyObject *producer_is_alive(PyObject *self, PyObject *unused) {
    (void)unused;
    reader *of = reader_of(self, "asking for the producer");
    return of == NULL ? NULL : PyBool_FromLong(zbq_consumer_is_producer_alive(of->handle));
}

static PyGetSetDef properties[] = {
    {"closed", get_closed, NULL, "Whether it was closed.", NULL},
    {"offset", get_offset, NULL, "Where the next message starts that it has not taken.", NULL},
    {"tail", get_tail, NULL, "Up to here it has let go.", NULL},
    {"head", get_head, NULL, "Up to here messages are committed.", NULL},
    {"capacity", get_capacity, NULL, "Bytes of the ring.", NULL},
    {"id", get_id, NULL, "16 bytes that tell this ring from all others.", NULL},
    {"_lost", get_lost, NULL, "Bytes and times.", NULL},
    {"_type", get_type, NULL, "Hash, size and alignment.", NULL},
    {"_ending", get_ending, NULL, "The ending, and the reason of an eviction.", NULL},
    {"observes", get_observes, NULL, "Whether nobody waits for it.", NULL},
    {"_is_push", get_is_push, NULL, "Whether it is woken.", NULL},
    {"takes_fds", get_takes, set_takes, "Whether copies come with their descriptors.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

#define CALL(name, function, text)                                                                 \
    { name, (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS, text }

static PyMethodDef methods[] = {
    {"close", close_consumer, METH_NOARGS,
     "close($self)\n"
     "--\n"
     "\n"
     "Leaves the ring, once the last of its messages and views goes. BufferError where views are "
     "out.\n"
     "BusyError while another thread is within. Nothing, when that was done."},
    CALL("recv", recv_copy,
         "recv($self, timeout=None, *, spin=0)\n"
         "--\n"
         "\n"
         "The next message, copied, and let go: what was copied was whole. Blocks for timeout "
         "seconds at\n"
         "most; None: for as long as it takes. spin: seconds for which it looks before it sleeps, "
         "which\n"
         "keeps the processor busy. Other threads run meanwhile, and a signal's handler may end "
         "it.\n"
         "\n"
         "Raises AgainError (not in time), EndedError (the end), ProducerDiedError (the same, but "
         "it was\n"
         "killed), EvictedError (this consumer lost its slot), ProtocolError (the stream is "
         "malformed),\n"
         "BusyError, ClosedError, ForkedError."),
    {"try_recv", try_recv, METH_NOARGS,
     "try_recv($self)\n"
     "--\n"
     "\n"
     "The next message, copied, or None where there is none now. Never blocks. Raises as recv."},
    CALL("next", next_message,
         "next($self, timeout=None, *, spin=0)\n"
         "--\n"
         "\n"
         "The next message in place, which holds its room in the ring until it is released. Blocks "
         "and raises\n"
         "as recv."),
    {"try_next", try_next, METH_NOARGS,
     "try_next($self)\n"
     "--\n"
     "\n"
     "The next message in place, or None where there is none now. Never blocks. Raises as recv."},
    CALL("batch", batch,
         "batch($self, most=None)\n"
         "--\n"
         "\n"
         "The messages that are there, at most so many, in place: to be gone through within a with "
         "block, at\n"
         "whose end all of their room is given back. No more than a sixteenth of the ring at once. "
         "Never\n"
         "blocks."),
    {"retained", retained, METH_NOARGS,
     "retained($self)\n"
     "--\n"
     "\n"
     "Copies of what the producer retained when this consumer joined, in that order; with their\n"
     "descriptors where takes_fds is set. What changed since comes in the stream."},
    CALL("wait", wait_for_message,
         "wait($self, timeout=None, *, spin=0)\n"
         "--\n"
         "\n"
         "Blocks until there is something to read, for timeout seconds at most. Returns False "
         "where there is\n"
         "nothing in that time. spin, and exceptions, as for recv."),
    {"event_fd", event_fd, METH_NOARGS,
     "event_fd($self)\n"
     "--\n"
     "\n"
     "A descriptor that becomes readable when there is something to read, or the end. Read until "
     "try_recv\n"
     "gives None, then wait for it. It stays this object's. InvalidError in pull mode."},
    {"_skip", skip, METH_O, "Goes on to an offset."},
    {"_seek", seek, METH_O, "Where an observer goes on."},
    {"producer_is_alive", producer_is_alive, METH_NOARGS,
     "producer_is_alive($self)\n"
     "--\n"
     "\n"
     "Whether the producer's process runs. Makes a system call."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_doc, "Reads from a ring. Use zbq.connect."},
                              {Py_tp_new, (void *)make},
                              {Py_tp_dealloc, (void *)dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {Py_tp_iter, (void *)iterate},
                              {Py_tp_iternext, (void *)next},
                              {0, NULL}};

PyType_Spec consumer_spec = {"zbq._zbq.Consumer", sizeof(consumer_object), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
