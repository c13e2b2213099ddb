/* SPDX-License-Identifier: MIT */
/* What the parts of the extension share. Each part opens with what it owns.
 *
 * Two rules keep it whole, whatever a program does:
 *   - An object of Python never owns a handle of the library. A reader or a ring does, which is
 *     counted, and is destroyed with the last object, message or buffer that may look at its
 * memory.
 *   - Where the lock of the interpreter is let go, or code of the program runs, the handle is left
 * in a state that another call may find; where it cannot be, it is marked busy, and calls are
 * refused.
 */
#ifndef ZBQ_PYTHON_EXTENSION_H
#define ZBQ_PYTHON_EXTENSION_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "zbq.h"

#include <stdbool.h>
#include <stdint.h>

/* Beside the results of the library, which are 0 and negative. */
enum {
    result_raised = 1,     /* an exception is set */
    result_closed = 2,     /* the handle was closed meanwhile */
    result_torn = 3,       /* it was overwritten while it was read */
    result_busy = 4,       /* another thread is in a call, or this one further up */
    result_forked = 5,     /* of another process */
    result_view_is_out = 6 /* a view of an open reservation */
};

/* ---- module.c ----------------------------------------------------------- */

/* Of the module: its types, and the exceptions of zbq._errors. It is never cleared, since an object
 * may outlive the module in the end of the interpreter. */
typedef struct state {
    PyObject *invalid, *no_memory, *again, *io, *protocol, *too_large, *none, *closed, *torn, *busy,
        *forked;
    PyObject *ended, *producer_died, *evicted;
    PyObject *descriptor; /* zbq._descriptor.Descriptor */
    PyTypeObject *room_type, *reservation_type, *batch_type, *message_type, *message_batch_type,
        *copied_type, *rows_type;
} state;

/* Of a type of the module, or of one that is derived from it. NULL with an exception. */
state *state_of(PyTypeObject *type);

/* ---- failure.c ---------------------------------------------------------- */

/* Sets the exception of a result, unless it is result_raised; errno is that of the call just made.
 * What was tried, in words. Gives NULL. */
PyObject *fail(const state *module, int result, const char *tried);

/* ---- arguments.c -------------------------------------------------------- */

/* How the arguments of a call are named; the first so many may be given without a name. */
typedef struct signature {
    const char *call;
    const char *const *names; /* ends with NULL */
    int required;
    int positional;
} signature;

/* One pointer for each name: NULL where it was not given. false with an exception. */
bool take_arguments(const signature *what, PyObject *const *given, Py_ssize_t count,
                    PyObject *names, PyObject **out);
/* The same for what is called with a tuple and a dict, as types are. */
bool take_call(const signature *what, PyObject *tuple, PyObject *dict, PyObject **out);

/* NULL and None: for ever. false with an exception. */
bool take_deadline(PyObject *seconds, uint64_t *out);
/* NULL gives what was there. false with an exception. */
bool take_nanoseconds(PyObject *seconds, const char *name, uint64_t *out);
bool take_unsigned(PyObject *number, const char *name, uint64_t most, uint64_t *out);

static const uint64_t never = UINT64_MAX;

uint64_t clock_now(void);
/* 0: it has passed. */
uint64_t left_until(uint64_t deadline);
/* For poll: rounded up, and a slice at most. */
int poll_timeout(uint64_t deadline);

/* ---- fork.c ------------------------------------------------------------- */

/* Memory that buffers may look at. The library's mappings are not there in a forked child; what is
 * exported gets pages of zeros there, so that a view that came along reads them. */
typedef struct shelter {
    const char *base;
    uint64_t size;
    Py_ssize_t exports;
    unsigned long generation; /* of the process that has made it */
    struct shelter *next, *previous;
} shelter;

bool prepare_for_forks(void);
/* How many forks lie between this process and the one that imported the module. */
unsigned long fork_generation(void);
void shelter_init(shelter *place, const char *base, uint64_t size);
bool shelter_is_own(const shelter *place);
void shelter_export(shelter *place);
void shelter_give_back(shelter *place);

/* ---- ring.c: what a producer is ----------------------------------------- */

typedef struct ring {
    shelter memory; /* its exports are views of what is reserved */
    zbq_producer *handle;
    zbq_commit_window *window;
    size_t references;
    uint64_t reservations; /* the newest is the one that can be committed */
    bool is_busy;
    bool is_closed; /* by its producer object */
} ring;

ring *ring_make(const zbq_producer_params *params, int *result);
void ring_keep(ring *of);
void ring_let_go(ring *of);
/* Whether a call may use it: 0, or why not. */
int ring_check(const ring *of);
/* The same for a call that writes into it. */
int ring_check_room(const ring *of);
/* Of a message; 0: none can be so large. */
uint64_t message_size(uint64_t payload);
void write_header(char *at, uint64_t payload, unsigned flags, unsigned fd_count, uint64_t seq_id);

/* Copies into the ring; without the interpreter's lock where that takes long. */
void ring_copy(ring *of, char *to, const void *from, uint64_t size);
/* Sleeps until it is worth while to try again, or the deadline. `server` serves meanwhile, unless
 * it is NULL. 0, or ZBQ_ERROR_AGAIN (the deadline), or why not. */
int ring_wait(ring *of, uint64_t deadline, PyObject *server);

extern PyType_Spec producer_spec;

/* ---- room.c: what is exported for writing ------------------------------- */

/* A memoryview of bytes of the ring, to be written; NULL with an exception. *exporter, which is
 * the caller's, counts what is out. */
PyObject *room_view(const state *module, ring *of, char *base, uint64_t size, PyObject **exporter);
/* Releases the view. false with an exception where something else still looks at it. */
bool room_close(const state *module, PyObject *view, PyObject *exporter);
extern PyType_Spec room_spec;

/* ---- reservation.c, batch.c --------------------------------------------- */

/* Of the room that is there at the ring's next place, for a payload of this size. */
PyObject *reservation_make(const state *module, ring *of, uint64_t size, uint64_t flags,
                           uint64_t deadline);
extern PyType_Spec reservation_spec;
/* The same, for messages that take so many bytes in all. */
PyObject *batch_make(const state *module, ring *of, uint64_t bytes);
extern PyType_Spec batch_spec;

/* ---- descriptors.c ------------------------------------------------------ */

typedef struct descriptor_list {
    int numbers[ZBQ_MAX_FD_PER_MSG];
    uint8_t count;
} descriptor_list;

/* Numbers, or objects with a fileno(); NULL: none. false with an exception. */
bool take_descriptors(const state *module, PyObject *sequence, descriptor_list *out);
/* A tuple of zbq.Descriptor, which own them; they are closed where there is an exception. */
PyObject *own_descriptors(const state *module, const descriptor_list *list);
void close_descriptors(const descriptor_list *list);

/* ---- reader.c: what a consumer is --------------------------------------- */

typedef struct reader {
    shelter memory;
    zbq_consumer *handle;
    zbq_read_window *window;
    size_t references;
    size_t held;            /* messages and batches that hold room of the ring */
    uint64_t released_to;   /* of what was let go, the highest end */
    uint64_t waiting_begin; /* let go, but not what lies before; up to the tail: nothing */
    uint64_t waiting_end;
    uint64_t put_off;       /* the newest record that is to be closed once nothing is held */
    struct hold *postponed; /* let go by one thread while another one was within the library */
    bool is_push;
    bool is_newest; /* each look skips to the newest message */
    bool no_record; /* none was there to collect, and no look for messages since */
    bool is_busy;
    bool is_closed;
} reader;

/* What there is to know of a message beside its bytes, as it was loaded once. */
typedef struct description {
    const char *payload; /* in the ring */
    uint64_t size;
    uint64_t offset;
    uint64_t end; /* where the next one starts */
    uint64_t seq_id;
    uint16_t key;
    uint8_t fd_count;
    uint8_t flags;
    bool is_forgotten;
} description;

reader *reader_make(zbq_consumer *handle, bool is_push, bool is_newest);
void reader_keep(reader *of);
void reader_let_go(reader *of);
int reader_check(const reader *of);
/* The next message. What it gives is held by nobody yet. */
int reader_take(reader *of, description *out);
/* What reader_take would give, as far as that shows without taking it. */
int reader_look(reader *of);
/* Of the next message, where there is one that a look has found. */
bool reader_peek_size(const reader *of, uint64_t *out);
void describe(const zbq_msg_view *view, description *out);
bool reader_is_whole(const reader *of, uint64_t offset);
void reader_hold(reader *of);
void reader_release(reader *of, uint64_t begin, uint64_t end);
/* Closes the record of a message that goes, and all before it; what is held waits. */
void reader_drop_record(reader *of, uint64_t seq_id, uint64_t offset);
/* Waits for the descriptors of a message until the deadline. */
int reader_collect(reader *of, const description *what, uint64_t deadline, descriptor_list *out);
/* Waits until there is something to read: 0, ZBQ_ERROR_AGAIN, or why not. */
int reader_wait(reader *of, uint64_t deadline, uint64_t spin);
/* Sets the exception that says how the stream stands, or that of another result. Gives NULL. */
PyObject *fail_reading(const state *module, const reader *of, int result);

extern PyType_Spec consumer_spec;

/* ---- hold.c: messages and batches that lie in the ring ------------------ */

/* Room that is held until it is released: a message's own, or that of all of a batch. */
typedef struct hold {
    reader *of;
    struct hold *next_postponed;
    size_t references;
    Py_ssize_t exports; /* buffers that look at it */
    uint64_t begin, end;
    uint64_t record; /* of the last message with descriptors that were not taken; 0: none */
    uint64_t record_offset;
    bool is_batch; /* several messages have it */
    bool is_released;
    bool was_whole; /* once it is released */
} hold;

hold *hold_make(reader *of, uint64_t begin, uint64_t end);
void hold_keep(hold *of);
void hold_let_go(hold *of);
/* Whether the bytes of it, or from an offset on, were whole so far; once it is released, then. */
bool hold_is_whole(const hold *of, uint64_t offset);
/* Gives the room back; where another thread is within the library with this handle, once that is
 * out again. */
void hold_release(hold *of);
void hold_settle_postponed(reader *of);
int hold_fill_buffer(const state *module, hold *of, PyObject *exporter, Py_buffer *view,
                     const char *base, uint64_t size, int flags);
void hold_release_buffer(hold *of);

/* ---- message.c, message_batch.c, rows.c, copied.c ----------------------- */

/* Each takes over nothing: the hold is kept once more. */
PyObject *message_make(const state *module, hold *of, const description *what);
extern PyType_Spec message_spec;
PyObject *message_batch_make(const state *module, reader *of, uint64_t most);
extern PyType_Spec message_batch_spec;
/* Payloads of one size that lie in the ring one after the other. */
PyObject *rows_make(const state *module, hold *of, const char *base, uint64_t count, uint64_t size,
                    uint64_t stride);
extern PyType_Spec rows_spec;
/* Takes over the payload and the tuple of descriptors, also where it fails. */
PyObject *copied_make(const state *module, const description *what, PyObject *payload,
                      PyObject *descriptors);
extern PyType_Spec copied_spec;

/* ---- watch.c ------------------------------------------------------------ */

PyObject *watch_make_timer(PyObject *module, PyObject *unused);
PyObject *watch_set_timer(PyObject *module, PyObject *args);
PyObject *watch_make_inotify(PyObject *module, PyObject *unused);
PyObject *watch_directory(PyObject *module, PyObject *args);
PyObject *watch_rename_new(PyObject *module, PyObject *args);
PyObject *watch_generation(PyObject *module, PyObject *unused);

/* ---- part.c ------------------------------------------------------------- */

extern PyType_Spec part_spec;
PyObject *part_begin_frame(PyObject *module, PyObject *memory);
PyObject *part_end_frame(PyObject *module, PyObject *args);
PyObject *part_is_frame(PyObject *module, PyObject *args);

/* ---- statistics.c ------------------------------------------------------- */

PyObject *producer_statistics(const zbq_producer_statistics *from);
PyObject *consumer_information(const zbq_consumer_info *from);
extern PyType_Spec statistics_page_spec;

#endif
