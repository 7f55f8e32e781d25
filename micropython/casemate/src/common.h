// What the four modules share: version differences of MicroPython, configuration, argument helpers.
#ifndef CASEMATE_COMMON_H
#define CASEMATE_COMMON_H

#include "py/runtime.h"
#include "py/objstr.h"
#include "py/objtype.h"
#include "casemate.h"

// MicroPython 1.19.1 does not tell its version in a header that C files include.
#if defined(MICROPY_VERSION_MAJOR)
#define CASEMATE_MICROPYTHON (MICROPY_VERSION_MAJOR * 100 + MICROPY_VERSION_MINOR)
#else
#define CASEMATE_MICROPYTHON 119
#endif

// A feature is on if MicroPython's own macro is 1, by its old name or the new one, or if the built-in TLS module is off:
// ports derive these macros from it and would otherwise switch everything off. WOLF_* macros win over both.
#if !defined(MICROPY_PY_SSL)
#define MICROPY_PY_SSL (0)
#endif
#if !defined(MICROPY_PY_USSL)
#define MICROPY_PY_USSL (0)
#endif
#define CASEMATE_BUILT_IN_OFF (!MICROPY_PY_SSL && !MICROPY_PY_USSL)

#if !defined(WOLF_HASHLIB_SHA256)
#if defined(MICROPY_PY_UHASHLIB_SHA256)
#define WOLF_HASHLIB_SHA256 (MICROPY_PY_UHASHLIB_SHA256 || CASEMATE_BUILT_IN_OFF)
#elif defined(MICROPY_PY_HASHLIB_SHA256)
#define WOLF_HASHLIB_SHA256 (MICROPY_PY_HASHLIB_SHA256 || CASEMATE_BUILT_IN_OFF)
#else
#define WOLF_HASHLIB_SHA256 (1)
#endif
#endif

#if !defined(WOLF_HASHLIB_SHA1)
#if defined(MICROPY_PY_UHASHLIB_SHA1)
#define WOLF_HASHLIB_SHA1 (MICROPY_PY_UHASHLIB_SHA1 || CASEMATE_BUILT_IN_OFF)
#elif defined(MICROPY_PY_HASHLIB_SHA1)
#define WOLF_HASHLIB_SHA1 (MICROPY_PY_HASHLIB_SHA1 || CASEMATE_BUILT_IN_OFF)
#else
#define WOLF_HASHLIB_SHA1 (CASEMATE_BUILT_IN_OFF)
#endif
#endif

#if !defined(WOLF_HASHLIB_MD5)
#if defined(MICROPY_PY_UHASHLIB_MD5)
#define WOLF_HASHLIB_MD5 (MICROPY_PY_UHASHLIB_MD5 || CASEMATE_BUILT_IN_OFF)
#elif defined(MICROPY_PY_HASHLIB_MD5)
#define WOLF_HASHLIB_MD5 (MICROPY_PY_HASHLIB_MD5 || CASEMATE_BUILT_IN_OFF)
#else
#define WOLF_HASHLIB_MD5 (CASEMATE_BUILT_IN_OFF)
#endif
#endif

#if !defined(WOLF_CRYPTOLIB_CTR)
#if defined(MICROPY_PY_UCRYPTOLIB_CTR)
#define WOLF_CRYPTOLIB_CTR (MICROPY_PY_UCRYPTOLIB_CTR || CASEMATE_BUILT_IN_OFF)
#elif defined(MICROPY_PY_CRYPTOLIB_CTR)
#define WOLF_CRYPTOLIB_CTR (MICROPY_PY_CRYPTOLIB_CTR || CASEMATE_BUILT_IN_OFF)
#else
#define WOLF_CRYPTOLIB_CTR (CASEMATE_BUILT_IN_OFF)
#endif
#endif

#if !defined(WOLF_CRYPTOLIB_CONSTS)
#if defined(MICROPY_PY_UCRYPTOLIB_CONSTS)
#define WOLF_CRYPTOLIB_CONSTS (MICROPY_PY_UCRYPTOLIB_CONSTS || CASEMATE_BUILT_IN_OFF)
#elif defined(MICROPY_PY_CRYPTOLIB_CONSTS)
#define WOLF_CRYPTOLIB_CONSTS (MICROPY_PY_CRYPTOLIB_CONSTS || CASEMATE_BUILT_IN_OFF)
#else
#define WOLF_CRYPTOLIB_CONSTS (CASEMATE_BUILT_IN_OFF)
#endif
#endif

// The library's features; micropython.mk defines the same names for the C part as for cargo.
#if !CASEMATE_FEATURE_SHA1
#undef WOLF_HASHLIB_SHA1
#define WOLF_HASHLIB_SHA1 (0)
#endif
#if !CASEMATE_FEATURE_MD5
#undef WOLF_HASHLIB_MD5
#define WOLF_HASHLIB_MD5 (0)
#endif

// A new bytes object that takes over a vstr.
static inline mp_obj_t casemate_bytes_from_vstr(vstr_t *text) {
    #if CASEMATE_MICROPYTHON >= 120
    return mp_obj_new_bytes_from_vstr(text);
    #else
    return mp_obj_new_str_from_vstr(&mp_type_bytes, text);
    #endif
}

// A type with a constructor, a print function or NULL, and a dictionary.
#if defined(MP_DEFINE_CONST_OBJ_TYPE)
#define CASEMATE_TYPE(symbol, name_, make_new_, dictionary_) \
    MP_DEFINE_CONST_OBJ_TYPE(symbol, name_, MP_TYPE_FLAG_NONE, make_new, make_new_, locals_dict, &dictionary_)
#else
#define CASEMATE_TYPE(symbol, name_, make_new_, dictionary_) \
    const mp_obj_type_t symbol = { \
        { &mp_type_type }, .name = name_, .make_new = make_new_, \
        .locals_dict = (mp_obj_dict_t *)&dictionary_, \
    }
#endif

// The readable bytes of an object; TypeError if it has none.
static inline casemate_bytes_t casemate_get_bytes(mp_obj_t object) {
    mp_buffer_info_t view;
    mp_get_buffer_raise(object, &view, MP_BUFFER_READ);
    return (casemate_bytes_t) { view.buf, view.len };
}

// The bytes of a str or bytes object; TypeError if it is neither.
static inline casemate_bytes_t casemate_get_text(mp_obj_t object) {
    size_t length;
    const char *data = mp_obj_str_get_data(object, &length);
    return (casemate_bytes_t) { (const uint8_t *)data, length };
}

// Fills memory with zeros, also where the compiler sees that nobody reads them.
static inline void casemate_wipe(void *memory, size_t length) {
    volatile uint8_t *bytes = memory;
    while (length > 0) {
        bytes[--length] = 0;
    }
}

// The Python exception for a negative answer of the hash and cipher functions.
void casemate_raise(int32_t error) __attribute__((noreturn));

// A function of the library that gives the text of an error number. Builds without texts have none.
typedef const uint8_t *(*casemate_text_t)(int32_t number, size_t *length);
#if CASEMATE_NO_ERROR_STRINGS
#define CASEMATE_TEXT(function) NULL
#else
#define CASEMATE_TEXT(function) function
#endif

// Raises OSError, or a type derived from it, with a number and its text.
void casemate_raise_number(const mp_obj_type_t *type, int32_t number, casemate_text_t text) __attribute__((noreturn));

// For an attribute handler: goes on with the methods.
void casemate_attribute_in(mp_obj_t self, const mp_obj_dict_t *dictionary, qstr attribute, mp_obj_t *destination);

// A stream written in Python sees an object over the memory that it is to fill or to send, and might keep it. So it must be
// given memory of the collector's, and the library's is copied.
static inline bool casemate_written_in_python(mp_obj_t stream) {
    return mp_obj_is_instance_type(mp_obj_get_type(stream));
}

// A moment for others, if a stream has nothing yet. What Python raises meanwhile passes through.
void casemate_wait_for_transport(void);

// The number of a hash, from its name as a str; ValueError if this build does not have it.
uint8_t casemate_hash_number(mp_obj_t name);

// The size of a hash's digest in bytes; 0 for SHAKE.
size_t casemate_hash_digest_size(uint8_t number);

#endif
