// The module wolfcryptolib: aes as MicroPython has it; authenticated encryption, MACs and key derivation beyond.
#include <string.h>
#include "common.h"

// Objects hold keys: these are wiped when the collector finds the object, or a program calls __del__, after which the object
// has no key any more.
#if MICROPY_ENABLE_FINALISER
#define NEW_OBJECT(type) m_malloc_with_finaliser(sizeof(type))
#else
#define NEW_OBJECT(type) m_malloc(sizeof(type))
#endif

typedef struct {
    mp_obj_base_t base;
    uint8_t mode; // 0 once wiped
    uint8_t state[CASEMATE_AES_STATE_SIZE];
} aes_object_t;

static mp_obj_t aes_make_new(const mp_obj_type_t *type, size_t count, size_t keywords, const mp_obj_t *arguments) {
    mp_arg_check_num(count, keywords, 2, 3, false);
    mp_int_t mode = mp_obj_get_int(arguments[1]);
    switch (mode) {
        case CASEMATE_AES_ECB:
        case CASEMATE_AES_CBC:
        #if WOLF_CRYPTOLIB_CTR
        case CASEMATE_AES_CTR:
        #endif
            break;
        default:
            mp_raise_ValueError(MP_ERROR_TEXT("mode"));
    }
    casemate_bytes_t key = casemate_get_bytes(arguments[0]);
    if (key.length != 16 && key.length != 32) {
        casemate_raise(CASEMATE_ERROR_KEY);
    }
    casemate_bytes_t iv = { NULL, 0 };
    if (count == 3 && arguments[2] != mp_const_none) {
        iv = casemate_get_bytes(arguments[2]);
        if (iv.length != 16) {
            casemate_raise(CASEMATE_ERROR_IV);
        }
    }
    aes_object_t *self = NEW_OBJECT(aes_object_t);
    memset(self, 0, sizeof(*self));
    self->base.type = type;
    self->mode = mode;
    int32_t error = casemate_aes_start(self->state, mode, key.data, key.length, iv.data, iv.length);
    if (error != 0) {
        casemate_raise(error);
    }
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t aes_process(size_t count, const mp_obj_t *arguments, bool decrypt) {
    aes_object_t *self = MP_OBJ_TO_PTR(arguments[0]);
    if (self->mode == 0) {
        casemate_raise(CASEMATE_ERROR_KEY);
    }
    casemate_bytes_t input = casemate_get_bytes(arguments[1]);
    if (self->mode != CASEMATE_AES_CTR && input.length % 16 != 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("blksize % 16"));
    }
    uint8_t *output;
    vstr_t result;
    bool fresh = count == 2;
    if (fresh) {
        vstr_init_len(&result, input.length);
        output = (uint8_t *)result.buf;
    } else {
        mp_buffer_info_t view;
        mp_get_buffer_raise(arguments[2], &view, MP_BUFFER_WRITE);
        if (view.len < input.length) {
            mp_raise_ValueError(MP_ERROR_TEXT("output too small"));
        }
        output = view.buf;
    }
    int32_t error = casemate_aes_set_direction(self->state, decrypt);
    if (error == 0) {
        // The two buffers may be the same or overlap: all of the input has been read before anything is transformed.
        memmove(output, input.data, input.length);
        error = casemate_aes_run(self->state, output, input.length);
    }
    if (error != 0) {
        casemate_raise(error);
    }
    return fresh ? casemate_bytes_from_vstr(&result) : arguments[2];
}

static mp_obj_t aes_encrypt(size_t count, const mp_obj_t *arguments) {
    return aes_process(count, arguments, false);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(aes_encrypt_object, 2, 3, aes_encrypt);

static mp_obj_t aes_decrypt(size_t count, const mp_obj_t *arguments) {
    return aes_process(count, arguments, true);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(aes_decrypt_object, 2, 3, aes_decrypt);

#if MICROPY_ENABLE_FINALISER
static mp_obj_t aes_finalise(mp_obj_t self_in) {
    aes_object_t *self = MP_OBJ_TO_PTR(self_in);
    self->mode = 0;
    casemate_wipe(self->state, sizeof(self->state));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(aes_finalise_object, aes_finalise);
#endif

static const mp_rom_map_elem_t aes_dictionary_table[] = {
    #if MICROPY_ENABLE_FINALISER
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&aes_finalise_object) },
    #endif
    { MP_ROM_QSTR(MP_QSTR_encrypt), MP_ROM_PTR(&aes_encrypt_object) },
    { MP_ROM_QSTR(MP_QSTR_decrypt), MP_ROM_PTR(&aes_decrypt_object) },
};
static MP_DEFINE_CONST_DICT(aes_dictionary, aes_dictionary_table);
static CASEMATE_TYPE(aes_type, MP_QSTR_aes, aes_make_new, aes_dictionary);

#if CASEMATE_FEATURE_AEAD

// aes_gcm(key[, tag_size]) and aes_ccm(key[, tag_size]): encrypt(nonce, data[, aad]) gives ciphertext and tag,
// decrypt takes them apart.
typedef struct {
    mp_obj_base_t base;
    bool ccm;
    uint8_t tag_size;
    uint8_t key_length; // 0 once wiped
    uint8_t key[32];
} aead_object_t;

static mp_obj_t aead_make(const mp_obj_type_t *type, bool ccm, size_t count, const mp_obj_t *arguments) {
    casemate_bytes_t key = casemate_get_bytes(arguments[0]);
    if (key.length != 16 && key.length != 24 && key.length != 32) {
        casemate_raise(CASEMATE_ERROR_KEY);
    }
    mp_int_t tag_size = count == 2 ? mp_obj_get_int(arguments[1]) : 16;
    if (tag_size < 4 || tag_size > 16 || (ccm && tag_size % 2 != 0)) {
        casemate_raise(CASEMATE_ERROR_TAG);
    }
    aead_object_t *self = NEW_OBJECT(aead_object_t);
    memset(self, 0, sizeof(*self));
    self->base.type = type;
    self->ccm = ccm;
    self->tag_size = tag_size;
    self->key_length = key.length;
    memcpy(self->key, key.data, key.length);
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t aes_gcm_make_new(const mp_obj_type_t *type, size_t count, size_t keywords, const mp_obj_t *arguments) {
    mp_arg_check_num(count, keywords, 1, 2, false);
    return aead_make(type, false, count, arguments);
}

static mp_obj_t aes_ccm_make_new(const mp_obj_type_t *type, size_t count, size_t keywords, const mp_obj_t *arguments) {
    mp_arg_check_num(count, keywords, 1, 2, false);
    return aead_make(type, true, count, arguments);
}

// An object that still has its key.
static aead_object_t *aead_usable(mp_obj_t self_in) {
    aead_object_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->key_length == 0) {
        casemate_raise(CASEMATE_ERROR_KEY);
    }
    return self;
}

static mp_obj_t aead_encrypt(size_t count, const mp_obj_t *arguments) {
    aead_object_t *self = aead_usable(arguments[0]);
    casemate_bytes_t nonce = casemate_get_bytes(arguments[1]);
    casemate_bytes_t data = casemate_get_bytes(arguments[2]);
    casemate_bytes_t aad = { NULL, 0 };
    if (count == 4) {
        aad = casemate_get_bytes(arguments[3]);
    }
    casemate_bytes_t key = { self->key, self->key_length };
    vstr_t result;
    vstr_init_len(&result, data.length + self->tag_size);
    uint8_t *output = (uint8_t *)result.buf;
    memcpy(output, data.data, data.length);
    int32_t error = casemate_aead_seal(self->ccm, key, nonce, aad, output, data.length, output + data.length, self->tag_size);
    if (error != 0) {
        casemate_raise(error);
    }
    return casemate_bytes_from_vstr(&result);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(aead_encrypt_object, 3, 4, aead_encrypt);

static mp_obj_t aead_decrypt(size_t count, const mp_obj_t *arguments) {
    aead_object_t *self = aead_usable(arguments[0]);
    casemate_bytes_t nonce = casemate_get_bytes(arguments[1]);
    casemate_bytes_t data = casemate_get_bytes(arguments[2]);
    casemate_bytes_t aad = { NULL, 0 };
    if (count == 4) {
        aad = casemate_get_bytes(arguments[3]);
    }
    if (data.length < self->tag_size) {
        casemate_raise(CASEMATE_ERROR_AUTHENTICATION);
    }
    size_t length = data.length - self->tag_size;
    casemate_bytes_t key = { self->key, self->key_length };
    casemate_bytes_t tag = { data.data + length, self->tag_size };
    vstr_t result;
    vstr_init_len(&result, length);
    memcpy(result.buf, data.data, length);
    int32_t error = casemate_aead_open(self->ccm, key, nonce, aad, (uint8_t *)result.buf, length, tag);
    if (error != 0) {
        casemate_raise(error);
    }
    return casemate_bytes_from_vstr(&result);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(aead_decrypt_object, 3, 4, aead_decrypt);

#if MICROPY_ENABLE_FINALISER
static mp_obj_t aead_finalise(mp_obj_t self_in) {
    aead_object_t *self = MP_OBJ_TO_PTR(self_in);
    self->key_length = 0;
    casemate_wipe(self->key, sizeof(self->key));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(aead_finalise_object, aead_finalise);
#endif

static const mp_rom_map_elem_t aead_dictionary_table[] = {
    #if MICROPY_ENABLE_FINALISER
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&aead_finalise_object) },
    #endif
    { MP_ROM_QSTR(MP_QSTR_encrypt), MP_ROM_PTR(&aead_encrypt_object) },
    { MP_ROM_QSTR(MP_QSTR_decrypt), MP_ROM_PTR(&aead_decrypt_object) },
};
static MP_DEFINE_CONST_DICT(aead_dictionary, aead_dictionary_table);
static CASEMATE_TYPE(aes_gcm_type, MP_QSTR_aes_gcm, aes_gcm_make_new, aead_dictionary);
static CASEMATE_TYPE(aes_ccm_type, MP_QSTR_aes_ccm, aes_ccm_make_new, aead_dictionary);

#endif

#if CASEMATE_FEATURE_MAC

// A length argument: not negative.
static size_t get_length(mp_obj_t object) {
    mp_int_t length = mp_obj_get_int(object);
    if (length < 0) {
        casemate_raise(CASEMATE_ERROR_OUTPUT);
    }
    return length;
}

static mp_obj_t finish(int32_t error, vstr_t *output) {
    if (error != 0) {
        casemate_raise(error);
    }
    return casemate_bytes_from_vstr(output);
}

// hmac(hash_name, key, data)
static mp_obj_t cryptolib_hmac(mp_obj_t name, mp_obj_t key, mp_obj_t data) {
    uint8_t number = casemate_hash_number(name);
    casemate_bytes_t key_view = casemate_get_bytes(key);
    casemate_bytes_t data_view = casemate_get_bytes(data);
    vstr_t output;
    vstr_init_len(&output, casemate_hash_digest_size(number));
    return finish(casemate_hmac(number, key_view, data_view, (uint8_t *)output.buf, output.len), &output);
}
static MP_DEFINE_CONST_FUN_OBJ_3(cryptolib_hmac_object, cryptolib_hmac);

// cmac(key, data)
static mp_obj_t cryptolib_cmac(mp_obj_t key, mp_obj_t data) {
    casemate_bytes_t key_view = casemate_get_bytes(key);
    casemate_bytes_t data_view = casemate_get_bytes(data);
    vstr_t output;
    vstr_init_len(&output, 16);
    return finish(casemate_cmac(key_view, data_view, (uint8_t *)output.buf, output.len), &output);
}
static MP_DEFINE_CONST_FUN_OBJ_2(cryptolib_cmac_object, cryptolib_cmac);

// hkdf(hash_name, key, salt, info, length)
static mp_obj_t cryptolib_hkdf(size_t count, const mp_obj_t *arguments) {
    (void)count;
    uint8_t number = casemate_hash_number(arguments[0]);
    casemate_bytes_t key = casemate_get_bytes(arguments[1]);
    casemate_bytes_t salt = casemate_get_bytes(arguments[2]);
    casemate_bytes_t info = casemate_get_bytes(arguments[3]);
    size_t length = get_length(arguments[4]);
    if (length > 255 * casemate_hash_digest_size(number)) {
        casemate_raise(CASEMATE_ERROR_OUTPUT);
    }
    vstr_t output;
    vstr_init_len(&output, length);
    return finish(casemate_hkdf(number, key, salt, info, (uint8_t *)output.buf, output.len), &output);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(cryptolib_hkdf_object, 5, 5, cryptolib_hkdf);

// pbkdf2_hmac(hash_name, password, salt, iterations[, length])
static mp_obj_t cryptolib_pbkdf2_hmac(size_t count, const mp_obj_t *arguments) {
    uint8_t number = casemate_hash_number(arguments[0]);
    casemate_bytes_t password = casemate_get_bytes(arguments[1]);
    casemate_bytes_t salt = casemate_get_bytes(arguments[2]);
    mp_int_t iterations = mp_obj_get_int(arguments[3]);
    if (iterations < 1 || (uint64_t)iterations > UINT32_MAX) {
        mp_raise_ValueError(MP_ERROR_TEXT("iterations"));
    }
    size_t length = count == 5 ? get_length(arguments[4]) : casemate_hash_digest_size(number);
    vstr_t output;
    vstr_init_len(&output, length);
    return finish(casemate_pbkdf2(number, password, salt, iterations, (uint8_t *)output.buf, output.len), &output);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(cryptolib_pbkdf2_hmac_object, 4, 5, cryptolib_pbkdf2_hmac);

#endif

#if CASEMATE_FEATURE_STM32_CRYPTO
// in_hardware()
static mp_obj_t cryptolib_in_hardware(void) {
    return mp_obj_new_bool(casemate_aes_in_hardware());
}
static MP_DEFINE_CONST_FUN_OBJ_0(cryptolib_in_hardware_object, cryptolib_in_hardware);
#endif

static const mp_rom_map_elem_t wolfcryptolib_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_wolfcryptolib) },
    { MP_ROM_QSTR(MP_QSTR_aes), MP_ROM_PTR(&aes_type) },
    #if WOLF_CRYPTOLIB_CONSTS
    { MP_ROM_QSTR(MP_QSTR_MODE_ECB), MP_ROM_INT(CASEMATE_AES_ECB) },
    { MP_ROM_QSTR(MP_QSTR_MODE_CBC), MP_ROM_INT(CASEMATE_AES_CBC) },
    #if WOLF_CRYPTOLIB_CTR
    { MP_ROM_QSTR(MP_QSTR_MODE_CTR), MP_ROM_INT(CASEMATE_AES_CTR) },
    #endif
    #endif
    #if CASEMATE_FEATURE_AEAD
    { MP_ROM_QSTR(MP_QSTR_aes_gcm), MP_ROM_PTR(&aes_gcm_type) },
    { MP_ROM_QSTR(MP_QSTR_aes_ccm), MP_ROM_PTR(&aes_ccm_type) },
    #endif
    #if CASEMATE_FEATURE_MAC
    { MP_ROM_QSTR(MP_QSTR_hmac), MP_ROM_PTR(&cryptolib_hmac_object) },
    { MP_ROM_QSTR(MP_QSTR_cmac), MP_ROM_PTR(&cryptolib_cmac_object) },
    { MP_ROM_QSTR(MP_QSTR_hkdf), MP_ROM_PTR(&cryptolib_hkdf_object) },
    { MP_ROM_QSTR(MP_QSTR_pbkdf2_hmac), MP_ROM_PTR(&cryptolib_pbkdf2_hmac_object) },
    #endif
    #if CASEMATE_FEATURE_STM32_CRYPTO
    { MP_ROM_QSTR(MP_QSTR_in_hardware), MP_ROM_PTR(&cryptolib_in_hardware_object) },
    #endif
};
static MP_DEFINE_CONST_DICT(wolfcryptolib_globals, wolfcryptolib_globals_table);

const mp_obj_module_t wolfcryptolib_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&wolfcryptolib_globals,
};

MP_REGISTER_MODULE(MP_QSTR_wolfcryptolib, wolfcryptolib_module);
#if WOLFSSL_ALIAS
#if CASEMATE_MICROPYTHON >= 121
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_cryptolib, wolfcryptolib_module);
#else
MP_REGISTER_MODULE(MP_QSTR_ucryptolib, wolfcryptolib_module);
#endif
#endif
