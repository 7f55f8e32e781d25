// The module wolfssl: SSLContext, sockets over any stream, and the older function wrap_socket.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common.h"
#include "heap.h"
#include "interrupt.h"
#include "modcasemate.h"
#include "py/builtin.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/stream.h"

#if CASEMATE_FEATURE_TLS

#if CASEMATE_HEAP_LIBC
#include <sched.h>
#define THREAD_LOCAL __thread
#else
#define THREAD_LOCAL
#endif

#define PROTOCOL_SERVER 1
#define CERT_NONE 0
#define CERT_OPTIONAL 1
#define CERT_REQUIRED 2
// ioctl request of MicroPython 1.28: raise what an error number stands for, with its text.
#define STREAM_RAISE_ERROR 12
// After so much memory that MicroPython's collector does not see, it is made to run, in bytes.
#define COLLECT_AFTER (256 * 1024)

// Finalisers: WOLF_SSL_FINALISER decides if it is given, then the macro of MicroPython 1.21 and later. The older macro is 0
// unless somebody has set it, so that its 0 says nothing.
#if !defined(WOLF_SSL_FINALISER)
#if defined(MICROPY_PY_SSL_FINALISER)
#define WOLF_SSL_FINALISER (MICROPY_PY_SSL_FINALISER)
#else
#define WOLF_SSL_FINALISER (MICROPY_ENABLE_FINALISER)
#endif
#endif
#if WOLF_SSL_FINALISER && MICROPY_ENABLE_FINALISER
#define NEW_OBJECT(type) m_malloc_with_finaliser(sizeof(type))
#else
#define NEW_OBJECT(type) m_malloc(sizeof(type))
#endif

// A context of the library with all its memory. It lives until its Python object and all sockets made from it are gone,
// in whatever order that happens.
typedef struct {
    casemate_owner_t owner;
    casemate_context_t *context;
    size_t references;
    bool busy;
} family_t;

typedef struct {
    mp_obj_base_t base;
    family_t *family; // NULL once finalised
    bool server;
    mp_int_t verify_mode;
    mp_obj_t verify_callback;
    mp_obj_t key; // of the module casemate, if it is the certificate's
} context_object_t;

// Nobody uses the session; a call is under way; somebody looks at it, which takes no time and calls nothing.
enum { USE_NONE, USE_CALL, USE_LOOK };

typedef struct {
    mp_obj_base_t base;
    casemate_owner_t owner; // of the session's memory
    mp_obj_t stream;
    mp_obj_t callback; // the context's verify_callback
    mp_obj_t key; // the context's
    mp_obj_t raised; // what the callback raised
    uint8_t *incoming; // memory for a stream written in Python to read into, or NULL
    size_t incoming_length;
    family_t *family; // NULL once closed
    casemate_session_t *session; // NULL once closed, or lost when memory ran out
    mp_uint_t accepted; // bytes of the program that have been encrypted, and that no write has reported yet
    uint32_t expected; // their digest, if the call that they came with has ended
    uint32_t seen; // the digest of what later calls have repeated of them
    bool remembered; // whether there is one
    uint8_t poll_mask; // what the last read or write waited for, other than what it is called after
    bool nonblocking; // setblocking(False) was the last word about the transport
    bool sent; // the call under way has sent something
    uint8_t use; // what a thread does with the session: one of the following
    bool inside; // the call is in the library
    bool interrupt_off; // before the call
    bool close_later; // closed while in use
    bool closed;
    bool farewell; // the call under way is that of close
    size_t transport_users; // calls that may call the transport, and one more until the socket is closed
    bool transport_open;
    int error; // of an earlier call: sticky
} socket_object_t;

static __attribute__((noreturn)) void raise_failure(int number) {
    casemate_raise_number(&mp_type_OSError, number, CASEMATE_TEXT(casemate_failure_text));
}

static __attribute__((noreturn)) void raise_error(int number) {
    if (number < 0) {
        raise_failure(number);
    }
    mp_raise_OSError(number);
}

// ---- memory -----------------------------------------------------------------------------------------------------

// Before a new object: the collector does not see what the library holds, and has to be told.
static void collect_if_due(void) {
    #if CASEMATE_HEAP_LIBC
    static size_t collected;
    size_t total = casemate_heap_total();
    if (total - collected > COLLECT_AFTER) {
        collected = total;
        gc_collect();
    }
    #endif
}

static family_t *family_new(void) {
    #if CASEMATE_HEAP_LIBC
    bool off = casemate_interrupt_off();
    family_t *family = calloc(1, sizeof(family_t));
    casemate_interrupt_restore(off);
    if (family == NULL) {
        m_malloc_fail(sizeof(family_t));
    }
    #else
    family_t *family = m_malloc(sizeof(family_t));
    #endif
    memset(family, 0, sizeof(*family));
    casemate_owner_start(&family->owner);
    family->references = 1;
    return family;
}

// Gives up one reference. May be called during a collection.
static void family_release(family_t *family) {
    if (casemate_count(&family->references, -1) > 0) {
        return;
    }
    bool off = casemate_interrupt_off();
    casemate_owner_t *before = casemate_owner_set(&family->owner);
    if (family->context != NULL) {
        casemate_context_free(family->context);
    }
    casemate_owner_set(before);
    casemate_owner_free(&family->owner);
    #if CASEMATE_HEAP_LIBC
    free(family);
    #endif
    casemate_interrupt_restore(off);
}

// Arguments of a call that uses a context.
typedef struct {
    casemate_bytes_t first, second;
    bool flag;
    socket_object_t *socket;
} call_t;

// Calls the library with a context, whose memory it allocates from; other threads wait.
static int32_t with_context(family_t *family, int32_t (*function)(family_t *family, call_t *call), call_t *call) {
    bool off = casemate_interrupt_off();
    while (__atomic_exchange_n(&family->busy, true, __ATOMIC_ACQUIRE)) {
        #if CASEMATE_HEAP_LIBC
        sched_yield();
        #else
        mp_raise_OSError(MP_EBUSY);
        #endif
    }
    casemate_owner_set(&family->owner);
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        int32_t answer = function(family, call);
        nlr_pop();
        casemate_owner_set(NULL);
        __atomic_store_n(&family->busy, false, __ATOMIC_RELEASE);
        casemate_interrupt_restore(off);
        return answer;
    }
    casemate_owner_set(NULL);
    __atomic_store_n(&family->busy, false, __ATOMIC_RELEASE);
    casemate_interrupt_restore(off);
    nlr_jump(nlr.ret_val);
}

// The socket whose session runs, for the callback.
static THREAD_LOCAL socket_object_t *running;

// Around what may take time or calls Python, in a call with a session: only there an interrupt does not wait.
static inline void interrupts_on(socket_object_t *self) {
    casemate_interrupt_restore(self->interrupt_off);
}

static inline void interrupts_off(void) {
    casemate_interrupt_off();
}

// Before and after each call of the library with a session.
static inline casemate_session_t *go_in(socket_object_t *self) {
    self->inside = true;
    running = self;
    casemate_owner_set(&self->owner);
    return self->session;
}

static inline void come_out(socket_object_t *self) {
    self->inside = false;
    casemate_owner_set(NULL);
    if (self->owner.shared) {
        // Among its memory is a session to resume, which the context keeps: from now on it belongs there, so that a
        // collection that takes the socket leaves it.
        casemate_owner_move(&self->owner, &self->family->owner);
    }
}

// Called by the library while it looks at a certificate. What Python raises waits until the library has returned.
int32_t casemate_port_ask(const uint8_t *certificate, size_t length, size_t depth) {
    socket_object_t *self = running;
    nlr_buf_t nlr;
    int32_t answer = 1;
    if (nlr_push(&nlr) == 0) {
        interrupts_on(self);
        // A copy: Python may keep it for longer than the library keeps the certificate.
        mp_obj_t copy = mp_obj_new_bytes(certificate, length);
        mp_obj_t result = mp_call_function_2(self->callback, copy, MP_OBJ_NEW_SMALL_INT(depth));
        answer = mp_obj_get_int(result) != 0;
        interrupts_off();
        nlr_pop();
    } else {
        interrupts_off();
        self->raised = MP_OBJ_FROM_PTR(nlr.ret_val);
    }
    running = self;
    casemate_owner_set(&self->owner);
    return answer;
}

#if CASEMATE_FEATURE_HSM
// Called by the library for a signature that a server is to make. What Python raises waits until the library has returned.
size_t casemate_port_sign(const uint8_t *data, size_t length, uint8_t *signature, size_t room) {
    socket_object_t *self = running;
    nlr_buf_t nlr;
    size_t answer = 0;
    if (nlr_push(&nlr) == 0) {
        interrupts_on(self);
        answer = casemate_key_sign(self->key, (casemate_bytes_t) { data, length }, signature, room);
        interrupts_off();
        nlr_pop();
    } else {
        interrupts_off();
        answer = 0;
        self->raised = MP_OBJ_FROM_PTR(nlr.ret_val);
    }
    running = self;
    casemate_owner_set(&self->owner);
    return answer;
}
#endif

// Frees a session and what it allocated. May be called during a collection.
static void session_drop(socket_object_t *self) {
    bool off = casemate_interrupt_off();
    casemate_owner_t *before = casemate_owner_set(&self->owner);
    if (self->session != NULL) {
        casemate_session_t *session = self->session;
        self->session = NULL;
        casemate_session_free(session);
    }
    self->incoming = NULL;
    self->incoming_length = 0;
    casemate_owner_set(before);
    if (self->family != NULL) {
        // What is left, if anything, is a session to resume.
        casemate_owner_move(&self->owner, &self->family->owner);
        family_t *family = self->family;
        self->family = NULL;
        family_release(family);
    }
    casemate_interrupt_restore(off);
}

// After a jump out of the library: what it was in the middle of is not touched again, only its memory is taken back.
static void session_abandon(socket_object_t *self) {
    self->inside = false;
    self->session = NULL;
    self->error = MP_ENOMEM;
    if (self->owner.shared) {
        casemate_owner_move(&self->owner, &self->family->owner);
    } else {
        casemate_owner_free(&self->owner);
    }
}

// Names of cipher suites, by their numbers in IANA's registry.
static const struct {
    uint16_t number;
    const char *name;
} suites[] = {
    { 0x1301, "TLS1-3-AES-128-GCM-SHA256" },
    { 0x1302, "TLS1-3-AES-256-GCM-SHA384" },
    { 0xc02b, "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256" },
    { 0xc02c, "TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384" },
    { 0xc02f, "TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256" },
    { 0xc030, "TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384" },
};

static mp_obj_t suite_name(uint16_t number) {
    for (size_t index = 0; index < MP_ARRAY_SIZE(suites); ++index) {
        if (suites[index].number == number) {
            return mp_obj_new_str(suites[index].name, strlen(suites[index].name));
        }
    }
    return mp_const_none;
}

// ---- the stream protocol ----------------------------------------------------------------------------------------

static mp_uint_t stream_ioctl(mp_obj_t stream, mp_uint_t request, uintptr_t argument, int *error) {
    return mp_get_stream(stream)->ioctl(stream, request, argument, error);
}

// Ends a use of the transport. True for one caller, the last one of a socket that has been closed: it closes the transport.
// Not earlier, because a descriptor that is closed may be somebody else's connection a moment later.
static bool last_of_transport(socket_object_t *self) {
    return casemate_count(&self->transport_users, -1) == 0
        && __atomic_exchange_n(&self->transport_open, false, __ATOMIC_SEQ_CST);
}

// The same for a call that is under way when the socket is closed: nobody waits for what becomes of the transport.
static void release_transport(socket_object_t *self) {
    if (last_of_transport(self)) {
        nlr_buf_t nlr;
        if (nlr_push(&nlr) == 0) {
            int ignored;
            stream_ioctl(self->stream, MP_STREAM_CLOSE, 0, &ignored);
            nlr_pop();
        }
    }
}

// Begins a use of the transport; false if the socket is closed.
static bool hold_transport(socket_object_t *self) {
    casemate_count(&self->transport_users, 1);
    if (!__atomic_load_n(&self->closed, __ATOMIC_SEQ_CST)) {
        return true;
    }
    release_transport(self);
    return false;
}

// Whether a call that is under way has to end, because another thread or the transport itself has closed the socket.
static bool cut_off(socket_object_t *self) {
    return __atomic_load_n(&self->closed, __ATOMIC_SEQ_CST) && !self->farewell;
}

// Sends what there is to send. False with an error number, which may be that of a transport that would block.
static bool flush(socket_object_t *self, int *error) {
    for (;;) {
        const uint8_t *output;
        size_t length;
        casemate_session_output(go_in(self), &output, &length);
        come_out(self);
        if (length == 0) {
            return true;
        }
        if (cut_off(self)) {
            *error = MP_EBADF;
            return false;
        }
        void *data = (void *)output;
        if (casemate_written_in_python(self->stream)) {
            data = m_malloc(length);
            memcpy(data, output, length);
        }
        interrupts_on(self);
        mp_uint_t count = mp_get_stream(self->stream)->write(self->stream, data, length, error);
        interrupts_off();
        if (count == MP_STREAM_ERROR) {
            return false;
        }
        if (count == 0) {
            *error = MP_EAGAIN;
            return false;
        }
        self->sent = true;
        casemate_session_sent(go_in(self), count > length ? length : count);
        come_out(self);
    }
}

// The longest memory for reads that a socket keeps between them: that of one look on a microcontroller, on unix any.
#if CASEMATE_HEAP_LIBC
#define INCOMING_KEPT SIZE_MAX
#else
#define INCOMING_KEPT 512
#endif

// Memory of the collector's for a stream written in Python to read into: that of the last time, if it is long enough. A stream
// that keeps it sees ciphertext.
static uint8_t *incoming(socket_object_t *self, size_t length) {
    if (self->incoming_length < length) {
        uint8_t *data = m_malloc(length);
        if (length > INCOMING_KEPT) {
            return data;
        }
        self->incoming = data;
        self->incoming_length = length;
    }
    return self->incoming;
}

// Receives once. False with an error number as above.
static bool fill(socket_object_t *self, int *error) {
    uint8_t *room;
    size_t length;
    *error = casemate_session_input(go_in(self), &room, &length);
    come_out(self);
    if (*error == 0 && cut_off(self)) {
        *error = MP_EBADF;
    }
    if (*error != 0) {
        return false;
    }
    mp_uint_t count;
    if (casemate_written_in_python(self->stream)) {
        uint8_t *data = incoming(self, length);
        interrupts_on(self);
        count = mp_get_stream(self->stream)->read(self->stream, data, length, error);
        interrupts_off();
        if (count != MP_STREAM_ERROR && count <= length) {
            memcpy(room, data, count);
        }
    } else {
        interrupts_on(self);
        count = mp_get_stream(self->stream)->read(self->stream, room, length, error);
        interrupts_off();
    }
    if (count == MP_STREAM_ERROR) {
        #if !CASEMATE_HEAP_LIBC
        if (mp_is_nonblocking_error(*error)) {
            // Nothing is on its way: the memory can serve others.
            casemate_session_shrink(go_in(self));
            come_out(self);
        }
        #endif
        return false;
    }
    if (count == 0) {
        *error = casemate_session_end_of_input(go_in(self));
        come_out(self);
        return *error == 0;
    }
    casemate_session_filled(go_in(self), count > length ? length : count);
    come_out(self);
    return true;
}

// An operation with the session: a count, or MP_STREAM_ERROR with an error number.
typedef mp_uint_t (*operation_t)(socket_object_t *self, void *data, mp_uint_t size, int *error);

static inline void pause_thread(void) {
    #if CASEMATE_HEAP_LIBC
    sched_yield();
    #endif
}

// Takes the session for this thread, which then has to give it back. False if a call is under way, perhaps further up in
// this very thread.
static bool enter(socket_object_t *self, uint8_t use) {
    for (;;) {
        uint8_t found = USE_NONE;
        if (__atomic_compare_exchange_n(&self->use, &found, use, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            return true;
        }
        if (found == USE_CALL) {
            return false;
        }
        pause_thread();
    }
}

// Gives the session back. Who closes the socket meanwhile sees it in use, or is seen here: one of the two frees it.
static void leave(socket_object_t *self) {
    __atomic_store_n(&self->use, USE_NONE, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&self->close_later, __ATOMIC_SEQ_CST) && enter(self, USE_CALL)) {
        self->close_later = false;
        session_drop(self);
        __atomic_store_n(&self->use, USE_NONE, __ATOMIC_SEQ_CST);
    }
}

// FNV-1a.
#define DIGEST_START 0x811c9dc5

static uint32_t digest(uint32_t so_far, const uint8_t *data, mp_uint_t length) {
    for (mp_uint_t index = 0; index < length; ++index) {
        so_far = (so_far ^ data[index]) * 0x01000193;
    }
    return so_far;
}

// Remembers what has been accepted, for the next write to repeat.
static void remember(socket_object_t *self, const void *data) {
    if (self->accepted > 0 && !self->remembered) {
        self->expected = digest(DIGEST_START, data, self->accepted);
        self->seen = DIGEST_START;
        self->remembered = true;
    }
}

static mp_uint_t write_operation(socket_object_t *self, void *data, mp_uint_t size, int *error);

// Runs an operation on a session that has been entered, with a transport that is held, and leaves both; interrupts wait. What
// is raised meanwhile goes to `raise`.
static mp_uint_t run_inside(socket_object_t *self, operation_t operation, void *data, mp_uint_t size, int *error, mp_obj_t *raise) {
    mp_uint_t answer = MP_STREAM_ERROR;
    mp_obj_t raised = MP_OBJ_NULL;
    self->poll_mask = 0;
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        answer = operation(self, data, size, error);
        nlr_pop();
    } else {
        interrupts_off();
        raised = MP_OBJ_FROM_PTR(nlr.ret_val);
        if (self->inside) {
            session_abandon(self);
        }
    }
    if (answer == MP_STREAM_ERROR && raised == MP_OBJ_NULL && !mp_is_nonblocking_error(*error)) {
        self->error = *error;
        raised = self->raised;
    }
    self->raised = MP_OBJ_NULL;
    self->farewell = false;
    if (operation == write_operation) {
        remember(self, data);
    }
    leave(self);
    release_transport(self);
    *raise = raised;
    return answer;
}

// Runs an operation, if the socket can be used. Whatever Python raises from below passes through: if it comes from the
// transport, the socket stays usable; if memory ran out in the library, the session is lost.
static mp_uint_t run(socket_object_t *self, operation_t operation, void *data, mp_uint_t size, int *error) {
    mp_uint_t answer = MP_STREAM_ERROR;
    mp_obj_t raised = MP_OBJ_NULL;
    bool off = casemate_interrupt_off();
    if (!enter(self, USE_CALL)) {
        casemate_interrupt_restore(off);
        *error = MP_EBUSY;
        return answer;
    }
    self->interrupt_off = off;
    if (!hold_transport(self)) {
        *error = MP_EBADF;
        leave(self);
    } else if (self->error != 0) {
        *error = self->error;
        leave(self);
        release_transport(self);
    } else {
        answer = run_inside(self, operation, data, size, error, &raised);
    }
    casemate_interrupt_restore(off);
    if (raised != MP_OBJ_NULL) {
        nlr_raise(raised);
    }
    if (answer != MP_STREAM_ERROR) {
        // Not that of sending, on the way of a read that succeeded: MicroPython looks at it even so.
        *error = 0;
    } else if (*error < 0) {
        // With the text, which the stream protocol could not carry.
        raise_failure(*error);
    }
    return answer;
}

// Ends an operation with a failure of TLS, about which the peer is told if it listens.
static mp_uint_t failed(socket_object_t *self, int *error, int number) {
    int ignored;
    flush(self, &ignored);
    *error = number;
    return MP_STREAM_ERROR;
}

static mp_uint_t read_operation(socket_object_t *self, void *data, mp_uint_t size, int *error) {
    for (;;) {
        size_t count = 0;
        int32_t state = casemate_session_read(go_in(self), data, size, &count);
        come_out(self);
        if (state < 0) {
            return failed(self, error, state);
        }
        bool sent = flush(self, error);
        if (count > 0) {
            return count;
        }
        if (!sent && !mp_is_nonblocking_error(*error)) {
            return MP_STREAM_ERROR;
        }
        if (!sent && state == 0) {
            // The peer has nothing to say before it has seen this part of the handshake.
            self->poll_mask = MP_STREAM_POLL_WR;
            return MP_STREAM_ERROR;
        }
        if (state == 2) {
            return 0;
        }
        // What could not be sent does not keep anybody from reading: the peer may be waiting for just that.
        if (!fill(self, error)) {
            if (!sent && mp_is_nonblocking_error(*error)) {
                self->poll_mask = MP_STREAM_POLL_RD | MP_STREAM_POLL_WR;
            }
            return MP_STREAM_ERROR;
        }
    }
}

// Bytes count as written once the transport has all of the record that they are in: a program that closes after its last
// write has lost nothing. Until then a transport that would block is reported, as by MicroPython's own module, and the next
// write has to begin with the same bytes: what was encrypted of them is not encrypted again. So it is if the transport raises
// something. Other bytes are refused.
static mp_uint_t write_operation(socket_object_t *self, void *data, mp_uint_t size, int *error) {
    self->sent = false;
    bool earlier = self->accepted > 0;
    for (;;) {
        // What an earlier turn or call left behind comes first.
        if (!flush(self, error)) {
            return MP_STREAM_ERROR;
        }
        if (self->accepted > 0) {
            mp_uint_t count = MIN(self->accepted, size);
            if (earlier) {
                uint32_t seen = digest(self->seen, data, count);
                if (count == self->accepted && seen != self->expected) {
                    mp_raise_ValueError(MP_ERROR_TEXT("not the bytes of the write before"));
                }
                self->seen = seen;
            }
            self->accepted -= count;
            // After a shorter write the rest is still expected.
            self->remembered = self->remembered && self->accepted > 0;
            return count;
        }
        int32_t count = casemate_session_write(go_in(self), data, size);
        come_out(self);
        if (count < 0) {
            return failed(self, error, count);
        }
        if (count > 0) {
            self->accepted = count;
            if (casemate_written_in_python(self->stream)) {
                // While it sends, the program may change them, or give them other memory.
                remember(self, data);
            }
            continue;
        }
        if (!flush(self, error)) {
            return MP_STREAM_ERROR;
        }
        if (self->sent && self->nonblocking) {
            // Part of the handshake is on its way. Whether the answer is there already is a matter of luck: who asked not to
            // wait comes again for it, and sees the same whatever the peer's speed.
            *error = MP_EAGAIN;
            self->poll_mask = MP_STREAM_POLL_RD;
            return MP_STREAM_ERROR;
        }
        if (!fill(self, error)) {
            if (mp_is_nonblocking_error(*error)) {
                self->poll_mask = MP_STREAM_POLL_RD;
            }
            return MP_STREAM_ERROR;
        }
    }
}

// Ends the handshake, waiting if the transport does not.
static mp_uint_t handshake_operation(socket_object_t *self, void *data, mp_uint_t size, int *error) {
    (void)data;
    (void)size;
    for (;;) {
        int32_t state = casemate_session_step(go_in(self));
        come_out(self);
        if (state < 0) {
            return failed(self, error, state);
        }
        bool going = flush(self, error);
        if (going && state > 0) {
            return 0;
        }
        if (going) {
            going = fill(self, error);
        }
        if (!going) {
            if (!mp_is_nonblocking_error(*error)) {
                return MP_STREAM_ERROR;
            }
            interrupts_on(self);
            casemate_wait_for_transport();
            interrupts_off();
        }
    }
}

static mp_uint_t close_operation(socket_object_t *self, void *data, mp_uint_t size, int *error) {
    (void)data;
    (void)size;
    casemate_session_close(go_in(self));
    come_out(self);
    flush(self, error);
    return 0;
}

static mp_uint_t socket_read(mp_obj_t self_in, void *data, mp_uint_t size, int *error) {
    return run(MP_OBJ_TO_PTR(self_in), read_operation, data, size, error);
}

static mp_uint_t socket_write(mp_obj_t self_in, const void *data, mp_uint_t size, int *error) {
    if (size == 0) {
        return 0;
    }
    return run(MP_OBJ_TO_PTR(self_in), write_operation, (void *)data, size, error);
}

// With a transport that is held.
static mp_uint_t poll_held(socket_object_t *self, uintptr_t wanted, int *error) {
    bool readable = false;
    uint8_t mask = 0;
    bool off = casemate_interrupt_off();
    if (enter(self, USE_LOOK)) {
        bool usable = !self->closed && self->error == 0;
        readable = usable && casemate_session_readable(self->session);
        mask = self->poll_mask;
        leave(self);
        casemate_interrupt_restore(off);
        if (!usable) {
            return MP_STREAM_POLL_NVAL;
        }
    } else {
        casemate_interrupt_restore(off);
        if (self->closed) {
            return MP_STREAM_POLL_NVAL;
        }
    }
    const uintptr_t both = MP_STREAM_POLL_RD | MP_STREAM_POLL_WR;
    uintptr_t asked = wanted;
    bool masked = mask != 0 && (wanted & both) != 0;
    if (masked) {
        asked = (wanted & ~both) | mask;
    }
    mp_uint_t ready = 0;
    if ((asked & MP_STREAM_POLL_RD) && readable) {
        ready = MP_STREAM_POLL_RD;
        if ((asked & both) == MP_STREAM_POLL_RD) {
            return masked ? ready | (wanted & both) : ready;
        }
    }
    mp_uint_t answer = stream_ioctl(self->stream, MP_STREAM_POLL, asked, error);
    if (answer == MP_STREAM_ERROR) {
        return answer;
    }
    ready |= answer;
    if (masked && (answer & mask)) {
        ready |= wanted & both;
    }
    return ready;
}

static mp_uint_t socket_poll(socket_object_t *self, uintptr_t wanted, int *error) {
    if (!hold_transport(self)) {
        return MP_STREAM_POLL_NVAL;
    }
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_uint_t answer = poll_held(self, wanted, error);
        nlr_pop();
        release_transport(self);
        return answer;
    }
    release_transport(self);
    nlr_jump(nlr.ret_val);
}

// The first of those who close a socket, or of the collector that finds it: false for all others.
static bool first_to_close(socket_object_t *self) {
    return !__atomic_exchange_n(&self->closed, true, __ATOMIC_SEQ_CST);
}

// Frees the session now, or lets the call that is under way free it when it returns.
static void drop_or_let_drop(socket_object_t *self) {
    __atomic_store_n(&self->close_later, true, __ATOMIC_SEQ_CST);
    if (enter(self, USE_CALL)) {
        leave(self);
    }
}

static mp_uint_t socket_close(socket_object_t *self, int *error) {
    if (!first_to_close(self)) {
        return 0;
    }
    bool off = casemate_interrupt_off();
    if (enter(self, USE_CALL)) {
        self->interrupt_off = off;
        if (self->error == 0) {
            // The peer is told; if it cannot be reached, it is not.
            casemate_count(&self->transport_users, 1);
            self->farewell = true;
            nlr_buf_t nlr;
            if (nlr_push(&nlr) == 0) {
                int ignored;
                mp_obj_t raised;
                run_inside(self, close_operation, NULL, 0, &ignored, &raised);
                nlr_pop();
            }
        } else {
            leave(self);
        }
    }
    drop_or_let_drop(self);
    bool last = last_of_transport(self);
    casemate_interrupt_restore(off);
    if (last) {
        return stream_ioctl(self->stream, MP_STREAM_CLOSE, 0, error);
    }
    // A call is under way: it closes the transport when it returns.
    return 0;
}

static mp_uint_t socket_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t argument, int *error) {
    socket_object_t *self = MP_OBJ_TO_PTR(self_in);
    switch (request) {
        case MP_STREAM_CLOSE:
            return socket_close(self, error);
        case MP_STREAM_POLL:
            return socket_poll(self, argument, error);
        case STREAM_RAISE_ERROR:
            if ((int)argument < 0) {
                raise_failure((int)argument);
            }
            return 0;
        default:
            *error = MP_EINVAL;
            return MP_STREAM_ERROR;
    }
}

// ---- sockets ----------------------------------------------------------------------------------------------------

static mp_obj_t socket_setblocking(mp_obj_t self_in, mp_obj_t flag) {
    socket_object_t *self = MP_OBJ_TO_PTR(self_in);
    if (!hold_transport(self)) {
        mp_raise_OSError(MP_EBADF);
    }
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_obj_t arguments[3];
        mp_load_method(self->stream, MP_QSTR_setblocking, arguments);
        arguments[2] = flag;
        mp_obj_t answer = mp_call_method_n_kw(1, 0, arguments);
        self->nonblocking = !mp_obj_is_true(flag);
        nlr_pop();
        release_transport(self);
        return answer;
    }
    release_transport(self);
    nlr_jump(nlr.ret_val);
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_setblocking_object, socket_setblocking);

// Answers a question about a session, which nobody else uses meanwhile.
static mp_obj_t ask(mp_obj_t self_in, mp_obj_t (*question)(casemate_session_t *session)) {
    socket_object_t *self = MP_OBJ_TO_PTR(self_in);
    bool off = casemate_interrupt_off();
    if (!enter(self, USE_CALL)) {
        casemate_interrupt_restore(off);
        mp_raise_OSError(self->closed ? MP_EBADF : MP_EBUSY);
    }
    int error = self->closed ? MP_EBADF : self->session == NULL ? self->error : 0;
    mp_obj_t answer = MP_OBJ_NULL;
    nlr_buf_t nlr;
    nlr.ret_val = NULL;
    if (error == 0) {
        // For the answer there may be no memory.
        if (nlr_push(&nlr) == 0) {
            answer = question(self->session);
            nlr_pop();
        }
    }
    leave(self);
    casemate_interrupt_restore(off);
    if (error != 0) {
        raise_error(error);
    }
    if (answer == MP_OBJ_NULL) {
        nlr_jump(nlr.ret_val);
    }
    return answer;
}

static mp_obj_t ask_peer_certificate(casemate_session_t *session) {
    const uint8_t *certificate;
    size_t length;
    casemate_session_peer_certificate(session, &certificate, &length);
    return length == 0 ? mp_const_none : mp_obj_new_bytes(certificate, length);
}

static mp_obj_t socket_getpeercert(mp_obj_t self_in, mp_obj_t binary) {
    if (!mp_obj_is_true(binary)) {
        mp_raise_NotImplementedError(NULL);
    }
    return ask(self_in, ask_peer_certificate);
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_getpeercert_object, socket_getpeercert);

static mp_obj_t ask_cipher(casemate_session_t *session) {
    uint32_t agreed = casemate_session_agreed(session);
    if (agreed == 0) {
        return mp_const_none;
    }
    mp_obj_t items[] = { suite_name(agreed & 0xffff), mp_obj_new_str((agreed >> 16) == 0x0304 ? "TLSv1.3" : "TLSv1.2", 7) };
    return mp_obj_new_tuple(2, items);
}

static mp_obj_t socket_cipher(mp_obj_t self_in) {
    return ask(self_in, ask_cipher);
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_cipher_object, socket_cipher);

static mp_obj_t ask_protocol(casemate_session_t *session) {
    const uint8_t *protocol;
    size_t length;
    casemate_session_protocol(session, &protocol, &length);
    return length == 0 ? mp_const_none : mp_obj_new_str((const char *)protocol, length);
}

static mp_obj_t socket_selected_alpn_protocol(mp_obj_t self_in) {
    return ask(self_in, ask_protocol);
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_selected_alpn_protocol_object, socket_selected_alpn_protocol);

static mp_obj_t ask_resumed(casemate_session_t *session) {
    return mp_obj_new_bool(casemate_session_resumed(session));
}

// During a collection: nothing is allocated, sent or raised.
static mp_obj_t socket_finalise(mp_obj_t self_in) {
    socket_object_t *self = MP_OBJ_TO_PTR(self_in);
    bool first = first_to_close(self);
    // A call may be under way if this is called by name, out of one of its own callbacks.
    drop_or_let_drop(self);
    if (first && last_of_transport(self)) {
        int ignored;
        stream_ioctl(self->stream, MP_STREAM_CLOSE, 0, &ignored);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_finalise_object, socket_finalise);

static void socket_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    // As MicroPython's own module of the version does, if it takes that module's name.
    #if WOLFSSL_ALIAS && CASEMATE_MICROPYTHON >= 121
    (void)self_in;
    mp_print_str(print, "<SSLSocket>");
    #else
    mp_printf(print, "<_SSLSocket %p>", MP_OBJ_TO_PTR(self_in));
    #endif
}

static const mp_rom_map_elem_t socket_dictionary_table[] = {
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&mp_stream_unbuffered_readline_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_stream_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&mp_stream_ioctl_obj) },
    { MP_ROM_QSTR(MP_QSTR_setblocking), MP_ROM_PTR(&socket_setblocking_object) },
    { MP_ROM_QSTR(MP_QSTR_getpeercert), MP_ROM_PTR(&socket_getpeercert_object) },
    { MP_ROM_QSTR(MP_QSTR_cipher), MP_ROM_PTR(&socket_cipher_object) },
    { MP_ROM_QSTR(MP_QSTR_selected_alpn_protocol), MP_ROM_PTR(&socket_selected_alpn_protocol_object) },
    #if WOLF_SSL_FINALISER && MICROPY_ENABLE_FINALISER
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&socket_finalise_object) },
    #endif
};
static MP_DEFINE_CONST_DICT(socket_dictionary, socket_dictionary_table);

static void socket_attribute(mp_obj_t self_in, qstr attribute, mp_obj_t *destination) {
    if (destination[0] != MP_OBJ_NULL) {
        return;
    }
    if (attribute == MP_QSTR_session_reused) {
        destination[0] = ask(self_in, ask_resumed);
    } else {
        casemate_attribute_in(self_in, &socket_dictionary, attribute, destination);
    }
}

static const mp_stream_p_t socket_stream = {
    .read = socket_read,
    .write = socket_write,
    .ioctl = socket_ioctl,
};

#if defined(MP_DEFINE_CONST_OBJ_TYPE)
static MP_DEFINE_CONST_OBJ_TYPE(
    socket_type,
    MP_QSTR_SSLSocket,
    MP_TYPE_FLAG_NONE,
    print, socket_print,
    attr, socket_attribute,
    protocol, &socket_stream,
    locals_dict, &socket_dictionary
    );
#else
static const mp_obj_type_t socket_type = {
    { &mp_type_type },
    .name = MP_QSTR_SSLSocket,
    .print = socket_print,
    .attr = socket_attribute,
    .protocol = &socket_stream,
    .locals_dict = (mp_obj_dict_t *)&socket_dictionary,
};
#endif

static int32_t start(family_t *family, call_t *call) {
    socket_object_t *socket = call->socket;
    int32_t failure = casemate_context_prepare(family->context, call->first.data != NULL);
    if (failure == 0) {
        go_in(socket);
        failure = casemate_session_new(family->context, call->first.data, call->first.length, &socket->session);
        come_out(socket);
    }
    return failure;
}

static mp_obj_t wrap(context_object_t *context, mp_obj_t stream, mp_obj_t name, bool handshake) {
    mp_get_stream_raise(stream, MP_STREAM_OP_READ | MP_STREAM_OP_WRITE | MP_STREAM_OP_IOCTL);
    call_t call = { .first = { NULL, 0 } };
    if (name != mp_const_none) {
        call.first.data = (const uint8_t *)mp_obj_str_get_data(name, &call.first.length);
    }
    collect_if_due();
    socket_object_t *self = NEW_OBJECT(socket_object_t);
    memset(self, 0, sizeof(*self));
    casemate_owner_start(&self->owner);
    self->stream = stream;
    self->callback = context->verify_callback;
    self->key = context->key;
    self->closed = true; // until there is something to close
    self->family = context->family;
    casemate_count(&self->family->references, 1);
    self->base.type = &socket_type;
    call.socket = self;
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        int32_t failure = with_context(self->family, start, &call);
        if (failure != 0) {
            raise_failure(failure);
        }
        self->transport_users = 1;
        self->transport_open = true;
        self->closed = false;
        if (handshake) {
            int error;
            if (run(self, handshake_operation, NULL, 0, &error) == MP_STREAM_ERROR) {
                raise_error(error);
            }
        }
        nlr_pop();
        return MP_OBJ_FROM_PTR(self);
    }
    // The transport stays as it is.
    self->closed = true;
    if (self->inside) {
        session_abandon(self);
    }
    session_drop(self);
    nlr_jump(nlr.ret_val);
}

// ---- contexts ---------------------------------------------------------------------------------------------------

static void raise_load(int32_t answer) {
    if (answer == 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("invalid key"));
    } else if (answer != 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("invalid cert"));
    }
}

static int32_t context_start(family_t *family, call_t *call) {
    family->context = casemate_context_new(call->flag);
    return 0;
}

static context_object_t *context_new(const mp_obj_type_t *type, bool server) {
    collect_if_due();
    context_object_t *self = NEW_OBJECT(context_object_t);
    memset(self, 0, sizeof(*self));
    self->server = server;
    self->verify_mode = server ? CERT_NONE : CERT_REQUIRED;
    self->verify_callback = mp_const_none;
    self->base.type = type;
    self->family = family_new();
    call_t call = { .flag = server };
    with_context(self->family, context_start, &call);
    return self;
}

static mp_obj_t context_make_new(const mp_obj_type_t *type, size_t count, size_t keywords, const mp_obj_t *arguments) {
    mp_arg_check_num(count, keywords, 1, 1, false);
    mp_int_t protocol = mp_obj_get_int(arguments[0]);
    if (protocol < 0 || protocol > PROTOCOL_SERVER) {
        mp_raise_ValueError(MP_ERROR_TEXT("protocol"));
    }
    return MP_OBJ_FROM_PTR(context_new(type, protocol == PROTOCOL_SERVER));
}

static void context_check(context_object_t *self) {
    if (self->family == NULL) {
        mp_raise_OSError(MP_EBADF);
    }
}

static int32_t set_mode(family_t *family, call_t *call) {
    casemate_context_set_mode(family->context, call->first.length);
    casemate_context_set_callback(family->context, call->flag);
    return 0;
}

static mp_int_t checked_mode(mp_int_t mode) {
    if (mode != CERT_NONE && mode != CERT_OPTIONAL && mode != CERT_REQUIRED) {
        mp_raise_ValueError(MP_ERROR_TEXT("verify mode"));
    }
    return mode;
}

static void context_set_mode(context_object_t *self) {
    size_t mode = self->verify_mode == CERT_NONE ? 0 : self->verify_mode == CERT_OPTIONAL ? 1 : 2;
    call_t call = { .first = { NULL, mode }, .flag = self->verify_callback != mp_const_none };
    with_context(self->family, set_mode, &call);
}

static int32_t load_key(family_t *family, call_t *call) {
    return casemate_context_load_key(family->context, call->first.data, call->first.length, call->second.data, call->second.length);
}

#if CASEMATE_FEATURE_HSM
static int32_t load_held_key(family_t *family, call_t *call) {
    return casemate_context_load_held_key(family->context, call->first.data, call->first.length, call->second.data, call->second.length);
}
#endif

static void context_load_key(context_object_t *self, mp_obj_t certificate, mp_obj_t key) {
    #if CASEMATE_FEATURE_HSM
    if (casemate_is_key(key)) {
        mp_obj_t public = casemate_key_public(key);
        call_t held = { .first = casemate_get_text(public), .second = casemate_get_text(certificate) };
        raise_load(with_context(self->family, load_held_key, &held));
        self->key = key;
        return;
    }
    #endif
    // A bad key comes before a certificate of the wrong type.
    call_t call = { .first = casemate_get_text(key) };
    if (mp_obj_is_str_or_bytes(certificate)) {
        call.second = casemate_get_text(certificate);
    }
    int32_t answer = with_context(self->family, load_key, &call);
    if (answer == 2) {
        casemate_get_text(certificate);
    }
    raise_load(answer);
}

static int32_t add_anchors(family_t *family, call_t *call) {
    return casemate_context_add_anchors(family->context, call->first.data, call->first.length);
}

static void context_add_anchors(context_object_t *self, mp_obj_t data) {
    call_t call = { .first = casemate_get_text(data) };
    raise_load(with_context(self->family, add_anchors, &call));
}

static mp_obj_t contents(mp_obj_t path) {
    #if MICROPY_VFS
    mp_obj_t arguments[] = { path, MP_OBJ_NEW_QSTR(MP_QSTR_rb) };
    mp_obj_t file = mp_call_function_n_kw(MP_OBJ_FROM_PTR(&mp_builtin_open_obj), 2, 0, arguments);
    mp_obj_t method[2];
    mp_load_method(file, MP_QSTR_read, method);
    mp_obj_t data = mp_call_method_n_kw(0, 0, method);
    mp_load_method(file, MP_QSTR_close, method);
    mp_call_method_n_kw(0, 0, method);
    return data;
    #else
    (void)path;
    mp_raise_NotImplementedError(MP_ERROR_TEXT("files"));
    #endif
}

// MicroPython 1.21 and 1.22 take a str for the name of a file; later versions leave that to the module ssl.
static mp_obj_t data_or_contents(mp_obj_t object) {
    #if CASEMATE_MICROPYTHON < 123
    if (mp_obj_is_str(object)) {
        return contents(object);
    }
    #endif
    return object;
}

static mp_obj_t context_load_cert_chain(mp_obj_t self_in, mp_obj_t certificate, mp_obj_t key) {
    context_object_t *self = MP_OBJ_TO_PTR(self_in);
    context_check(self);
    context_load_key(self, data_or_contents(certificate), data_or_contents(key));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(context_load_cert_chain_object, context_load_cert_chain);

static mp_obj_t context_load_verify_locations(size_t count, const mp_obj_t *positional, mp_map_t *keywords) {
    enum { ARG_anchors, ARG_cadata, ARG_cafile };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_cadata, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_cafile, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
    };
    context_object_t *self = MP_OBJ_TO_PTR(positional[0]);
    mp_arg_val_t arguments[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(count - 1, positional + 1, keywords, MP_ARRAY_SIZE(allowed), allowed, arguments);
    context_check(self);
    if (arguments[ARG_cafile].u_obj != mp_const_none) {
        context_add_anchors(self, contents(arguments[ARG_cafile].u_obj));
    }
    if (arguments[ARG_cadata].u_obj != mp_const_none) {
        context_add_anchors(self, arguments[ARG_cadata].u_obj);
    }
    if (count > 1) {
        context_add_anchors(self, data_or_contents(arguments[ARG_anchors].u_obj));
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(context_load_verify_locations_object, 1, context_load_verify_locations);

static int32_t suite_at(family_t *family, call_t *call) {
    (void)family;
    return casemate_suite(call->first.length);
}

static mp_obj_t context_get_ciphers(mp_obj_t self_in) {
    context_object_t *self = MP_OBJ_TO_PTR(self_in);
    context_check(self);
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (size_t index = 0;; ++index) {
        call_t call = { .first = { NULL, index } };
        uint16_t number = with_context(self->family, suite_at, &call);
        if (number == 0) {
            return list;
        }
        mp_obj_list_append(list, suite_name(number));
    }
}
static MP_DEFINE_CONST_FUN_OBJ_1(context_get_ciphers_object, context_get_ciphers);

static int32_t set_suites(family_t *family, call_t *call) {
    return casemate_context_set_suites(family->context, call->first.data, call->first.length);
}

static mp_obj_t context_set_ciphers(mp_obj_t self_in, mp_obj_t names) {
    context_object_t *self = MP_OBJ_TO_PTR(self_in);
    context_check(self);
    size_t count;
    mp_obj_t *items;
    mp_obj_get_array(names, &count, &items);
    uint8_t numbers[2 * MP_ARRAY_SIZE(suites)];
    size_t length = 0;
    for (size_t index = 0; index < count; ++index) {
        const char *name = mp_obj_str_get_str(items[index]);
        size_t found = 0;
        while (found < MP_ARRAY_SIZE(suites) && strcmp(suites[found].name, name) != 0) {
            ++found;
        }
        if (found == MP_ARRAY_SIZE(suites) || length == sizeof(numbers)) {
            length = 0;
            break;
        }
        numbers[length++] = suites[found].number >> 8;
        numbers[length++] = suites[found].number & 0xff;
    }
    call_t call = { .first = { numbers, length } };
    int32_t failure = with_context(self->family, set_suites, &call);
    if (failure != 0) {
        raise_failure(failure);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(context_set_ciphers_object, context_set_ciphers);

static int32_t set_protocols(family_t *family, call_t *call) {
    return casemate_context_set_protocols(family->context, call->first.data, call->first.length);
}

static mp_obj_t context_set_alpn_protocols(mp_obj_t self_in, mp_obj_t names) {
    context_object_t *self = MP_OBJ_TO_PTR(self_in);
    context_check(self);
    size_t count;
    mp_obj_t *items;
    mp_obj_get_array(names, &count, &items);
    vstr_t list;
    vstr_init(&list, 32);
    for (size_t index = 0; index < count; ++index) {
        casemate_bytes_t name = casemate_get_text(items[index]);
        if (name.length == 0 || name.length > 255) {
            mp_raise_ValueError(MP_ERROR_TEXT("ALPN protocol"));
        }
        vstr_add_byte(&list, name.length);
        vstr_add_strn(&list, (const char *)name.data, name.length);
    }
    call_t call = { .first = { (const uint8_t *)list.buf, list.len } };
    int32_t failure = with_context(self->family, set_protocols, &call);
    vstr_clear(&list);
    if (failure != 0) {
        raise_failure(failure);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(context_set_alpn_protocols_object, context_set_alpn_protocols);

// A client that verifies needs a name, whatever `server_side` says: which side a socket is on, its context decides.
static void check_name(context_object_t *self, mp_obj_t name) {
    if (!self->server && self->verify_mode == CERT_REQUIRED && name == mp_const_none) {
        mp_raise_ValueError(MP_ERROR_TEXT("CERT_REQUIRED requires server_hostname"));
    }
}

static mp_obj_t context_wrap_socket(size_t count, const mp_obj_t *positional, mp_map_t *keywords) {
    enum { ARG_server_side, ARG_do_handshake_on_connect, ARG_server_hostname };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_server_side, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = false} },
        { MP_QSTR_do_handshake_on_connect, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = true} },
        { MP_QSTR_server_hostname, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
    };
    context_object_t *self = MP_OBJ_TO_PTR(positional[0]);
    mp_arg_val_t arguments[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(count - 2, positional + 2, keywords, MP_ARRAY_SIZE(allowed), allowed, arguments);
    context_check(self);
    mp_obj_t name = arguments[ARG_server_hostname].u_obj;
    check_name(self, name);
    return wrap(self, positional[1], name, arguments[ARG_do_handshake_on_connect].u_bool);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(context_wrap_socket_object, 2, context_wrap_socket);

static mp_obj_t context_finalise(mp_obj_t self_in) {
    context_object_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->family != NULL) {
        family_t *family = self->family;
        self->family = NULL;
        family_release(family);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(context_finalise_object, context_finalise);

static const mp_rom_map_elem_t context_dictionary_table[] = {
    { MP_ROM_QSTR(MP_QSTR_load_cert_chain), MP_ROM_PTR(&context_load_cert_chain_object) },
    { MP_ROM_QSTR(MP_QSTR_load_verify_locations), MP_ROM_PTR(&context_load_verify_locations_object) },
    { MP_ROM_QSTR(MP_QSTR_get_ciphers), MP_ROM_PTR(&context_get_ciphers_object) },
    { MP_ROM_QSTR(MP_QSTR_set_ciphers), MP_ROM_PTR(&context_set_ciphers_object) },
    { MP_ROM_QSTR(MP_QSTR_wrap_socket), MP_ROM_PTR(&context_wrap_socket_object) },
    { MP_ROM_QSTR(MP_QSTR_set_alpn_protocols), MP_ROM_PTR(&context_set_alpn_protocols_object) },
    #if WOLF_SSL_FINALISER && MICROPY_ENABLE_FINALISER
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&context_finalise_object) },
    #endif
};
static MP_DEFINE_CONST_DICT(context_dictionary, context_dictionary_table);

static void context_attribute(mp_obj_t self_in, qstr attribute, mp_obj_t *destination) {
    context_object_t *self = MP_OBJ_TO_PTR(self_in);
    if (destination[0] == MP_OBJ_NULL) {
        if (attribute == MP_QSTR_verify_mode) {
            destination[0] = mp_obj_new_int(self->verify_mode);
        } else if (attribute == MP_QSTR_verify_callback) {
            destination[0] = self->verify_callback;
        } else {
            casemate_attribute_in(self_in, &context_dictionary, attribute, destination);
        }
    } else if (destination[1] != MP_OBJ_NULL) {
        if (attribute == MP_QSTR_verify_mode) {
            self->verify_mode = checked_mode(mp_obj_get_int(destination[1]));
        } else if (attribute == MP_QSTR_verify_callback) {
            self->verify_callback = destination[1];
        } else {
            return;
        }
        context_check(self);
        context_set_mode(self);
        destination[0] = MP_OBJ_NULL;
    }
}

#if defined(MP_DEFINE_CONST_OBJ_TYPE)
static MP_DEFINE_CONST_OBJ_TYPE(
    context_type,
    MP_QSTR_SSLContext,
    MP_TYPE_FLAG_NONE,
    make_new, context_make_new,
    attr, context_attribute,
    locals_dict, &context_dictionary
    );
#else
static const mp_obj_type_t context_type = {
    { &mp_type_type },
    .name = MP_QSTR_SSLContext,
    .make_new = context_make_new,
    .attr = context_attribute,
    .locals_dict = (mp_obj_dict_t *)&context_dictionary,
};
#endif

// ---- the module -------------------------------------------------------------------------------------------------

static mp_obj_t module_wrap_socket(size_t count, const mp_obj_t *positional, mp_map_t *keywords) {
    enum { ARG_key, ARG_cert, ARG_server_side, ARG_server_hostname, ARG_cert_reqs, ARG_cadata, ARG_do_handshake };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_key, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_cert, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_server_side, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = false} },
        { MP_QSTR_server_hostname, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_cert_reqs, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = CERT_NONE} },
        { MP_QSTR_cadata, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_do_handshake, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = true} },
    };
    mp_arg_val_t arguments[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(count - 1, positional + 1, keywords, MP_ARRAY_SIZE(allowed), allowed, arguments);
    mp_obj_t stream = positional[0];
    mp_get_stream_raise(stream, MP_STREAM_OP_READ | MP_STREAM_OP_WRITE | MP_STREAM_OP_IOCTL);
    context_object_t *context = context_new(&context_type, arguments[ARG_server_side].u_bool);
    if (arguments[ARG_key].u_obj != mp_const_none) {
        context_load_key(context, arguments[ARG_cert].u_obj, arguments[ARG_key].u_obj);
    }
    if (arguments[ARG_cadata].u_obj != mp_const_none) {
        context_add_anchors(context, arguments[ARG_cadata].u_obj);
    }
    context->verify_mode = checked_mode(arguments[ARG_cert_reqs].u_int);
    context_set_mode(context);
    mp_obj_t name = arguments[ARG_server_hostname].u_obj;
    check_name(context, name);
    mp_obj_t socket = wrap(context, stream, name, arguments[ARG_do_handshake].u_bool);
    // The socket has its own reference.
    context_finalise(MP_OBJ_FROM_PTR(context));
    return socket;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(module_wrap_socket_object, 1, module_wrap_socket);

#if CASEMATE_TEST
// For tests: lets an allocation of the library fail or be interrupted, and says what it holds: blocks, bytes, most bytes since the last call.
static mp_obj_t module_fail_after(mp_obj_t count) {
    casemate_heap_fail_after(mp_obj_get_int(count));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(module_fail_after_object, module_fail_after);

#if MICROPY_ASYNC_KBD_INTR
static mp_obj_t module_interrupt_after(mp_obj_t count) {
    casemate_heap_interrupt_after(mp_obj_get_int(count));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(module_interrupt_after_object, module_interrupt_after);
#endif

static mp_obj_t module_usage(void) {
    size_t blocks, bytes, peak;
    casemate_heap_usage(&blocks, &bytes, &peak);
    mp_obj_t items[] = { MP_OBJ_NEW_SMALL_INT(blocks), MP_OBJ_NEW_SMALL_INT(bytes), MP_OBJ_NEW_SMALL_INT(peak) };
    return mp_obj_new_tuple(3, items);
}
static MP_DEFINE_CONST_FUN_OBJ_0(module_usage_object, module_usage);
#endif

#if WOLFSSL_ALIAS
// micropython-lib's ssl module takes its version from this name.
static const MP_DEFINE_STR_OBJ(version_object, "Casemate");
#endif

static const mp_rom_map_elem_t wolfssl_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_wolfssl) },
    { MP_ROM_QSTR(MP_QSTR_SSLContext), MP_ROM_PTR(&context_type) },
    { MP_ROM_QSTR(MP_QSTR_wrap_socket), MP_ROM_PTR(&module_wrap_socket_object) },
    { MP_ROM_QSTR(MP_QSTR_PROTOCOL_TLS_CLIENT), MP_ROM_INT(0) },
    { MP_ROM_QSTR(MP_QSTR_PROTOCOL_TLS_SERVER), MP_ROM_INT(PROTOCOL_SERVER) },
    { MP_ROM_QSTR(MP_QSTR_CERT_NONE), MP_ROM_INT(CERT_NONE) },
    { MP_ROM_QSTR(MP_QSTR_CERT_OPTIONAL), MP_ROM_INT(CERT_OPTIONAL) },
    { MP_ROM_QSTR(MP_QSTR_CERT_REQUIRED), MP_ROM_INT(CERT_REQUIRED) },
    #if CASEMATE_TEST
    { MP_ROM_QSTR(MP_QSTR__fail_after), MP_ROM_PTR(&module_fail_after_object) },
    #if MICROPY_ASYNC_KBD_INTR
    { MP_ROM_QSTR(MP_QSTR__interrupt_after), MP_ROM_PTR(&module_interrupt_after_object) },
    #endif
    { MP_ROM_QSTR(MP_QSTR__usage), MP_ROM_PTR(&module_usage_object) },
    #endif
    #if WOLFSSL_ALIAS
    { MP_ROM_QSTR(MP_QSTR_MBEDTLS_VERSION), MP_ROM_PTR(&version_object) },
    #endif
};
static MP_DEFINE_CONST_DICT(wolfssl_globals, wolfssl_globals_table);

const mp_obj_module_t wolfssl_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&wolfssl_globals,
};

MP_REGISTER_MODULE(MP_QSTR_wolfssl, wolfssl_module);
#if WOLFSSL_ALIAS
#if CASEMATE_MICROPYTHON >= 123
MP_REGISTER_MODULE(MP_QSTR_tls, wolfssl_module);
#elif CASEMATE_MICROPYTHON < 121
MP_REGISTER_MODULE(MP_QSTR_ussl, wolfssl_module);
#else
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_ssl, wolfssl_module);
#endif
#endif

#endif
