// The module wolfhashlib: hash objects with update, digest, hexdigest and copy.
#include <string.h>
#include "common.h"

typedef struct {
    mp_obj_base_t base;
    uint8_t number;
    uint16_t size; // of the state, in bytes
    uint8_t state[];
} hash_object_t;

static hash_object_t *hash_new(const mp_obj_type_t *type, size_t size) {
    // m_malloc has one signature in every version; the macros around it have not.
    hash_object_t *self = m_malloc(sizeof(hash_object_t) + size);
    self->base.type = type;
    self->size = size;
    return self;
}

static void hash_add(hash_object_t *self, mp_obj_t data) {
    casemate_bytes_t view = casemate_get_bytes(data);
    int32_t error = casemate_hash_update(self->state, self->size, view.data, view.length);
    if (error != 0) {
        casemate_raise(error);
    }
}

static mp_obj_t hash_make(const mp_obj_type_t *type, uint8_t number, size_t count, const mp_obj_t *arguments) {
    size_t size = casemate_hash_state_size(number);
    hash_object_t *self = hash_new(type, size);
    self->number = number;
    int32_t error = casemate_hash_start(self->state, size, number);
    if (error != 0) {
        casemate_raise(error);
    }
    if (count == 1) {
        hash_add(self, arguments[0]);
    }
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t hash_update(mp_obj_t self_in, mp_obj_t data) {
    hash_add(MP_OBJ_TO_PTR(self_in), data);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(hash_update_object, hash_update);

// The digest in a new vstr; SHAKE takes the length as an argument.
static void hash_finish(size_t count, const mp_obj_t *arguments, vstr_t *digest) {
    hash_object_t *self = MP_OBJ_TO_PTR(arguments[0]);
    size_t length = casemate_hash_digest_size(self->number);
    if (length == 0) {
        if (count != 2) {
            mp_raise_TypeError(MP_ERROR_TEXT("length required"));
        }
        mp_int_t wanted = mp_obj_get_int(arguments[1]);
        if (wanted < 0) {
            mp_raise_ValueError(MP_ERROR_TEXT("output length"));
        }
        length = wanted;
    } else if (count != 1) {
        mp_raise_TypeError(MP_ERROR_TEXT("no length allowed"));
    }
    // Checked first: a final object must not cost memory, and a failed allocation must not cost the object.
    int32_t error = casemate_hash_check_open(self->state, self->size);
    if (error == 0) {
        vstr_init_len(digest, length);
        error = casemate_hash_finish(self->state, self->size, (uint8_t *)digest->buf, length);
    }
    if (error != 0) {
        casemate_raise(error);
    }
}

static mp_obj_t hash_digest(size_t count, const mp_obj_t *arguments) {
    vstr_t digest;
    hash_finish(count, arguments, &digest);
    return casemate_bytes_from_vstr(&digest);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hash_digest_object, 1, 2, hash_digest);

static mp_obj_t hash_hexdigest(size_t count, const mp_obj_t *arguments) {
    vstr_t digest, text;
    hash_finish(count, arguments, &digest);
    vstr_init_len(&text, 2 * digest.len);
    for (size_t index = 0; index < digest.len; ++index) {
        uint8_t byte = digest.buf[index];
        text.buf[2 * index] = "0123456789abcdef"[byte >> 4];
        text.buf[2 * index + 1] = "0123456789abcdef"[byte & 15];
    }
    mp_obj_t result = mp_obj_new_str(text.buf, text.len);
    vstr_clear(&text);
    vstr_clear(&digest);
    return result;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hash_hexdigest_object, 1, 2, hash_hexdigest);

static mp_obj_t hash_copy(mp_obj_t self_in) {
    hash_object_t *self = MP_OBJ_TO_PTR(self_in);
    int32_t error = casemate_hash_check_open(self->state, self->size);
    if (error != 0) {
        casemate_raise(error);
    }
    hash_object_t *copy = hash_new(self->base.type, self->size);
    copy->number = self->number;
    memcpy(copy->state, self->state, self->size);
    return MP_OBJ_FROM_PTR(copy);
}
static MP_DEFINE_CONST_FUN_OBJ_1(hash_copy_object, hash_copy);

#define HASH_TYPE(name_, number_, size_, block_) \
    static mp_obj_t name_##_make_new(const mp_obj_type_t *type, size_t count, size_t keywords, const mp_obj_t *arguments) { \
        mp_arg_check_num(count, keywords, 0, 1, false); \
        return hash_make(type, number_, count, arguments); \
    } \
    static const mp_rom_map_elem_t name_##_dictionary_table[] = { \
        { MP_ROM_QSTR(MP_QSTR_update), MP_ROM_PTR(&hash_update_object) }, \
        { MP_ROM_QSTR(MP_QSTR_digest), MP_ROM_PTR(&hash_digest_object) }, \
        { MP_ROM_QSTR(MP_QSTR_hexdigest), MP_ROM_PTR(&hash_hexdigest_object) }, \
        { MP_ROM_QSTR(MP_QSTR_copy), MP_ROM_PTR(&hash_copy_object) }, \
        { MP_ROM_QSTR(MP_QSTR_name), MP_ROM_QSTR(MP_QSTR_##name_) }, \
        { MP_ROM_QSTR(MP_QSTR_digest_size), MP_ROM_INT(size_) }, \
        { MP_ROM_QSTR(MP_QSTR_block_size), MP_ROM_INT(block_) }, \
    }; \
    static MP_DEFINE_CONST_DICT(name_##_dictionary, name_##_dictionary_table); \
    static CASEMATE_TYPE(name_##_type, MP_QSTR_##name_, name_##_make_new, name_##_dictionary)

#if WOLF_HASHLIB_MD5
HASH_TYPE(md5, CASEMATE_HASH_MD5, 16, 64);
#endif
#if WOLF_HASHLIB_SHA1
HASH_TYPE(sha1, CASEMATE_HASH_SHA1, 20, 64);
#endif
#if WOLF_HASHLIB_SHA256
HASH_TYPE(sha224, CASEMATE_HASH_SHA224, 28, 64);
HASH_TYPE(sha256, CASEMATE_HASH_SHA256, 32, 64);
#endif
#if CASEMATE_FEATURE_SHA512
HASH_TYPE(sha384, CASEMATE_HASH_SHA384, 48, 128);
HASH_TYPE(sha512, CASEMATE_HASH_SHA512, 64, 128);
#endif
#if CASEMATE_FEATURE_SHA3
HASH_TYPE(sha3_224, CASEMATE_HASH_SHA3_224, 28, 144);
HASH_TYPE(sha3_256, CASEMATE_HASH_SHA3_256, 32, 136);
HASH_TYPE(sha3_384, CASEMATE_HASH_SHA3_384, 48, 104);
HASH_TYPE(sha3_512, CASEMATE_HASH_SHA3_512, 64, 72);
HASH_TYPE(shake_128, CASEMATE_HASH_SHAKE128, 0, 168);
HASH_TYPE(shake_256, CASEMATE_HASH_SHAKE256, 0, 136);
#endif

#if CASEMATE_FEATURE_STM32_HASH
// in_hardware(hash_name)
static mp_obj_t hashlib_in_hardware(mp_obj_t name) {
    return mp_obj_new_bool(casemate_hash_in_hardware(casemate_hash_number(name)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(hashlib_in_hardware_object, hashlib_in_hardware);
#endif

static const mp_rom_map_elem_t wolfhashlib_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_wolfhashlib) },
    #if WOLF_HASHLIB_MD5
    { MP_ROM_QSTR(MP_QSTR_md5), MP_ROM_PTR(&md5_type) },
    #endif
    #if WOLF_HASHLIB_SHA1
    { MP_ROM_QSTR(MP_QSTR_sha1), MP_ROM_PTR(&sha1_type) },
    #endif
    #if WOLF_HASHLIB_SHA256
    { MP_ROM_QSTR(MP_QSTR_sha224), MP_ROM_PTR(&sha224_type) },
    { MP_ROM_QSTR(MP_QSTR_sha256), MP_ROM_PTR(&sha256_type) },
    #endif
    #if CASEMATE_FEATURE_SHA512
    { MP_ROM_QSTR(MP_QSTR_sha384), MP_ROM_PTR(&sha384_type) },
    { MP_ROM_QSTR(MP_QSTR_sha512), MP_ROM_PTR(&sha512_type) },
    #endif
    #if CASEMATE_FEATURE_SHA3
    { MP_ROM_QSTR(MP_QSTR_sha3_224), MP_ROM_PTR(&sha3_224_type) },
    { MP_ROM_QSTR(MP_QSTR_sha3_256), MP_ROM_PTR(&sha3_256_type) },
    { MP_ROM_QSTR(MP_QSTR_sha3_384), MP_ROM_PTR(&sha3_384_type) },
    { MP_ROM_QSTR(MP_QSTR_sha3_512), MP_ROM_PTR(&sha3_512_type) },
    { MP_ROM_QSTR(MP_QSTR_shake_128), MP_ROM_PTR(&shake_128_type) },
    { MP_ROM_QSTR(MP_QSTR_shake_256), MP_ROM_PTR(&shake_256_type) },
    #endif
    #if CASEMATE_FEATURE_STM32_HASH
    { MP_ROM_QSTR(MP_QSTR_in_hardware), MP_ROM_PTR(&hashlib_in_hardware_object) },
    #endif
};
static MP_DEFINE_CONST_DICT(wolfhashlib_globals, wolfhashlib_globals_table);

const mp_obj_module_t wolfhashlib_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&wolfhashlib_globals,
};

MP_REGISTER_MODULE(MP_QSTR_wolfhashlib, wolfhashlib_module);
#if WOLFSSL_ALIAS
#if CASEMATE_MICROPYTHON >= 121
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_hashlib, wolfhashlib_module);
#else
MP_REGISTER_MODULE(MP_QSTR_uhashlib, wolfhashlib_module);
#endif
#endif
