// The module wolfssl: SSLContext, sockets over any stream, and the older function wrap_socket.
#include <errno.h>
#include <string.h>
#include "common.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/stream.h"

#if CASEMATE_FEATURE_TLS

#if CASEMATE_MICROPYTHON < 122
#error "wolfssl needs MicroPython 1.22 or newer so far; leave WOLFSSL_TLS13 out of user_settings.h"
#endif

#define PROTOCOL_SERVER 1
#define CERT_NONE 0
#define CERT_OPTIONAL 1
#define CERT_REQUIRED 2
// ioctl request of MicroPython 1.28: raise what an error number stands for, with its text.
#define STREAM_RAISE_ERROR 12

typedef struct {
    mp_obj_base_t base;
    casemate_context_t *context; // NULL once finalised
    bool server;
    mp_int_t verify_mode;
} context_object_t;

typedef struct {
    mp_obj_base_t base;
    mp_obj_t stream;
    casemate_session_t *session; // NULL once closed
    uint8_t poll_mask; // what the last read or write waited for, other than what it is called after
    bool busy; // a call is under way: re-entered, or left by a jump that nobody caught
    bool close_later; // closed while busy
    bool closed;
    int error; // of an earlier call: sticky
} socket_object_t;

static const mp_obj_type_t socket_type;

static NORETURN void raise_failure(int number) {
    size_t length;
    const uint8_t *text = casemate_failure_text(number, &length);
    mp_obj_t arguments[] = { MP_OBJ_NEW_SMALL_INT(number), mp_obj_new_str((const char *)text, length) };
    nlr_raise(mp_obj_new_exception_args(&mp_type_OSError, 2, arguments));
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

// A call of the transport, which may be Python code: what it raises passes through, and the socket stays usable.
static mp_uint_t transport(socket_object_t *self, bool write, void *data, mp_uint_t size, int *error) {
    const mp_stream_p_t *stream = mp_get_stream(self->stream);
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_uint_t count = write ? stream->write(self->stream, data, size, error) : stream->read(self->stream, data, size, error);
        nlr_pop();
        return count;
    }
    self->busy = false;
    nlr_jump(nlr.ret_val);
}

// Sends what there is to send. False with an error number, which may be that of a transport that would block.
static bool flush(socket_object_t *self, int *error) {
    for (;;) {
        const uint8_t *output;
        size_t length;
        casemate_session_output(self->session, &output, &length);
        if (length == 0) {
            return true;
        }
        mp_uint_t count = transport(self, true, (void *)output, length, error);
        if (count == MP_STREAM_ERROR) {
            return false;
        }
        if (count == 0) {
            *error = MP_EWOULDBLOCK;
            return false;
        }
        casemate_session_sent(self->session, count);
    }
}

// Receives once. False with an error number as above.
static bool fill(socket_object_t *self, int *error) {
    uint8_t *room;
    size_t length;
    *error = casemate_session_input(self->session, &room, &length);
    if (*error != 0) {
        return false;
    }
    mp_uint_t count = transport(self, false, room, length, error);
    if (count == MP_STREAM_ERROR) {
        return false;
    }
    if (count == 0) {
        *error = casemate_session_end_of_input(self->session);
        return *error == 0;
    }
    casemate_session_filled(self->session, count);
    return true;
}

static void close_now(socket_object_t *self) {
    if (self->session != NULL) {
        casemate_session_free(self->session);
        self->session = NULL;
    }
}

// Before anything else: false, with the error number, if the socket cannot be used.
static bool enter(socket_object_t *self, int *error) {
    if (self->busy) {
        *error = MP_EBUSY;
    } else if (self->closed) {
        *error = MP_EBADF;
    } else if (self->error != 0) {
        *error = self->error;
    } else {
        self->busy = true;
        self->poll_mask = 0;
        return true;
    }
    return false;
}

static mp_uint_t leave(socket_object_t *self, mp_uint_t result) {
    self->busy = false;
    if (self->close_later) {
        close_now(self);
    }
    return result;
}

// Ends a call with an error; one of a transport that would block is for this call only.
static mp_uint_t leave_with(socket_object_t *self, int *error, int number) {
    if (!mp_is_nonblocking_error(number)) {
        self->error = number;
    }
    *error = number;
    return leave(self, MP_STREAM_ERROR);
}

// Ends a call with a failure of TLS, about which the peer is told if it listens.
static mp_uint_t leave_failed(socket_object_t *self, int *error, int number) {
    int ignored;
    flush(self, &ignored);
    return leave_with(self, error, number);
}

static mp_uint_t socket_read(mp_obj_t self_in, void *data, mp_uint_t size, int *error) {
    socket_object_t *self = MP_OBJ_TO_PTR(self_in);
    if (!enter(self, error)) {
        return MP_STREAM_ERROR;
    }
    for (;;) {
        if (casemate_session_pending(self->session) > 0) {
            return leave(self, casemate_session_read(self->session, data, size));
        }
        int32_t state = casemate_session_step(self->session);
        if (state < 0) {
            return leave_failed(self, error, state);
        }
        int number;
        if (!flush(self, &number)) {
            if (mp_is_nonblocking_error(number)) {
                self->poll_mask = MP_STREAM_POLL_WR;
            }
            return leave_with(self, error, number);
        }
        if (casemate_session_pending(self->session) > 0) {
            continue;
        }
        if (state == 2) {
            return leave(self, 0);
        }
        if (!fill(self, &number)) {
            return leave_with(self, error, number);
        }
    }
}

static mp_uint_t socket_write(mp_obj_t self_in, const void *data, mp_uint_t size, int *error) {
    socket_object_t *self = MP_OBJ_TO_PTR(self_in);
    if (!enter(self, error)) {
        return MP_STREAM_ERROR;
    }
    for (;;) {
        int number;
        // What an earlier call left behind comes first.
        if (!flush(self, &number)) {
            return leave_with(self, error, number);
        }
        int32_t count = casemate_session_write(self->session, data, size);
        if (count < 0) {
            return leave_failed(self, error, count);
        }
        bool sent = flush(self, &number);
        if (!sent && !mp_is_nonblocking_error(number)) {
            return leave_with(self, error, number);
        }
        if (count > 0 || size == 0) {
            return leave(self, count);
        }
        if (!sent) {
            return leave_with(self, error, number);
        }
        if (!fill(self, &number)) {
            if (mp_is_nonblocking_error(number)) {
                self->poll_mask = MP_STREAM_POLL_RD;
            }
            return leave_with(self, error, number);
        }
    }
}

static mp_uint_t stream_ioctl(mp_obj_t stream, mp_uint_t request, uintptr_t argument, int *error) {
    return mp_get_stream(stream)->ioctl(stream, request, argument, error);
}

static mp_uint_t socket_poll(socket_object_t *self, uintptr_t wanted, int *error) {
    if (self->closed || self->error != 0) {
        return MP_STREAM_POLL_NVAL;
    }
    const uintptr_t both = MP_STREAM_POLL_RD | MP_STREAM_POLL_WR;
    uintptr_t asked = wanted;
    bool masked = self->poll_mask != 0 && (wanted & both) != 0;
    if (masked) {
        asked = (wanted & ~both) | self->poll_mask;
    }
    mp_uint_t ready = 0;
    if ((asked & MP_STREAM_POLL_RD) && casemate_session_pending(self->session) > 0) {
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
    if (masked && (answer & self->poll_mask)) {
        ready |= wanted & both;
    }
    return ready;
}

static mp_uint_t socket_close(socket_object_t *self, int *error) {
    if (self->closed) {
        return 0;
    }
    self->closed = true;
    if (self->busy) {
        // The buffers are in use further up: the call that uses them frees them.
        self->close_later = true;
    } else {
        if (self->session != NULL && self->error == 0) {
            // The peer is told; if it cannot be reached at once, it is not.
            self->busy = true;
            casemate_session_close(self->session);
            nlr_buf_t nlr;
            if (nlr_push(&nlr) == 0) {
                int ignored;
                flush(self, &ignored);
                nlr_pop();
            }
            self->busy = false;
        }
        close_now(self);
    }
    return stream_ioctl(self->stream, MP_STREAM_CLOSE, 0, error);
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
    if (self->closed) {
        mp_raise_OSError(MP_EBADF);
    }
    mp_obj_t arguments[3];
    mp_load_method(self->stream, MP_QSTR_setblocking, arguments);
    arguments[2] = flag;
    return mp_call_method_n_kw(1, 0, arguments);
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_setblocking_object, socket_setblocking);

static socket_object_t *usable(mp_obj_t self_in) {
    socket_object_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->closed || self->busy) {
        mp_raise_OSError(self->closed ? MP_EBADF : MP_EBUSY);
    }
    return self;
}

static mp_obj_t socket_getpeercert(mp_obj_t self_in, mp_obj_t binary) {
    if (!mp_obj_is_true(binary)) {
        mp_raise_NotImplementedError(NULL);
    }
    const uint8_t *certificate;
    size_t length;
    casemate_session_peer_certificate(usable(self_in)->session, &certificate, &length);
    return length == 0 ? mp_const_none : mp_obj_new_bytes(certificate, length);
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_getpeercert_object, socket_getpeercert);

static mp_obj_t socket_cipher(mp_obj_t self_in) {
    uint32_t agreed = casemate_session_agreed(usable(self_in)->session);
    if (agreed == 0) {
        return mp_const_none;
    }
    mp_obj_t items[] = { suite_name(agreed & 0xffff), mp_obj_new_str((agreed >> 16) == 0x0304 ? "TLSv1.3" : "TLSv1.2", 7) };
    return mp_obj_new_tuple(2, items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_cipher_object, socket_cipher);

// During a collection: nothing is allocated, sent or raised.
static mp_obj_t socket_finalise(mp_obj_t self_in) {
    socket_object_t *self = MP_OBJ_TO_PTR(self_in);
    close_now(self);
    if (!self->closed) {
        self->closed = true;
        int ignored;
        stream_ioctl(self->stream, MP_STREAM_CLOSE, 0, &ignored);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_finalise_object, socket_finalise);

static void socket_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    #if WOLFSSL_ALIAS
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
    #if MICROPY_ENABLE_FINALISER
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&socket_finalise_object) },
    #endif
};
static MP_DEFINE_CONST_DICT(socket_dictionary, socket_dictionary_table);

static const mp_stream_p_t socket_stream = {
    .read = socket_read,
    .write = socket_write,
    .ioctl = socket_ioctl,
};

static MP_DEFINE_CONST_OBJ_TYPE(
    socket_type,
    MP_QSTR_SSLSocket,
    MP_TYPE_FLAG_NONE,
    print, socket_print,
    protocol, &socket_stream,
    locals_dict, &socket_dictionary
    );

// Ends the handshake, waiting if the transport does not.
static void do_handshake(socket_object_t *self) {
    self->busy = true;
    for (;;) {
        int32_t state = casemate_session_step(self->session);
        int number = state < 0 ? state : 0;
        bool going = flush(self, &number) && state >= 0;
        if (state > 0 && going) {
            self->busy = false;
            return;
        }
        if (going) {
            going = fill(self, &number);
        }
        if (!going) {
            if (state >= 0 && mp_is_nonblocking_error(number)) {
                mp_event_wait_ms(1);
                continue;
            }
            number = state < 0 ? state : number;
            self->busy = false;
            self->error = number;
            close_now(self);
            self->closed = true;
            if (number < 0) {
                raise_failure(number);
            }
            mp_raise_OSError(number);
        }
    }
}

static mp_obj_t wrap(casemate_context_t *context, mp_obj_t stream, mp_obj_t name, bool handshake) {
    mp_get_stream_raise(stream, MP_STREAM_OP_READ | MP_STREAM_OP_WRITE | MP_STREAM_OP_IOCTL);
    #if MICROPY_ENABLE_FINALISER
    socket_object_t *self = m_malloc_with_finaliser(sizeof(socket_object_t));
    #else
    socket_object_t *self = m_malloc(sizeof(socket_object_t));
    #endif
    memset(self, 0, sizeof(*self));
    self->stream = stream;
    self->closed = true; // until there is something to close
    self->base.type = &socket_type;
    size_t length = 0;
    const char *text = name == mp_const_none ? NULL : mp_obj_str_get_data(name, &length);
    int32_t failure = casemate_session_new(context, (const uint8_t *)text, length, &self->session);
    if (failure != 0) {
        raise_failure(failure);
    }
    self->closed = false;
    if (handshake) {
        do_handshake(self);
    }
    return MP_OBJ_FROM_PTR(self);
}

// ---- contexts ---------------------------------------------------------------------------------------------------

static casemate_bytes_t get_data(mp_obj_t object) {
    size_t length;
    const char *data = mp_obj_str_get_data(object, &length);
    return (casemate_bytes_t) { (const uint8_t *)data, length };
}

static void raise_load(int32_t answer) {
    if (answer == 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("invalid key"));
    } else if (answer != 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("invalid cert"));
    }
}

static context_object_t *context_new(const mp_obj_type_t *type, bool server) {
    #if MICROPY_ENABLE_FINALISER
    context_object_t *self = m_malloc_with_finaliser(sizeof(context_object_t));
    #else
    context_object_t *self = m_malloc(sizeof(context_object_t));
    #endif
    memset(self, 0, sizeof(*self));
    self->base.type = type;
    self->server = server;
    self->verify_mode = server ? CERT_NONE : CERT_REQUIRED;
    self->context = casemate_context_new(server);
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

static void context_set_mode(context_object_t *self, mp_int_t mode) {
    self->verify_mode = mode;
    casemate_context_set_mode(self->context, mode == CERT_NONE ? 0 : mode == CERT_OPTIONAL ? 1 : 2);
}

static void context_load_key(context_object_t *self, mp_obj_t certificate, mp_obj_t key) {
    casemate_bytes_t key_data = get_data(key);
    casemate_bytes_t data = get_data(certificate);
    raise_load(casemate_context_load_key(self->context, key_data.data, key_data.length, data.data, data.length));
}

static void context_check(context_object_t *self) {
    if (self->context == NULL) {
        mp_raise_OSError(MP_EBADF);
    }
}

static mp_obj_t context_load_cert_chain(mp_obj_t self_in, mp_obj_t certificate, mp_obj_t key) {
    context_object_t *self = MP_OBJ_TO_PTR(self_in);
    context_check(self);
    context_load_key(self, certificate, key);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(context_load_cert_chain_object, context_load_cert_chain);

static mp_obj_t context_load_verify_locations(mp_obj_t self_in, mp_obj_t data_in) {
    context_object_t *self = MP_OBJ_TO_PTR(self_in);
    context_check(self);
    casemate_bytes_t data = get_data(data_in);
    raise_load(casemate_context_add_anchors(self->context, data.data, data.length));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(context_load_verify_locations_object, context_load_verify_locations);

static mp_obj_t context_get_ciphers(mp_obj_t self_in) {
    (void)self_in;
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (size_t index = 0;; ++index) {
        uint16_t number = casemate_suite(index);
        if (number == 0) {
            return list;
        }
        mp_obj_list_append(list, suite_name(number));
    }
}
static MP_DEFINE_CONST_FUN_OBJ_1(context_get_ciphers_object, context_get_ciphers);

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
    int32_t failure = casemate_context_set_suites(self->context, numbers, length);
    if (failure != 0) {
        raise_failure(failure);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(context_set_ciphers_object, context_set_ciphers);

static void check_name(context_object_t *self, mp_obj_t name, bool server_side) {
    if (!self->server && !server_side && self->verify_mode == CERT_REQUIRED && name == mp_const_none) {
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
    check_name(self, name, arguments[ARG_server_side].u_bool);
    return wrap(self->context, positional[1], name, arguments[ARG_do_handshake_on_connect].u_bool);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(context_wrap_socket_object, 2, context_wrap_socket);

static mp_obj_t context_finalise(mp_obj_t self_in) {
    context_object_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->context != NULL) {
        casemate_context_free(self->context);
        self->context = NULL;
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(context_finalise_object, context_finalise);

static void context_attribute(mp_obj_t self_in, qstr attribute, mp_obj_t *destination) {
    context_object_t *self = MP_OBJ_TO_PTR(self_in);
    if (destination[0] == MP_OBJ_NULL) {
        if (attribute == MP_QSTR_verify_mode) {
            destination[0] = mp_obj_new_int(self->verify_mode);
        } else {
            // Continues in the dictionary.
            destination[1] = MP_OBJ_SENTINEL;
        }
    } else if (destination[1] != MP_OBJ_NULL && attribute == MP_QSTR_verify_mode) {
        context_check(self);
        context_set_mode(self, mp_obj_get_int(destination[1]));
        destination[0] = MP_OBJ_NULL;
    }
}

static const mp_rom_map_elem_t context_dictionary_table[] = {
    { MP_ROM_QSTR(MP_QSTR_load_cert_chain), MP_ROM_PTR(&context_load_cert_chain_object) },
    { MP_ROM_QSTR(MP_QSTR_load_verify_locations), MP_ROM_PTR(&context_load_verify_locations_object) },
    { MP_ROM_QSTR(MP_QSTR_get_ciphers), MP_ROM_PTR(&context_get_ciphers_object) },
    { MP_ROM_QSTR(MP_QSTR_set_ciphers), MP_ROM_PTR(&context_set_ciphers_object) },
    { MP_ROM_QSTR(MP_QSTR_wrap_socket), MP_ROM_PTR(&context_wrap_socket_object) },
    #if MICROPY_ENABLE_FINALISER
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&context_finalise_object) },
    #endif
};
static MP_DEFINE_CONST_DICT(context_dictionary, context_dictionary_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    context_type,
    MP_QSTR_SSLContext,
    MP_TYPE_FLAG_NONE,
    make_new, context_make_new,
    attr, context_attribute,
    locals_dict, &context_dictionary
    );

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
        casemate_bytes_t data = get_data(arguments[ARG_cadata].u_obj);
        raise_load(casemate_context_add_anchors(context->context, data.data, data.length));
    }
    context_set_mode(context, arguments[ARG_cert_reqs].u_int);
    mp_obj_t name = arguments[ARG_server_hostname].u_obj;
    check_name(context, name, false);
    mp_obj_t socket = wrap(context->context, stream, name, arguments[ARG_do_handshake].u_bool);
    // The session has copied what it needs.
    context_finalise(MP_OBJ_FROM_PTR(context));
    return socket;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(module_wrap_socket_object, 1, module_wrap_socket);

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
#else
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_ssl, wolfssl_module);
#endif
#endif

#endif
