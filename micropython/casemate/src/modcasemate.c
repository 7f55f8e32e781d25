// The module casemate: a client of an HSM server, over any stream.
#include <errno.h>
#include <string.h>
#include "common.h"
#include "interrupt.h"
#include "modcasemate.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/mpthread.h"
#include "py/objexcept.h"
#include "py/stream.h"

#if CASEMATE_FEATURE_HSM

// The largest payload of a packet, in bytes: that of the protocol's first implementation, unless the program says otherwise.
#define DATA_LENGTH 1280
#define DATA_LENGTH_MIN 256
#define DATA_LENGTH_MAX 65535
#define TIMEOUT 30000

// The largest signature and RSA modulus, in bytes.
#define SIGNATURE_MAX 512
// The largest encoded public key, in bytes.
#define PUBLIC_MAX 600
// The largest agreed secret, in bytes.
#define SECRET_MAX 66
#define LABEL_MAX 24

// Statuses of the server that are told apart here.
#define STATUS_NOT_FOUND            (-2104)
#define STATUS_ACCESS               (-2101)
#define STATUS_ARGUMENT             (-173)
#define STATUS_AUTHENTICATION       (-180)

// Flags of keys and objects.
#define FLAG_SENSITIVE      0x0002
#define FLAG_NONEXPORTABLE  0x0004
#define FLAG_ENCRYPT        0x0020
#define FLAG_DECRYPT        0x0040
#define FLAG_SIGN           0x0080
#define FLAG_VERIFY         0x0100
#define FLAG_WRAP           0x0200
#define FLAG_DERIVE         0x0400
#define FLAG_SECRET         (FLAG_SENSITIVE | FLAG_NONEXPORTABLE)

// For objects that hold keystream, which is wiped when the collector finds them, or a program calls __del__.
#if MICROPY_ENABLE_FINALISER
#define NEW_OBJECT(type) m_malloc_with_finaliser(sizeof(type))
#else
#define NEW_OBJECT(type) m_malloc(sizeof(type))
#endif

typedef struct {
    mp_obj_base_t base;
    mp_obj_t stream;
    uint32_t timeout; // in milliseconds, 0 for none
    void *holder; // the thread that is in a call
    uint8_t *copy; // what a stream written in Python works on, while it does
    size_t copy_length;
    bool busy;
    bool inside; // the call is in the library
    bool writing; // the stream is being written to
    bool closed;
    bool interrupt_off; // before the client was taken
    uint16_t server;
    size_t size; // of the library's memory
    size_t piece; // data is worked on in requests of this many bytes
    uint64_t memory[]; // the library's
} client_object_t;

typedef struct {
    mp_obj_base_t base;
    mp_obj_t client;
    uint16_t id;
    uint16_t bits; // of an RSA modulus
    uint8_t kind; // CASEMATE_KEY_*, or 0 if it is none of them or was not asked for
} key_object_t;

typedef casemate_hsm_call_t call_t;

// Where bytes of a request come from. A stream written in Python and other threads may give the object other memory while a
// request waits: it is asked for its memory again before each use.
typedef struct {
    mp_obj_t object; // MP_OBJ_NULL: memory that stays
    size_t offset;
} source_t;

static const mp_obj_type_t client_type, key_type;

// ---- errors -----------------------------------------------------------------------------------------------------

// A server's refusal: an OSError with the status as its number.
#if defined(MP_DEFINE_CONST_OBJ_TYPE)
static MP_DEFINE_CONST_OBJ_TYPE(
    error_type,
    MP_QSTR_Error,
    MP_TYPE_FLAG_NONE,
    make_new, mp_obj_exception_make_new,
    print, mp_obj_exception_print,
    attr, mp_obj_exception_attr,
    parent, &mp_type_OSError
    );
#else
static const mp_obj_type_t error_type = {
    { &mp_type_type },
    .name = MP_QSTR_Error,
    .print = mp_obj_exception_print,
    .make_new = mp_obj_exception_make_new,
    .attr = mp_obj_exception_attr,
    .parent = &mp_type_OSError,
};
#endif

static __attribute__((noreturn)) void raise_status(int32_t status) {
    casemate_raise_number(&error_type, status, CASEMATE_TEXT(casemate_hsm_text));
}

// Raises what the number of a call without an outcome stands for.
static void check(int32_t answer) {
    switch (answer) {
        case 0:
            return;
        case CASEMATE_HSM_ARGUMENT:
            mp_raise_ValueError(MP_ERROR_TEXT("argument"));
        case CASEMATE_HSM_TOO_LONG:
            mp_raise_ValueError(MP_ERROR_TEXT("too long for a packet"));
        case CASEMATE_HSM_LOST:
            mp_raise_OSError(MP_ECONNRESET);
        default:
            raise_status(answer);
    }
}

// ---- the stream -------------------------------------------------------------------------------------------------

static inline casemate_hsm_t *library(client_object_t *self) {
    return (casemate_hsm_t *)self->memory;
}

// A moment for others, if the stream has nothing yet; the end of the request, if it has waited long enough.
static void wait(client_object_t *self, uint32_t began) {
    if (self->timeout != 0 && casemate_port_milliseconds() - began >= self->timeout) {
        mp_raise_OSError(MP_ETIMEDOUT);
    }
    casemate_wait_for_transport();
}

// The same in a request, during which an interrupt waits except where the program might.
static void wait_in_request(client_object_t *self, uint32_t began) {
    casemate_interrupt_restore(self->interrupt_off);
    wait(self, began);
    casemate_interrupt_off();
}

// Memory of its own for a stream that is written in Python: the stream might keep the object that it sees.
static void *copy_new(client_object_t *self, size_t length) {
    self->copy_length = 0;
    self->copy = m_malloc(length);
    self->copy_length = length;
    return self->copy;
}

// It may hold a key.
static void copy_wipe(client_object_t *self) {
    if (self->copy != NULL) {
        casemate_wipe(self->copy, self->copy_length);
        self->copy = NULL;
    }
}

static void give_up(client_object_t *self, bool lost) {
    self->inside = true;
    casemate_hsm_abandon(library(self), lost);
    self->inside = false;
}

// Raises an error of the stream. It may have taken or lost bytes, so no packet can follow.
static __attribute__((noreturn)) void stream_failed(client_object_t *self, int error) {
    give_up(self, true);
    mp_raise_OSError(error);
}

// Sends what there is to send, then receives until a packet is there.
static void move(client_object_t *self, uint32_t began) {
    const mp_stream_p_t *stream = mp_get_stream(self->stream);
    bool copy = casemate_written_in_python(self->stream);
    int error;
    for (;;) {
        const uint8_t *output;
        size_t length;
        casemate_hsm_output(library(self), &output, &length);
        if (length == 0) {
            break;
        }
        void *data = (void *)output;
        if (copy) {
            data = copy_new(self, length);
            memcpy(data, output, length);
        }
        self->writing = true;
        casemate_interrupt_restore(self->interrupt_off);
        mp_uint_t count = stream->write(self->stream, data, length, &error);
        casemate_interrupt_off();
        self->writing = false;
        copy_wipe(self);
        if (count == MP_STREAM_ERROR && !mp_is_nonblocking_error(error)) {
            stream_failed(self, error);
        }
        if (count == MP_STREAM_ERROR || count == 0) {
            wait_in_request(self, began);
            continue;
        }
        casemate_hsm_sent(library(self), count > length ? length : count);
    }
    for (;;) {
        uint8_t *room;
        size_t length;
        casemate_hsm_input(library(self), &room, &length);
        if (length == 0) {
            return;
        }
        void *data = copy ? copy_new(self, length) : room;
        casemate_interrupt_restore(self->interrupt_off);
        mp_uint_t count = stream->read(self->stream, data, length, &error);
        casemate_interrupt_off();
        if (copy && count != MP_STREAM_ERROR) {
            memcpy(room, data, count > length ? length : count);
        }
        copy_wipe(self);
        if (count == MP_STREAM_ERROR) {
            if (!mp_is_nonblocking_error(error)) {
                stream_failed(self, error);
            }
            wait_in_request(self, began);
            continue;
        }
        if (count == 0) {
            stream_failed(self, MP_ECONNRESET);
        }
        casemate_hsm_filled(library(self), count > length ? length : count);
    }
}

// ---- requests ---------------------------------------------------------------------------------------------------

// Tells threads apart.
static void *this_thread(void) {
    #if MICROPY_PY_THREAD
    return mp_thread_get_state();
    #else
    static char only;
    return &only;
    #endif
}

// Takes the client for this thread, waiting until others are through with their requests. From then on interrupts wait.
static void take(client_object_t *self) {
    uint32_t began = casemate_port_milliseconds();
    for (;;) {
        bool off = casemate_interrupt_off();
        if (!__atomic_exchange_n(&self->busy, true, __ATOMIC_ACQUIRE)) {
            self->interrupt_off = off;
            break;
        }
        casemate_interrupt_restore(off);
        if (__atomic_load_n(&self->holder, __ATOMIC_RELAXED) == this_thread()) {
            // The stream itself makes a request.
            mp_raise_OSError(MP_EBUSY);
        }
        MP_THREAD_GIL_EXIT();
        MP_THREAD_GIL_ENTER();
        wait(self, began);
    }
    __atomic_store_n(&self->holder, this_thread(), __ATOMIC_RELAXED);
}

static void give_back(client_object_t *self) {
    bool off = self->interrupt_off;
    __atomic_store_n(&self->holder, NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&self->busy, false, __ATOMIC_RELEASE);
    casemate_interrupt_restore(off);
}

// The bytes of a source, which must not have become fewer.
static void look_up(const source_t *source, casemate_bytes_t *bytes) {
    if (source->object == MP_OBJ_NULL) {
        return;
    }
    casemate_bytes_t all = casemate_get_bytes(source->object);
    if (all.length < source->offset || all.length - source->offset < bytes->length) {
        casemate_raise(CASEMATE_ERROR_LENGTH);
    }
    bytes->data = all.data + source->offset;
}

// Makes a request and returns 0, or the number of a failure. Whatever Python raises from below passes through. The sources
// are those of `input` and `extra`, whose lengths are set. The request that ends the session closes the client.
static int32_t run_with(client_object_t *self, call_t *call, source_t input, source_t extra) {
    take(self);
    volatile int32_t answer = CASEMATE_HSM_MORE;
    void *raised = NULL;
    bool closing = call->operation == CASEMATE_HSM_CLOSE;
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        uint32_t began = casemate_port_milliseconds();
        if (self->closed && closing) {
            // Another thread has closed it.
            answer = CASEMATE_HSM_LOST;
        } else if (self->closed) {
            mp_raise_OSError(MP_EBADF);
        }
        while (answer == CASEMATE_HSM_MORE) {
            look_up(&input, &call->input);
            look_up(&extra, &call->extra);
            self->inside = true;
            answer = casemate_hsm_call(library(self), call);
            self->inside = false;
            if (answer != CASEMATE_HSM_MORE) {
                break;
            }
            // A stream that is never empty must not hold up the end either.
            if (self->timeout != 0 && casemate_port_milliseconds() - began > 2 * self->timeout) {
                mp_raise_OSError(MP_ETIMEDOUT);
            }
            move(self, began);
        }
        nlr_pop();
    } else {
        casemate_interrupt_off();
        raised = nlr.ret_val;
        copy_wipe(self);
        if (self->inside) {
            // Out of the library, which does not happen: it is not touched again, and there may be keys in it.
            self->inside = false;
            self->closed = true;
            casemate_wipe(self->memory, self->size);
        } else if (!self->closed) {
            // How much the stream has taken is not known.
            give_up(self, self->writing);
        }
        self->writing = false;
    }
    if (closing && !self->closed) {
        give_up(self, true);
        self->closed = true;
    }
    give_back(self);
    if (raised != NULL) {
        nlr_jump(raised);
    }
    return answer;
}

static const source_t nothing = { MP_OBJ_NULL, 0 };

// The same with bytes whose memory stays as it is.
static int32_t run(client_object_t *self, call_t *call) {
    return run_with(self, call, nothing, nothing);
}

// A request that must succeed.
static uint32_t ask(client_object_t *self, call_t *call) {
    check(run(self, call));
    return call->value;
}

// The same with the input of an object of the program's.
static uint32_t ask_with(client_object_t *self, call_t *call, mp_obj_t input) {
    check(run_with(self, call, (source_t) { input, 0 }, nothing));
    return call->value;
}

// A bytes object with the outcome of a request, which has up to `room` bytes.
static mp_obj_t ask_bytes(client_object_t *self, call_t *call, mp_obj_t input, size_t room) {
    vstr_t result;
    vstr_init_len(&result, room);
    call->output = (uint8_t *)result.buf;
    call->room = room;
    ask_with(self, call, input);
    result.len = call->length;
    return casemate_bytes_from_vstr(&result);
}

static mp_int_t get_number(mp_obj_t object, mp_int_t least, mp_int_t most) {
    mp_int_t number = mp_obj_get_int(object);
    if (number < least || number > most) {
        mp_raise_ValueError(MP_ERROR_TEXT("number out of range"));
    }
    return number;
}

static uint32_t get_word(mp_obj_t object) {
    if (!mp_obj_is_int(object)) {
        mp_raise_TypeError(MP_ERROR_TEXT("int expected"));
    }
    return mp_obj_int_get_truncated(object);
}

static casemate_bytes_t get_label(mp_obj_t object) {
    casemate_bytes_t label = casemate_get_text(object);
    if (label.length > LABEL_MAX) {
        mp_raise_ValueError(MP_ERROR_TEXT("label"));
    }
    return label;
}

// ---- ciphers ----------------------------------------------------------------------------------------------------

// aes(key, mode[, iv]) and aes_gcm(key[, tag_size]), as wolfcryptolib has them, with a key of the server's.
typedef struct {
    mp_obj_base_t base;
    mp_obj_t client;
    uint16_t id;
    uint8_t operation; // 0 once wiped
    uint8_t direction; // 0 not decided, 1 encrypt, 2 decrypt
    uint8_t tag_size;
    bool busy;
    uint8_t state[CASEMATE_HSM_CTR_STATE_SIZE];
    uint8_t next[CASEMATE_HSM_CTR_STATE_SIZE]; // after the call under way, if it succeeds
} cipher_object_t;

typedef mp_obj_t (*process_t)(size_t count, const mp_obj_t *arguments, uint8_t direction, vstr_t *result);

// Calls a function with room for its result, which is wiped if something is raised: it may hold what nobody else may see.
static mp_obj_t process(process_t function, size_t count, const mp_obj_t *arguments, uint8_t direction) {
    vstr_t result = { .alloc = 0, .len = 0, .buf = NULL };
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_obj_t answer = function(count, arguments, direction, &result);
        nlr_pop();
        return answer;
    }
    if (result.buf != NULL) {
        casemate_wipe(result.buf, result.len);
        vstr_clear(&result);
    }
    nlr_jump(nlr.ret_val);
}

static mp_obj_t cipher_process(size_t count, const mp_obj_t *arguments, uint8_t direction, vstr_t *result) {
    cipher_object_t *self = MP_OBJ_TO_PTR(arguments[0]);
    client_object_t *client = MP_OBJ_TO_PTR(self->client);
    casemate_bytes_t input = casemate_get_bytes(arguments[1]);
    if (self->operation == 0) {
        casemate_raise(CASEMATE_ERROR_KEY);
    }
    if (self->operation != CASEMATE_HSM_AES_CTR && input.length % 16 != 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("blksize % 16"));
    }
    mp_buffer_info_t view;
    if (count == 3) {
        mp_get_buffer_raise(arguments[2], &view, MP_BUFFER_WRITE);
        if (view.len < input.length) {
            mp_raise_ValueError(MP_ERROR_TEXT("output too small"));
        }
    }
    if (self->direction != 0 && self->direction != direction) {
        casemate_raise(CASEMATE_ERROR_DIRECTION);
    }
    self->direction = direction;
    // The stream may be written in Python and change the caller's buffers: they are used before and after the requests.
    vstr_init_len(result, input.length);
    memcpy(result->buf, input.data, input.length);
    memcpy(self->next, self->state, sizeof(self->next));
    for (size_t done = 0; done < result->len;) {
        size_t length = result->len - done < client->piece ? result->len - done : client->piece;
        if (length == 0) {
            check(CASEMATE_HSM_TOO_LONG);
        }
        call_t call = {
            .operation = self->operation,
            .id = self->id,
            .number = direction == 1,
            .state = self->next,
            .state_length = sizeof(self->next),
            .output = (uint8_t *)result->buf + done,
            .room = length,
        };
        ask(client, &call);
        done += length;
    }
    memcpy(self->state, self->next, sizeof(self->state));
    if (count == 2) {
        return casemate_bytes_from_vstr(result);
    }
    mp_get_buffer_raise(arguments[2], &view, MP_BUFFER_WRITE);
    memcpy(view.buf, result->buf, view.len < result->len ? view.len : result->len);
    casemate_wipe(result->buf, result->len);
    vstr_clear(result);
    return arguments[2];
}

// One at a time: two pieces of data must not meet the same keystream. A stream or a thread that comes in between is refused.
static void cipher_take(cipher_object_t *self) {
    if (__atomic_exchange_n(&self->busy, true, __ATOMIC_ACQUIRE)) {
        mp_raise_OSError(MP_EBUSY);
    }
}

static void cipher_give_back(cipher_object_t *self) {
    casemate_wipe(self->next, sizeof(self->next));
    __atomic_store_n(&self->busy, false, __ATOMIC_RELEASE);
}

static mp_obj_t cipher_run(size_t count, const mp_obj_t *arguments, uint8_t direction) {
    cipher_object_t *self = MP_OBJ_TO_PTR(arguments[0]);
    cipher_take(self);
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_obj_t answer = process(cipher_process, count, arguments, direction);
        nlr_pop();
        cipher_give_back(self);
        return answer;
    }
    cipher_give_back(self);
    nlr_jump(nlr.ret_val);
}

static mp_obj_t cipher_encrypt(size_t count, const mp_obj_t *arguments) {
    return cipher_run(count, arguments, 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(cipher_encrypt_object, 2, 3, cipher_encrypt);

static mp_obj_t cipher_decrypt(size_t count, const mp_obj_t *arguments) {
    return cipher_run(count, arguments, 2);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(cipher_decrypt_object, 2, 3, cipher_decrypt);

#if MICROPY_ENABLE_FINALISER
static mp_obj_t cipher_finalise(mp_obj_t self_in) {
    cipher_object_t *self = MP_OBJ_TO_PTR(self_in);
    cipher_take(self);
    self->operation = 0;
    casemate_wipe(self->state, sizeof(self->state));
    cipher_give_back(self);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(cipher_finalise_object, cipher_finalise);
#endif

static const mp_rom_map_elem_t cipher_dictionary_table[] = {
    #if MICROPY_ENABLE_FINALISER
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&cipher_finalise_object) },
    #endif
    { MP_ROM_QSTR(MP_QSTR_encrypt), MP_ROM_PTR(&cipher_encrypt_object) },
    { MP_ROM_QSTR(MP_QSTR_decrypt), MP_ROM_PTR(&cipher_decrypt_object) },
};
static MP_DEFINE_CONST_DICT(cipher_dictionary, cipher_dictionary_table);

static mp_obj_t gcm_process(size_t count, const mp_obj_t *arguments, uint8_t direction, vstr_t *result) {
    bool encrypt = direction == 1;
    cipher_object_t *self = MP_OBJ_TO_PTR(arguments[0]);
    casemate_bytes_t nonce = casemate_get_bytes(arguments[1]);
    casemate_bytes_t data = casemate_get_bytes(arguments[2]);
    casemate_bytes_t aad = { NULL, 0 };
    if (count == 4) {
        aad = casemate_get_bytes(arguments[3]);
    }
    if (!encrypt && data.length < self->tag_size) {
        casemate_raise(CASEMATE_ERROR_AUTHENTICATION);
    }
    vstr_init_len(result, data.length + (encrypt ? self->tag_size : 0));
    memset(result->buf, 0, result->len);
    memcpy(result->buf, data.data, data.length);
    call_t call = {
        .operation = encrypt ? CASEMATE_HSM_AES_GCM_ENCRYPT : CASEMATE_HSM_AES_GCM_DECRYPT,
        .id = self->id,
        .number = self->tag_size,
        .input = aad,
        .extra = nonce,
        .output = (uint8_t *)result->buf,
        .room = result->len,
    };
    source_t from = { count == 4 ? arguments[3] : MP_OBJ_NULL, 0 };
    int32_t answer = run_with(MP_OBJ_TO_PTR(self->client), &call, from, (source_t) { arguments[1], 0 });
    if (answer == STATUS_AUTHENTICATION) {
        casemate_raise(CASEMATE_ERROR_AUTHENTICATION);
    }
    check(answer);
    if (!encrypt) {
        result->len -= self->tag_size;
    }
    return casemate_bytes_from_vstr(result);
}

static mp_obj_t gcm_encrypt(size_t count, const mp_obj_t *arguments) {
    return process(gcm_process, count, arguments, 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(gcm_encrypt_object, 3, 4, gcm_encrypt);

static mp_obj_t gcm_decrypt(size_t count, const mp_obj_t *arguments) {
    return process(gcm_process, count, arguments, 2);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(gcm_decrypt_object, 3, 4, gcm_decrypt);

static const mp_rom_map_elem_t gcm_dictionary_table[] = {
    { MP_ROM_QSTR(MP_QSTR_encrypt), MP_ROM_PTR(&gcm_encrypt_object) },
    { MP_ROM_QSTR(MP_QSTR_decrypt), MP_ROM_PTR(&gcm_decrypt_object) },
};
static MP_DEFINE_CONST_DICT(gcm_dictionary, gcm_dictionary_table);

#if defined(MP_DEFINE_CONST_OBJ_TYPE)
static MP_DEFINE_CONST_OBJ_TYPE(cipher_type, MP_QSTR_aes, MP_TYPE_FLAG_NONE, locals_dict, &cipher_dictionary);
static MP_DEFINE_CONST_OBJ_TYPE(gcm_type, MP_QSTR_aes_gcm, MP_TYPE_FLAG_NONE, locals_dict, &gcm_dictionary);
#else
static const mp_obj_type_t cipher_type = { { &mp_type_type }, .name = MP_QSTR_aes, .locals_dict = (mp_obj_dict_t *)&cipher_dictionary };
static const mp_obj_type_t gcm_type = { { &mp_type_type }, .name = MP_QSTR_aes_gcm, .locals_dict = (mp_obj_dict_t *)&gcm_dictionary };
#endif

static cipher_object_t *cipher_new(const mp_obj_type_t *type, mp_obj_t key_in) {
    key_object_t *key = MP_OBJ_TO_PTR(key_in);
    cipher_object_t *self = NEW_OBJECT(cipher_object_t);
    memset(self, 0, sizeof(*self));
    self->base.type = type;
    self->client = key->client;
    self->id = key->id;
    return self;
}

static mp_obj_t key_aes(size_t count, const mp_obj_t *arguments) {
    uint8_t operation;
    switch (mp_obj_get_int(arguments[1])) {
        case CASEMATE_AES_ECB:
            operation = CASEMATE_HSM_AES_ECB;
            break;
        case CASEMATE_AES_CBC:
            operation = CASEMATE_HSM_AES_CBC;
            break;
        case CASEMATE_AES_CTR:
            operation = CASEMATE_HSM_AES_CTR;
            break;
        default:
            mp_raise_ValueError(MP_ERROR_TEXT("mode"));
    }
    casemate_bytes_t iv = { NULL, 0 };
    if (count == 3 && arguments[2] != mp_const_none) {
        iv = casemate_get_bytes(arguments[2]);
        if (iv.length != 16) {
            casemate_raise(CASEMATE_ERROR_IV);
        }
    } else if (operation != CASEMATE_HSM_AES_ECB) {
        casemate_raise(CASEMATE_ERROR_IV);
    }
    cipher_object_t *self = cipher_new(&cipher_type, arguments[0]);
    self->operation = operation;
    if (iv.length != 0) {
        memcpy(self->state, iv.data, iv.length);
    }
    return MP_OBJ_FROM_PTR(self);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(key_aes_object, 2, 3, key_aes);

static mp_obj_t key_aes_gcm(size_t count, const mp_obj_t *arguments) {
    mp_int_t tag_size = count == 2 ? mp_obj_get_int(arguments[1]) : 16;
    if (tag_size < 4 || tag_size > 16) {
        casemate_raise(CASEMATE_ERROR_TAG);
    }
    cipher_object_t *self = cipher_new(&gcm_type, arguments[0]);
    self->tag_size = tag_size;
    return MP_OBJ_FROM_PTR(self);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(key_aes_gcm_object, 1, 2, key_aes_gcm);

// ---- keys -------------------------------------------------------------------------------------------------------

static const struct {
    const char *name;
    uint8_t kind;
    uint8_t algorithm; // what the protocol calls it
    uint16_t usage;
} kinds[] = {
    { "p256", CASEMATE_KEY_P256, 2, FLAG_SIGN | FLAG_VERIFY | FLAG_DERIVE },
    { "p384", CASEMATE_KEY_P384, 2, FLAG_SIGN | FLAG_VERIFY | FLAG_DERIVE },
    { "p521", CASEMATE_KEY_P521, 2, FLAG_SIGN | FLAG_VERIFY | FLAG_DERIVE },
    { "ed25519", CASEMATE_KEY_ED25519, 4, FLAG_SIGN | FLAG_VERIFY },
    { "rsa", CASEMATE_KEY_RSA, 1, FLAG_SIGN | FLAG_VERIFY },
    { "x25519", CASEMATE_KEY_X25519, 3, FLAG_DERIVE },
};

static size_t kind_named(mp_obj_t name) {
    const char *text = mp_obj_str_get_str(name);
    for (size_t index = 0; index < MP_ARRAY_SIZE(kinds); ++index) {
        if (strcmp(kinds[index].name, text) == 0) {
            return index;
        }
    }
    casemate_raise(CASEMATE_ERROR_UNSUPPORTED);
}

static key_object_t *key_new(mp_obj_t client, uint16_t id) {
    key_object_t *self = m_malloc(sizeof(key_object_t));
    memset(self, 0, sizeof(*self));
    self->base.type = &key_type;
    self->client = client;
    self->id = id;
    return self;
}

static int32_t key_fetch_public(key_object_t *self, uint8_t algorithm, vstr_t *public) {
    call_t call = { .operation = CASEMATE_HSM_KEY_EXPORT_PUBLIC, .id = self->id, .number = algorithm };
    call.output = (uint8_t *)public->buf;
    call.room = public->alloc;
    int32_t answer = run(MP_OBJ_TO_PTR(self->client), &call);
    public->len = call.length;
    return answer;
}

// The public half of a key pair, whose kind is then known. The server does not know what a key is for: it is asked for each
// kind in turn.
static void key_public_half(key_object_t *self, vstr_t *public) {
    static const uint8_t algorithms[] = { 2, 4, 1, 3 };
    int32_t answer = 0;
    vstr_init(public, PUBLIC_MAX);
    for (size_t index = 0; index < MP_ARRAY_SIZE(algorithms); ++index) {
        answer = key_fetch_public(self, algorithms[index], public);
        if (answer > 0 || answer == STATUS_NOT_FOUND || answer == STATUS_ACCESS) {
            break;
        }
        uint32_t kind = answer == 0 ? casemate_hsm_kind((const uint8_t *)public->buf, public->len) : 0;
        if (kind != 0) {
            self->kind = kind & 0xff;
            self->bits = kind >> 8;
            return;
        }
    }
    check(answer);
    casemate_raise(CASEMATE_ERROR_UNSUPPORTED);
}

static void key_find_kind(key_object_t *self) {
    if (self->kind == 0 || (self->kind == CASEMATE_KEY_RSA && self->bits == 0)) {
        vstr_t public;
        key_public_half(self, &public);
        vstr_clear(&public);
    }
}

static mp_obj_t key_public(mp_obj_t self_in) {
    vstr_t public;
    key_public_half(MP_OBJ_TO_PTR(self_in), &public);
    return casemate_bytes_from_vstr(&public);
}
static MP_DEFINE_CONST_FUN_OBJ_1(key_public_object, key_public);

static mp_obj_t key_simple(mp_obj_t self_in, uint8_t operation) {
    key_object_t *self = MP_OBJ_TO_PTR(self_in);
    call_t call = { .operation = operation, .id = self->id };
    ask(MP_OBJ_TO_PTR(self->client), &call);
    return mp_const_none;
}

static mp_obj_t key_commit(mp_obj_t self) {
    return key_simple(self, CASEMATE_HSM_KEY_COMMIT);
}
static MP_DEFINE_CONST_FUN_OBJ_1(key_commit_object, key_commit);

static mp_obj_t key_evict(mp_obj_t self) {
    return key_simple(self, CASEMATE_HSM_KEY_EVICT);
}
static MP_DEFINE_CONST_FUN_OBJ_1(key_evict_object, key_evict);

static mp_obj_t key_erase(mp_obj_t self) {
    return key_simple(self, CASEMATE_HSM_KEY_ERASE);
}
static MP_DEFINE_CONST_FUN_OBJ_1(key_erase_object, key_erase);

static mp_obj_t key_revoke(mp_obj_t self) {
    return key_simple(self, CASEMATE_HSM_KEY_REVOKE);
}
static MP_DEFINE_CONST_FUN_OBJ_1(key_revoke_object, key_revoke);

static mp_obj_t key_export(mp_obj_t self_in) {
    key_object_t *self = MP_OBJ_TO_PTR(self_in);
    client_object_t *client = MP_OBJ_TO_PTR(self->client);
    call_t call = { .operation = CASEMATE_HSM_KEY_EXPORT, .id = self->id };
    return ask_bytes(client, &call, MP_OBJ_NULL, client->piece + 96);
}
static MP_DEFINE_CONST_FUN_OBJ_1(key_export_object, key_export);

// The CMAC of data that is too long for one request. Where it stands travels with each of them, in `state`.
static mp_obj_t cmac_in_pieces(key_object_t *self, mp_obj_t data_in, size_t data_length, size_t length, uint8_t *state) {
    client_object_t *client = MP_OBJ_TO_PTR(self->client);
    if (client->piece == 0) {
        check(CASEMATE_HSM_TOO_LONG);
    }
    memset(state, 0, CASEMATE_HSM_CMAC_STATE_SIZE);
    call_t call = { .operation = CASEMATE_HSM_CMAC_UPDATE, .id = self->id };
    call.state = state;
    call.state_length = CASEMATE_HSM_CMAC_STATE_SIZE;
    for (size_t done = 0; done < data_length; done += call.input.length) {
        call.input.length = data_length - done < client->piece ? data_length - done : client->piece;
        check(run_with(client, &call, (source_t) { data_in, done }, nothing));
    }
    call.operation = CASEMATE_HSM_CMAC_FINISH;
    call.input = (casemate_bytes_t) { NULL, 0 };
    return ask_bytes(client, &call, MP_OBJ_NULL, length);
}

static mp_obj_t key_cmac(size_t count, const mp_obj_t *arguments) {
    key_object_t *self = MP_OBJ_TO_PTR(arguments[0]);
    client_object_t *client = MP_OBJ_TO_PTR(self->client);
    casemate_bytes_t data = casemate_get_bytes(arguments[1]);
    size_t length = count == 3 ? get_number(arguments[2], 4, 16) : 16;
    call_t call = { .operation = CASEMATE_HSM_CMAC, .id = self->id, .input = data };
    if (data.length > client->piece) {
        uint8_t state[CASEMATE_HSM_CMAC_STATE_SIZE];
        nlr_buf_t nlr;
        if (nlr_push(&nlr) == 0) {
            mp_obj_t answer = cmac_in_pieces(self, arguments[1], data.length, length, state);
            nlr_pop();
            casemate_wipe(state, sizeof(state));
            return answer;
        }
        casemate_wipe(state, sizeof(state));
        nlr_jump(nlr.ret_val);
    }
    return ask_bytes(client, &call, arguments[1], length);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(key_cmac_object, 2, 3, key_cmac);

// Has the server sign a digest, a padded block, or with Ed25519 a message. Returns the signature's length.
// The input's memory stays, or is that of `source`.
static size_t key_sign_raw(key_object_t *self, casemate_bytes_t input, mp_obj_t source, uint8_t *signature, size_t room) {
    call_t call = { .id = self->id, .input = input, .output = signature, .room = room };
    switch (self->kind) {
        case CASEMATE_KEY_ED25519:
            call.operation = CASEMATE_HSM_ED25519_SIGN;
            break;
        case CASEMATE_KEY_RSA:
            call.operation = CASEMATE_HSM_RSA;
            call.number = 1;
            // The room that is asked for must fit a packet.
            call.room = (self->bits + 7u) / 8;
            if (call.room > room) {
                check(CASEMATE_HSM_TOO_LONG);
            }
            break;
        default:
            call.operation = CASEMATE_HSM_ECDSA_SIGN;
            break;
    }
    ask_with(MP_OBJ_TO_PTR(self->client), &call, source);
    return call.length;
}

bool casemate_is_key(mp_obj_t object) {
    return mp_obj_is_type(object, &key_type);
}

mp_obj_t casemate_key_public(mp_obj_t key) {
    return key_public(key);
}

size_t casemate_key_sign(mp_obj_t key, casemate_bytes_t data, uint8_t *signature, size_t room) {
    return key_sign_raw(MP_OBJ_TO_PTR(key), data, MP_OBJ_NULL, signature, room);
}

static const mp_arg_t signature_arguments[] = {
    { MP_QSTR_hash, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
    { MP_QSTR_pss, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = false} },
    { MP_QSTR_prehashed, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = false} },
};

static casemate_hsm_scheme_t get_scheme(key_object_t *self, size_t count, const mp_obj_t *positional, mp_map_t *keywords) {
    mp_arg_val_t arguments[MP_ARRAY_SIZE(signature_arguments)];
    mp_arg_parse_all(count, positional, keywords, MP_ARRAY_SIZE(arguments), signature_arguments, arguments);
    key_find_kind(self);
    casemate_hsm_scheme_t scheme = { .kind = self->kind, .bits = self->bits };
    if (arguments[0].u_obj != mp_const_none) {
        scheme.hash = casemate_hash_number(arguments[0].u_obj);
    }
    scheme.pss = arguments[1].u_bool;
    scheme.prehashed = arguments[2].u_bool;
    if (self->kind == CASEMATE_KEY_X25519
        || (self->kind == CASEMATE_KEY_ED25519 && (scheme.hash != 0 || scheme.prehashed))
        || (self->kind != CASEMATE_KEY_RSA && scheme.pss)) {
        casemate_raise(CASEMATE_ERROR_UNSUPPORTED);
    }
    return scheme;
}

// What the server works on: in `block`, or the message itself, and then `source` is it.
static casemate_bytes_t encode(casemate_hsm_scheme_t scheme, mp_obj_t message_in, vstr_t *block, mp_obj_t *source) {
    *source = MP_OBJ_NULL;
    if (scheme.kind == CASEMATE_KEY_ED25519) {
        *source = message_in;
        return casemate_get_bytes(message_in);
    }
    vstr_init_len(block, SIGNATURE_MAX);
    casemate_bytes_t message = casemate_get_bytes(message_in);
    int32_t error = casemate_hsm_encode(scheme, message, (uint8_t *)block->buf, block->len, &block->len);
    if (error != 0) {
        casemate_raise(error);
    }
    return (casemate_bytes_t) { (const uint8_t *)block->buf, block->len };
}

static mp_obj_t key_sign(size_t count, const mp_obj_t *positional, mp_map_t *keywords) {
    key_object_t *self = MP_OBJ_TO_PTR(positional[0]);
    casemate_get_bytes(positional[1]);
    // This may ask the server, and comes before anybody looks at the message.
    casemate_hsm_scheme_t scheme = get_scheme(self, count - 2, positional + 2, keywords);
    vstr_t block, signature;
    mp_obj_t source;
    vstr_init_len(&signature, SIGNATURE_MAX);
    casemate_bytes_t input = encode(scheme, positional[1], &block, &source);
    signature.len = key_sign_raw(self, input, source, (uint8_t *)signature.buf, signature.len);
    return casemate_bytes_from_vstr(&signature);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(key_sign_object, 2, key_sign);

static mp_obj_t key_verify(size_t count, const mp_obj_t *positional, mp_map_t *keywords) {
    key_object_t *self = MP_OBJ_TO_PTR(positional[0]);
    casemate_get_bytes(positional[1]);
    casemate_get_bytes(positional[2]);
    // This may ask the server, and comes before anybody looks at the message and the signature.
    casemate_hsm_scheme_t scheme = get_scheme(self, count - 3, positional + 3, keywords);
    casemate_bytes_t signature = casemate_get_bytes(positional[2]);
    call_t call = { .id = self->id, .extra = signature };
    vstr_t block;
    if (self->kind == CASEMATE_KEY_RSA) {
        size_t size = (self->bits + 7u) / 8;
        if (signature.length != size) {
            return mp_const_false;
        }
        vstr_init_len(&block, size);
        call.operation = CASEMATE_HSM_RSA;
        call.input = signature;
        call.extra = (casemate_bytes_t) { NULL, 0 };
        call.output = (uint8_t *)block.buf;
        call.room = size;
        int32_t answer = run_with(MP_OBJ_TO_PTR(self->client), &call, (source_t) { positional[2], 0 }, nothing);
        if (answer == STATUS_ARGUMENT) {
            // A number that is not below the modulus.
            return mp_const_false;
        }
        check(answer);
        int32_t error = casemate_hsm_check(scheme, casemate_get_bytes(positional[1]), call.output, call.length);
        if (error != 0 && error != CASEMATE_ERROR_AUTHENTICATION) {
            casemate_raise(error);
        }
        return mp_obj_new_bool(error == 0);
    }
    call.operation = self->kind == CASEMATE_KEY_ED25519 ? CASEMATE_HSM_ED25519_VERIFY : CASEMATE_HSM_ECDSA_VERIFY;
    mp_obj_t source;
    call.input = encode(scheme, positional[1], &block, &source);
    check(run_with(MP_OBJ_TO_PTR(self->client), &call, (source_t) { source, 0 }, (source_t) { positional[2], 0 }));
    return mp_obj_new_bool(call.value == 1);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(key_verify_object, 3, key_verify);

static mp_obj_t key_ecdh(mp_obj_t self_in, mp_obj_t public) {
    key_object_t *self = MP_OBJ_TO_PTR(self_in);
    client_object_t *client = MP_OBJ_TO_PTR(self->client);
    key_find_kind(self);
    if (self->kind == CASEMATE_KEY_RSA || self->kind == CASEMATE_KEY_ED25519) {
        casemate_raise(CASEMATE_ERROR_UNSUPPORTED);
    }
    // The server takes two keys that it has: the other side's is put there for a moment.
    call_t other = { .operation = CASEMATE_HSM_KEY_IMPORT, .number = FLAG_DERIVE, .input = casemate_get_bytes(public) };
    if ((casemate_hsm_kind(other.input.data, other.input.length) & 0xff) != self->kind) {
        mp_raise_ValueError(MP_ERROR_TEXT("public key"));
    }
    call_t call = { .operation = self->kind == CASEMATE_KEY_X25519 ? CASEMATE_HSM_X25519 : CASEMATE_HSM_ECDH, .id = self->id };
    // The room comes first: without it, the other key would stay.
    vstr_t secret;
    vstr_init_len(&secret, SECRET_MAX);
    call.output = (uint8_t *)secret.buf;
    call.room = secret.len;
    call.number = ask_with(client, &other, public);
    ask(client, &call);
    secret.len = call.length;
    return casemate_bytes_from_vstr(&secret);
}
static MP_DEFINE_CONST_FUN_OBJ_2(key_ecdh_object, key_ecdh);

static const mp_rom_map_elem_t key_dictionary_table[] = {
    { MP_ROM_QSTR(MP_QSTR_aes), MP_ROM_PTR(&key_aes_object) },
    { MP_ROM_QSTR(MP_QSTR_aes_gcm), MP_ROM_PTR(&key_aes_gcm_object) },
    { MP_ROM_QSTR(MP_QSTR_cmac), MP_ROM_PTR(&key_cmac_object) },
    { MP_ROM_QSTR(MP_QSTR_sign), MP_ROM_PTR(&key_sign_object) },
    { MP_ROM_QSTR(MP_QSTR_verify), MP_ROM_PTR(&key_verify_object) },
    { MP_ROM_QSTR(MP_QSTR_ecdh), MP_ROM_PTR(&key_ecdh_object) },
    { MP_ROM_QSTR(MP_QSTR_public), MP_ROM_PTR(&key_public_object) },
    { MP_ROM_QSTR(MP_QSTR_export), MP_ROM_PTR(&key_export_object) },
    { MP_ROM_QSTR(MP_QSTR_commit), MP_ROM_PTR(&key_commit_object) },
    { MP_ROM_QSTR(MP_QSTR_evict), MP_ROM_PTR(&key_evict_object) },
    { MP_ROM_QSTR(MP_QSTR_erase), MP_ROM_PTR(&key_erase_object) },
    { MP_ROM_QSTR(MP_QSTR_revoke), MP_ROM_PTR(&key_revoke_object) },
};
static MP_DEFINE_CONST_DICT(key_dictionary, key_dictionary_table);

static void key_attribute(mp_obj_t self_in, qstr attribute, mp_obj_t *destination) {
    key_object_t *self = MP_OBJ_TO_PTR(self_in);
    if (destination[0] != MP_OBJ_NULL) {
        return;
    }
    if (attribute == MP_QSTR_id) {
        destination[0] = MP_OBJ_NEW_SMALL_INT(self->id);
    } else if (attribute == MP_QSTR_algorithm) {
        key_find_kind(self);
        for (size_t index = 0; index < MP_ARRAY_SIZE(kinds); ++index) {
            if (kinds[index].kind == self->kind) {
                destination[0] = mp_obj_new_str(kinds[index].name, strlen(kinds[index].name));
            }
        }
    } else {
        casemate_attribute_in(self_in, &key_dictionary, attribute, destination);
    }
}

static void key_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    key_object_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "<Key %u>", self->id);
}

#if defined(MP_DEFINE_CONST_OBJ_TYPE)
static MP_DEFINE_CONST_OBJ_TYPE(
    key_type,
    MP_QSTR_Key,
    MP_TYPE_FLAG_NONE,
    print, key_print,
    attr, key_attribute,
    locals_dict, &key_dictionary
    );
#else
static const mp_obj_type_t key_type = {
    { &mp_type_type },
    .name = MP_QSTR_Key,
    .print = key_print,
    .attr = key_attribute,
    .locals_dict = (mp_obj_dict_t *)&key_dictionary,
};
#endif

// ---- the client -------------------------------------------------------------------------------------------------

static mp_obj_t client_make_new(const mp_obj_type_t *type, size_t count, size_t keyword_count, const mp_obj_t *all) {
    enum { ARG_stream, ARG_client_id, ARG_data_length, ARG_timeout };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_stream, MP_ARG_REQUIRED | MP_ARG_OBJ, {.u_obj = MP_OBJ_NULL} },
        { MP_QSTR_client_id, MP_ARG_INT, {.u_int = 1} },
        { MP_QSTR_data_length, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = DATA_LENGTH} },
        { MP_QSTR_timeout, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_INT(TIMEOUT)} },
    };
    mp_arg_val_t arguments[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all_kw_array(count, keyword_count, all, MP_ARRAY_SIZE(allowed), allowed, arguments);
    mp_obj_t stream = arguments[ARG_stream].u_obj;
    mp_get_stream_raise(stream, MP_STREAM_OP_READ | MP_STREAM_OP_WRITE);
    mp_int_t data_length = arguments[ARG_data_length].u_int, client_id = arguments[ARG_client_id].u_int;
    if (data_length < DATA_LENGTH_MIN || data_length > DATA_LENGTH_MAX || client_id < 1 || client_id > 15) {
        mp_raise_ValueError(MP_ERROR_TEXT("number out of range"));
    }
    uint32_t timeout = 0;
    if (arguments[ARG_timeout].u_obj != mp_const_none) {
        timeout = get_number(arguments[ARG_timeout].u_obj, 1, 0x3fffffff);
    }
    size_t size = casemate_hsm_size(data_length);
    client_object_t *self = m_malloc(sizeof(client_object_t) + size);
    memset(self, 0, sizeof(client_object_t) + size);
    self->size = size;
    self->base.type = type;
    self->stream = stream;
    self->timeout = timeout;
    casemate_hsm_start(library(self), data_length);
    call_t call = { .operation = CASEMATE_HSM_INIT, .id = client_id };
    self->server = ask(self, &call);
    uint8_t version[16];
    call = (call_t) { .operation = CASEMATE_HSM_INFO, .output = version, .room = sizeof(version) };
    ask(self, &call);
    // It stays as it is now. Later on, another thread may be in the library with the client.
    self->piece = casemate_hsm_piece(library(self));
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t client_close(mp_obj_t self_in) {
    client_object_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->closed) {
        return mp_const_none;
    }
    call_t call = { .operation = CASEMATE_HSM_CLOSE };
    int32_t answer = run(self, &call);
    // With a stream that is gone, so is the session.
    if (answer != CASEMATE_HSM_LOST) {
        check(answer);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(client_close_object, client_close);

static mp_obj_t client_exit(size_t count, const mp_obj_t *arguments) {
    (void)count;
    return client_close(arguments[0]);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(client_exit_object, 4, 4, client_exit);

static mp_obj_t client_random(mp_obj_t self_in, mp_obj_t length) {
    client_object_t *self = MP_OBJ_TO_PTR(self_in);
    vstr_t result;
    vstr_init_len(&result, get_number(length, 0, 0x3fffffff));
    for (size_t done = 0; done < result.len;) {
        // As many as it likes.
        call_t call = { .operation = CASEMATE_HSM_RANDOM, .output = (uint8_t *)result.buf + done, .room = result.len - done };
        ask(self, &call);
        done += call.length;
    }
    return casemate_bytes_from_vstr(&result);
}
static MP_DEFINE_CONST_FUN_OBJ_2(client_random_object, client_random);

static mp_obj_t client_echo(mp_obj_t self_in, mp_obj_t data) {
    call_t call = { .operation = CASEMATE_HSM_ECHO, .input = casemate_get_bytes(data) };
    ask_with(MP_OBJ_TO_PTR(self_in), &call, data);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(client_echo_object, client_echo);

static mp_obj_t client_login(mp_obj_t self_in, mp_obj_t name, mp_obj_t pin) {
    call_t call = { .operation = CASEMATE_HSM_LOGIN, .input = casemate_get_bytes(pin), .extra = casemate_get_text(name) };
    return MP_OBJ_NEW_SMALL_INT(ask_with(MP_OBJ_TO_PTR(self_in), &call, pin));
}
static MP_DEFINE_CONST_FUN_OBJ_3(client_login_object, client_login);

static mp_obj_t client_logout(mp_obj_t self_in, mp_obj_t user) {
    call_t call = { .operation = CASEMATE_HSM_LOGOUT, .id = get_number(user, 0, 0xffff) };
    ask(MP_OBJ_TO_PTR(self_in), &call);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(client_logout_object, client_logout);

static mp_obj_t client_key(mp_obj_t self, mp_obj_t id) {
    return MP_OBJ_FROM_PTR(key_new(self, get_number(id, 1, 0xffff)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(client_key_object, client_key);

static const mp_arg_t new_key_arguments[] = {
    { MP_QSTR_id, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0} },
    { MP_QSTR_flags, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
    { MP_QSTR_label, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_QSTR(MP_QSTR_)} },
};

// Identifier, flags and label of a new key; `flags` are those of one that the program says nothing about.
static void describe(call_t *call, uint32_t flags, size_t count, const mp_obj_t *positional, mp_map_t *keywords) {
    mp_arg_val_t arguments[MP_ARRAY_SIZE(new_key_arguments)];
    mp_arg_parse_all(count, positional, keywords, MP_ARRAY_SIZE(arguments), new_key_arguments, arguments);
    if (arguments[0].u_int < 0 || arguments[0].u_int > 0xffff) {
        mp_raise_ValueError(MP_ERROR_TEXT("number out of range"));
    }
    call->id = arguments[0].u_int;
    call->number = arguments[1].u_obj == mp_const_none ? flags : get_word(arguments[1].u_obj);
    call->extra = get_label(arguments[2].u_obj);
}

static mp_obj_t client_import_key(size_t count, const mp_obj_t *positional, mp_map_t *keywords) {
    call_t call = { .operation = CASEMATE_HSM_KEY_IMPORT, .input = casemate_get_bytes(positional[1]) };
    // A symmetric key, unless it looks like one of a pair.
    uint32_t kind = casemate_hsm_kind(call.input.data, call.input.length);
    uint32_t flags = FLAG_SECRET | FLAG_ENCRYPT | FLAG_DECRYPT | FLAG_SIGN | FLAG_VERIFY;
    for (size_t index = 0; index < MP_ARRAY_SIZE(kinds); ++index) {
        if (kinds[index].kind == (kind & 0xff)) {
            flags = FLAG_SECRET | kinds[index].usage;
        }
    }
    describe(&call, flags, count - 2, positional + 2, keywords);
    key_object_t *key = key_new(positional[0], 0);
    key->id = ask_with(MP_OBJ_TO_PTR(positional[0]), &call, positional[1]);
    key->kind = kind & 0xff;
    key->bits = kind >> 8;
    return MP_OBJ_FROM_PTR(key);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(client_import_key_object, 2, client_import_key);

static mp_obj_t client_generate_key(size_t count, const mp_obj_t *positional, mp_map_t *keywords) {
    uint8_t what[3];
    call_t call = { .operation = CASEMATE_HSM_KEY_RANDOM, .input = { what, 2 } };
    uint32_t flags = FLAG_SECRET | FLAG_ENCRYPT | FLAG_DECRYPT | FLAG_SIGN | FLAG_VERIFY;
    key_object_t *key = key_new(positional[0], 0);
    size_t skip = 2;
    if (mp_obj_is_int(positional[1])) {
        // A symmetric key, in bytes.
        mp_int_t length = get_number(positional[1], 1, 0xffff);
        what[0] = length & 0xff;
        what[1] = length >> 8;
    } else {
        size_t index = kind_named(positional[1]);
        key->kind = kinds[index].kind;
        flags = FLAG_SECRET | kinds[index].usage;
        if (key->kind == CASEMATE_KEY_RSA) {
            mp_int_t bits = 2048;
            if (count > 2) {
                bits = get_number(positional[2], 1024, 4096);
                skip = 3;
            }
            // As servers round it.
            key->bits = bits - bits % 16;
        }
        call.operation = CASEMATE_HSM_KEY_PAIR;
        what[0] = key->kind;
        what[1] = key->bits & 0xff;
        what[2] = key->bits >> 8;
        call.input.length = 3;
    }
    describe(&call, flags, count - skip, positional + skip, keywords);
    // The public key of a pair comes along; it can be had again.
    vstr_t public;
    vstr_init_len(&public, PUBLIC_MAX);
    call.output = (uint8_t *)public.buf;
    call.room = public.len;
    key->id = ask(MP_OBJ_TO_PTR(positional[0]), &call);
    vstr_clear(&public);
    return MP_OBJ_FROM_PTR(key);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(client_generate_key_object, 2, client_generate_key);

static mp_obj_t counter(size_t count, const mp_obj_t *arguments, uint8_t operation) {
    call_t call = { .operation = operation, .id = get_number(arguments[1], 1, 255) };
    call.number = count == 3 ? get_word(arguments[2]) : 0;
    return mp_obj_new_int_from_uint(ask(MP_OBJ_TO_PTR(arguments[0]), &call));
}

static mp_obj_t client_counter_init(size_t count, const mp_obj_t *arguments) {
    return counter(count, arguments, CASEMATE_HSM_COUNTER_INIT);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(client_counter_init_object, 2, 3, client_counter_init);

static mp_obj_t client_counter_increment(mp_obj_t self, mp_obj_t id) {
    mp_obj_t arguments[] = { self, id };
    return counter(2, arguments, CASEMATE_HSM_COUNTER_INCREMENT);
}
static MP_DEFINE_CONST_FUN_OBJ_2(client_counter_increment_object, client_counter_increment);

static mp_obj_t client_counter_read(mp_obj_t self, mp_obj_t id) {
    mp_obj_t arguments[] = { self, id };
    return counter(2, arguments, CASEMATE_HSM_COUNTER_READ);
}
static MP_DEFINE_CONST_FUN_OBJ_2(client_counter_read_object, client_counter_read);

static mp_obj_t client_counter_destroy(mp_obj_t self, mp_obj_t id) {
    mp_obj_t arguments[] = { self, id };
    counter(2, arguments, CASEMATE_HSM_COUNTER_DESTROY);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(client_counter_destroy_object, client_counter_destroy);

// (flags and length, label) of an object.
static uint32_t metadata(client_object_t *self, uint16_t id, uint8_t *label, size_t *length) {
    call_t call = { .operation = CASEMATE_HSM_NVM_METADATA, .id = id, .output = label, .room = LABEL_MAX };
    uint32_t value = ask(self, &call);
    *length = call.length;
    return value;
}

// A list of (id, length, flags, label).
static mp_obj_t client_nvm_list(mp_obj_t self_in) {
    client_object_t *self = MP_OBJ_TO_PTR(self_in);
    mp_obj_t list = mp_obj_new_list(0, NULL);
    call_t call = { .operation = CASEMATE_HSM_NVM_NEXT };
    // A server that goes round in circles comes to an end, too.
    for (size_t left = 0x10000; left > 0 && (call.id = ask(self, &call)) != 0; --left) {
        uint8_t label[LABEL_MAX];
        size_t length;
        uint32_t value = metadata(self, call.id, label, &length);
        mp_obj_t items[] = {
            MP_OBJ_NEW_SMALL_INT(call.id),
            MP_OBJ_NEW_SMALL_INT(value & 0xffff),
            MP_OBJ_NEW_SMALL_INT(value >> 16),
            mp_obj_new_bytes(label, length),
        };
        mp_obj_list_append(list, mp_obj_new_tuple(MP_ARRAY_SIZE(items), items));
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_1(client_nvm_list_object, client_nvm_list);

static mp_obj_t client_nvm_read(mp_obj_t self_in, mp_obj_t id_in) {
    client_object_t *self = MP_OBJ_TO_PTR(self_in);
    uint16_t id = get_number(id_in, 1, 0xffff);
    uint8_t label[LABEL_MAX];
    size_t length;
    vstr_t result;
    vstr_init_len(&result, metadata(self, id, label, &length) & 0xffff);
    for (size_t done = 0; done < result.len;) {
        call_t call = { .operation = CASEMATE_HSM_NVM_READ, .id = id, .number = done };
        call.output = (uint8_t *)result.buf + done;
        call.room = result.len - done;
        ask(self, &call);
        if (call.length == 0) {
            // It has become shorter.
            result.len = done;
        }
        done += call.length;
    }
    return casemate_bytes_from_vstr(&result);
}
static MP_DEFINE_CONST_FUN_OBJ_2(client_nvm_read_object, client_nvm_read);

static mp_obj_t client_nvm_write(size_t count, const mp_obj_t *positional, mp_map_t *keywords) {
    enum { ARG_flags, ARG_label };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_flags, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0} },
        { MP_QSTR_label, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_QSTR(MP_QSTR_)} },
    };
    mp_arg_val_t arguments[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(count - 3, positional + 3, keywords, MP_ARRAY_SIZE(allowed), allowed, arguments);
    call_t call = {
        .operation = CASEMATE_HSM_NVM_ADD,
        .id = get_number(positional[1], 1, 0xffff),
        .number = arguments[ARG_flags].u_int,
        .input = casemate_get_bytes(positional[2]),
        .extra = get_label(arguments[ARG_label].u_obj),
    };
    ask_with(MP_OBJ_TO_PTR(positional[0]), &call, positional[2]);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(client_nvm_write_object, 3, client_nvm_write);

static mp_obj_t client_nvm_destroy(mp_obj_t self, mp_obj_t id) {
    call_t call = { .operation = CASEMATE_HSM_NVM_DESTROY, .id = get_number(id, 1, 0xffff) };
    ask(MP_OBJ_TO_PTR(self), &call);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(client_nvm_destroy_object, client_nvm_destroy);

static const mp_rom_map_elem_t client_dictionary_table[] = {
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&client_close_object) },
    { MP_ROM_QSTR(MP_QSTR___enter__), MP_ROM_PTR(&mp_identity_obj) },
    { MP_ROM_QSTR(MP_QSTR___exit__), MP_ROM_PTR(&client_exit_object) },
    { MP_ROM_QSTR(MP_QSTR_random), MP_ROM_PTR(&client_random_object) },
    { MP_ROM_QSTR(MP_QSTR_echo), MP_ROM_PTR(&client_echo_object) },
    { MP_ROM_QSTR(MP_QSTR_login), MP_ROM_PTR(&client_login_object) },
    { MP_ROM_QSTR(MP_QSTR_logout), MP_ROM_PTR(&client_logout_object) },
    { MP_ROM_QSTR(MP_QSTR_key), MP_ROM_PTR(&client_key_object) },
    { MP_ROM_QSTR(MP_QSTR_import_key), MP_ROM_PTR(&client_import_key_object) },
    { MP_ROM_QSTR(MP_QSTR_generate_key), MP_ROM_PTR(&client_generate_key_object) },
    { MP_ROM_QSTR(MP_QSTR_counter_init), MP_ROM_PTR(&client_counter_init_object) },
    { MP_ROM_QSTR(MP_QSTR_counter_increment), MP_ROM_PTR(&client_counter_increment_object) },
    { MP_ROM_QSTR(MP_QSTR_counter_read), MP_ROM_PTR(&client_counter_read_object) },
    { MP_ROM_QSTR(MP_QSTR_counter_destroy), MP_ROM_PTR(&client_counter_destroy_object) },
    { MP_ROM_QSTR(MP_QSTR_nvm_list), MP_ROM_PTR(&client_nvm_list_object) },
    { MP_ROM_QSTR(MP_QSTR_nvm_read), MP_ROM_PTR(&client_nvm_read_object) },
    { MP_ROM_QSTR(MP_QSTR_nvm_write), MP_ROM_PTR(&client_nvm_write_object) },
    { MP_ROM_QSTR(MP_QSTR_nvm_destroy), MP_ROM_PTR(&client_nvm_destroy_object) },
};
static MP_DEFINE_CONST_DICT(client_dictionary, client_dictionary_table);

static void client_attribute(mp_obj_t self_in, qstr attribute, mp_obj_t *destination) {
    client_object_t *self = MP_OBJ_TO_PTR(self_in);
    if (attribute == MP_QSTR_timeout) {
        if (destination[0] == MP_OBJ_NULL) {
            destination[0] = self->timeout == 0 ? mp_const_none : MP_OBJ_NEW_SMALL_INT(self->timeout);
        } else if (destination[1] != MP_OBJ_NULL) {
            self->timeout = destination[1] == mp_const_none ? 0 : get_number(destination[1], 1, 0x3fffffff);
            destination[0] = MP_OBJ_NULL;
        }
    } else if (destination[0] == MP_OBJ_NULL) {
        if (attribute == MP_QSTR_server_id) {
            destination[0] = MP_OBJ_NEW_SMALL_INT(self->server);
        } else {
            casemate_attribute_in(self_in, &client_dictionary, attribute, destination);
        }
    }
}

#if defined(MP_DEFINE_CONST_OBJ_TYPE)
static MP_DEFINE_CONST_OBJ_TYPE(
    client_type,
    MP_QSTR_Client,
    MP_TYPE_FLAG_NONE,
    make_new, client_make_new,
    attr, client_attribute,
    locals_dict, &client_dictionary
    );
#else
static const mp_obj_type_t client_type = {
    { &mp_type_type },
    .name = MP_QSTR_Client,
    .make_new = client_make_new,
    .attr = client_attribute,
    .locals_dict = (mp_obj_dict_t *)&client_dictionary,
};
#endif

// ---- the module -------------------------------------------------------------------------------------------------

static const mp_rom_map_elem_t casemate_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_casemate) },
    { MP_ROM_QSTR(MP_QSTR_Client), MP_ROM_PTR(&client_type) },
    { MP_ROM_QSTR(MP_QSTR_Key), MP_ROM_PTR(&key_type) },
    { MP_ROM_QSTR(MP_QSTR_Error), MP_ROM_PTR(&error_type) },
    { MP_ROM_QSTR(MP_QSTR_MODE_ECB), MP_ROM_INT(CASEMATE_AES_ECB) },
    { MP_ROM_QSTR(MP_QSTR_MODE_CBC), MP_ROM_INT(CASEMATE_AES_CBC) },
    { MP_ROM_QSTR(MP_QSTR_MODE_CTR), MP_ROM_INT(CASEMATE_AES_CTR) },
    { MP_ROM_QSTR(MP_QSTR_GLOBAL), MP_ROM_INT(0x0100) },
    { MP_ROM_QSTR(MP_QSTR_NONMODIFIABLE), MP_ROM_INT(0x0001) },
    { MP_ROM_QSTR(MP_QSTR_SENSITIVE), MP_ROM_INT(FLAG_SENSITIVE) },
    { MP_ROM_QSTR(MP_QSTR_NONEXPORTABLE), MP_ROM_INT(FLAG_NONEXPORTABLE) },
    { MP_ROM_QSTR(MP_QSTR_NONDESTROYABLE), MP_ROM_INT(0x0800) },
    { MP_ROM_QSTR(MP_QSTR_ENCRYPT), MP_ROM_INT(FLAG_ENCRYPT) },
    { MP_ROM_QSTR(MP_QSTR_DECRYPT), MP_ROM_INT(FLAG_DECRYPT) },
    { MP_ROM_QSTR(MP_QSTR_SIGN), MP_ROM_INT(FLAG_SIGN) },
    { MP_ROM_QSTR(MP_QSTR_VERIFY), MP_ROM_INT(FLAG_VERIFY) },
    { MP_ROM_QSTR(MP_QSTR_WRAP), MP_ROM_INT(FLAG_WRAP) },
    { MP_ROM_QSTR(MP_QSTR_DERIVE), MP_ROM_INT(FLAG_DERIVE) },
};
static MP_DEFINE_CONST_DICT(casemate_globals, casemate_globals_table);

const mp_obj_module_t casemate_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&casemate_globals,
};

MP_REGISTER_MODULE(MP_QSTR_casemate, casemate_module);

#endif
