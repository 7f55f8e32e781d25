// What the four modules share.
#include <string.h>
#include "common.h"
#include "heap.h"
#include "py/mphal.h"
#include "py/mperrno.h"

void casemate_raise(int32_t error) {
    switch (error) {
        case CASEMATE_ERROR_FINAL:
            mp_raise_ValueError(MP_ERROR_TEXT("hash is final"));
        case CASEMATE_ERROR_KEY:
            mp_raise_ValueError(MP_ERROR_TEXT("key"));
        case CASEMATE_ERROR_IV:
            mp_raise_ValueError(MP_ERROR_TEXT("IV"));
        case CASEMATE_ERROR_TAG:
            mp_raise_ValueError(MP_ERROR_TEXT("tag length"));
        case CASEMATE_ERROR_LENGTH:
            mp_raise_ValueError(MP_ERROR_TEXT("data length"));
        case CASEMATE_ERROR_AUTHENTICATION:
            mp_raise_ValueError(MP_ERROR_TEXT("authentication failed"));
        case CASEMATE_ERROR_UNSUPPORTED:
            mp_raise_ValueError(MP_ERROR_TEXT("unsupported algorithm"));
        case CASEMATE_ERROR_DIRECTION:
            mp_raise_ValueError(MP_ERROR_TEXT("can't encrypt & decrypt"));
        case CASEMATE_ERROR_OUTPUT:
            mp_raise_ValueError(MP_ERROR_TEXT("output length"));
        case CASEMATE_ERROR_BUSY:
            mp_raise_OSError(MP_EBUSY);
        case CASEMATE_ERROR_HARDWARE:
            mp_raise_OSError(MP_EIO);
        default:
            mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("internal error"));
    }
}

void casemate_raise_number(const mp_obj_type_t *type, int32_t number, casemate_text_t text) {
    mp_obj_t arguments[2] = { MP_OBJ_NEW_SMALL_INT(number) };
    size_t count = 1;
    if (text != NULL) {
        size_t length;
        const uint8_t *data = text(number, &length);
        arguments[1] = mp_obj_new_str((const char *)data, length);
        count = 2;
    }
    nlr_raise(mp_obj_new_exception_args(type, count, arguments));
}

void casemate_attribute_in(mp_obj_t self, const mp_obj_dict_t *dictionary, qstr attribute, mp_obj_t *destination) {
    #if CASEMATE_MICROPYTHON >= 120
    (void)self;
    (void)dictionary;
    (void)attribute;
    destination[1] = MP_OBJ_SENTINEL;
    #else
    mp_map_elem_t *found = mp_map_lookup((mp_map_t *)&dictionary->map, MP_OBJ_NEW_QSTR(attribute), MP_MAP_LOOKUP);
    if (found != NULL) {
        mp_convert_member_lookup(self, mp_obj_get_type(self), found->value, destination);
    }
    #endif
}

#if CASEMATE_FEATURE_TLS || CASEMATE_FEATURE_HSM
void casemate_wait_for_transport(void) {
    #if CASEMATE_MICROPYTHON >= 122
    mp_event_wait_ms(1);
    #elif defined(MICROPY_EVENT_POLL_HOOK)
    MICROPY_EVENT_POLL_HOOK
    #else
    mp_handle_pending(true);
    mp_hal_delay_us(500);
    #endif
}
#endif

static const struct {
    char name[9];
    uint8_t number;
    uint8_t size;
} hashes[] = {
    #if WOLF_HASHLIB_MD5
    { "md5", CASEMATE_HASH_MD5, 16 },
    #endif
    #if WOLF_HASHLIB_SHA1
    { "sha1", CASEMATE_HASH_SHA1, 20 },
    #endif
    #if WOLF_HASHLIB_SHA256
    { "sha224", CASEMATE_HASH_SHA224, 28 },
    { "sha256", CASEMATE_HASH_SHA256, 32 },
    #endif
    #if CASEMATE_FEATURE_SHA512
    { "sha384", CASEMATE_HASH_SHA384, 48 },
    { "sha512", CASEMATE_HASH_SHA512, 64 },
    #endif
    #if CASEMATE_FEATURE_SHA3
    { "sha3_224", CASEMATE_HASH_SHA3_224, 28 },
    { "sha3_256", CASEMATE_HASH_SHA3_256, 32 },
    { "sha3_384", CASEMATE_HASH_SHA3_384, 48 },
    { "sha3_512", CASEMATE_HASH_SHA3_512, 64 },
    #endif
};

uint8_t casemate_hash_number(mp_obj_t name) {
    const char *text = mp_obj_str_get_str(name);
    for (size_t index = 0; index < MP_ARRAY_SIZE(hashes); ++index) {
        if (strcmp(hashes[index].name, text) == 0) {
            return hashes[index].number;
        }
    }
    casemate_raise(CASEMATE_ERROR_UNSUPPORTED);
}

size_t casemate_hash_digest_size(uint8_t number) {
    for (size_t index = 0; index < MP_ARRAY_SIZE(hashes); ++index) {
        if (hashes[index].number == number) {
            return hashes[index].size;
        }
    }
    return 0;
}

void casemate_port_panic(const uint8_t *file, size_t length, uint32_t line) {
    #if CASEMATE_FEATURE_TLS
    if (casemate_heap_failed()) {
        mp_raise_msg(&mp_type_MemoryError, MP_ERROR_TEXT("memory allocation failed in TLS"));
    }
    #endif
    mp_raise_msg_varg(&mp_type_RuntimeError, MP_ERROR_TEXT("internal error at %.*s:%u"), (int)length, (const char *)file, (unsigned)line);
}
