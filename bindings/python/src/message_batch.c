/* SPDX-License-Identifier: MIT */
/* Messages that are there, to be gone through once; all of their room is given back in one go. */
#include "extension.h"

typedef struct {
    PyObject_HEAD const state *module;
    hold *of;
    uint64_t stop; /* it visits no message that starts here or further on */
    uint64_t most, visited;
    int why; /* it ended */
    bool is_done;
} message_batch_object;

static message_batch_object *as_batch(PyObject *self) {
    return (message_batch_object *)self;
}

PyObject *message_batch_make(const state *module, reader *of, uint64_t most) {
    hold *room = hold_make(of, of->window->cursor, of->window->cursor);
    if (room == NULL) {
        return NULL;
    }
    room->is_batch = true;
    message_batch_object *made = PyObject_New(message_batch_object, module->message_batch_type);
    if (made == NULL) {
        hold_let_go(room);
        return NULL;
    }
    made->module = module;
    made->of = room;
    made->stop = 0;
    made->most = most;
    made->visited = 0;
    made->why = ZBQ_OK;
    made->is_done = false;
    return (PyObject *)made;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    hold_let_go(as_batch(self)->of);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* ---- visiting ----------------------------------------------------------- */

/* Whether a call may go on with it. */
static int check(const message_batch_object *self) {
    const reader *of = self->of->of;
    return self->of->is_released          ? result_closed
           : !shelter_is_own(&of->memory) ? result_forked
           : of->is_busy                  ? result_busy
                                          : ZBQ_OK;
}

/* It is one piece: where another call took a message meanwhile, who may hold it, it ends. */
static bool is_over(message_batch_object *self) {
    const hold *room = self->of;
    self->is_done =
        self->is_done || self->visited == self->most ||
        (self->visited != 0 && (room->end >= self->stop || room->of->window->cursor != room->end));
    return self->is_done;
}

static void note(message_batch_object *self, const description *what) {
    hold *room = self->of;
    if (self->visited == 0) {
        const uint64_t longest = room->of->window->capacity / 16; /* so that room is given back */
        const uint64_t head = room->of->window->head;
        room->begin = what->offset;
        self->stop = head - what->offset < longest ? head : what->offset + longest;
    }
    room->end = what->end;
    ++self->visited;
    if (what->seq_id != 0) {
        room->record = what->seq_id;
        room->record_offset = what->offset;
    }
}

/* The next message: false where there is none. */
static bool visit(message_batch_object *self, description *out) {
    if (is_over(self)) {
        return false;
    }
    const int result = reader_take(self->of->of, out);
    if (result != ZBQ_OK) {
        self->is_done = true;
        self->why = result == ZBQ_ERROR_AGAIN ? ZBQ_OK : result;
        return false;
    }
    note(self, out);
    return true;
}

static PyObject *next(PyObject *self) {
    message_batch_object *batch = as_batch(self);
    description what;
    const int result = check(batch);
    if (result != ZBQ_OK) {
        return fail(batch->module, result, "going through a batch");
    }
    return visit(batch, &what) ? message_make(batch->module, batch->of, &what) : NULL;
}

/* ---- copies ------------------------------------------------------------- */

/* Adds those that were whole: of an observer, some may be missing. false with an exception. */
static bool copy_all(message_batch_object *batch, PyObject *list) {
    const bool observes = batch->of->of->window->observes != 0;
    description what;
    while (visit(batch, &what)) {
        PyObject *copy = PyBytes_FromStringAndSize(what.payload, (Py_ssize_t)what.size);
        const bool is_whole = !observes || reader_is_whole(batch->of->of, what.offset);
        const bool is_kept = copy != NULL && (!is_whole || PyList_Append(list, copy) == 0);
        Py_XDECREF(copy);
        if (!is_kept) {
            return false;
        }
    }
    if (!observes && batch->visited != 0 && !reader_is_whole(batch->of->of, batch->of->begin)) {
        fail_reading(batch->module, batch->of->of, ZBQ_ERROR_NOENT);
        return false;
    }
    return true;
}

static PyObject *copies(PyObject *self, PyObject *unused) {
    (void)unused;
    message_batch_object *batch = as_batch(self);
    const int result = check(batch);
    if (result != ZBQ_OK) {
        return fail(batch->module, result, "copying a batch");
    }
    PyObject *list = PyList_New(0);
    if (list != NULL && !copy_all(batch, list)) {
        Py_DECREF(list);
        return NULL;
    }
    return list;
}

/* ---- rows --------------------------------------------------------------- */

/* Visits messages of this size as long as they lie in one piece: how many. */
static uint64_t visit_rows(message_batch_object *batch, uint64_t size, description *first) {
    uint64_t count = 0;
    uint64_t next_size = 0;
    const reader *of = batch->of->of;
    while (!is_over(batch) && reader_peek_size(of, &next_size) && next_size == size) {
        description what;
        if (count != 0 && of->window->cursor != batch->of->end) {
            break;
        }
        if (!visit(batch, &what) || what.size != size) {
            break;
        }
        *first = count == 0 ? what : *first;
        ++count;
    }
    return count;
}

static PyObject *rows(PyObject *self, PyObject *size_given) {
    message_batch_object *batch = as_batch(self);
    uint64_t size = 0;
    description first;
    if (!take_unsigned(size_given, "size", UINT32_MAX, &size)) {
        return NULL; /* first: it may run code of the program */
    }
    int result = check(batch);
    if (result != ZBQ_OK) {
        return fail(batch->module, result, "going through a batch");
    }
    if (batch->visited == 0 && !batch->is_done) {
        result = reader_look(batch->of->of); /* so that some are known */
        batch->why = result == ZBQ_ERROR_AGAIN ? ZBQ_OK : result;
    }
    const uint64_t count = visit_rows(batch, size, &first);
    return rows_make(batch->module, batch->of, count != 0 ? first.payload : NULL, count, size,
                     message_size(size));
}

/* ---- the end ------------------------------------------------------------ */

static PyObject *release(PyObject *self, PyObject *unused) {
    (void)unused;
    const message_batch_object *batch = as_batch(self);
    hold_release(batch->of);
    if (batch->of->exports != 0) {
        PyErr_Format(PyExc_BufferError,
                     "%zd views of the batch are still out: they read whatever lies there",
                     batch->of->exports);
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

static PyObject *intact(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(hold_is_whole(as_batch(self)->of, as_batch(self)->of->begin));
}

static PyObject *get_visited(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(as_batch(self)->visited);
}

static PyObject *get_released(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(as_batch(self)->of->is_released);
}

static PyGetSetDef properties[] = {
    {"visited", get_visited, NULL, "How many messages were visited.", NULL},
    {"released", get_released, NULL, "Whether its room was given back.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMethodDef methods[] = {
    {"copies", copies, METH_NOARGS, "Copies of the payloads of those that are left."},
    {"rows", rows, METH_O, "Those of one size that follow each other, as rows, in place."},
    {"intact", intact, METH_NOARGS,
     "Whether the bytes of all that were visited were whole until now, or the end."},
    {"release", release, METH_NOARGS, "Gives the room of all back."},
    {"__enter__", enter, METH_NOARGS, "The batch."},
    {"__exit__", leave, METH_VARARGS, "Gives the room of all back."},
    {NULL, NULL, 0, NULL}};

static PyObject *iterate(PyObject *self) {
    Py_INCREF(self);
    return self;
}

static PyType_Slot slots[] = {{Py_tp_doc, "Messages that are there, in place."},
                              {Py_tp_dealloc, (void *)dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {Py_tp_iter, (void *)iterate},
                              {Py_tp_iternext, (void *)next},
                              {0, NULL}};

PyType_Spec message_batch_spec = {"zbq._zbq.MessageBatch", sizeof(message_batch_object), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
