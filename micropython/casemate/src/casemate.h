// The C interface of the Rust library. Functions return 0 or a negative CASEMATE_ERROR_*; pointers are used during the
// call only. micropython/rust/src/ffi.rs is the other side.
#ifndef CASEMATE_H
#define CASEMATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CASEMATE_ERROR_INTERNAL       (-1)
#define CASEMATE_ERROR_FINAL          (-2)
#define CASEMATE_ERROR_KEY            (-3)
#define CASEMATE_ERROR_IV             (-4)
#define CASEMATE_ERROR_TAG            (-5)
#define CASEMATE_ERROR_LENGTH         (-6)
#define CASEMATE_ERROR_AUTHENTICATION (-7)
#define CASEMATE_ERROR_UNSUPPORTED    (-8)
#define CASEMATE_ERROR_DIRECTION      (-9)
#define CASEMATE_ERROR_OUTPUT         (-10)
#define CASEMATE_ERROR_BUSY           (-11)
#define CASEMATE_ERROR_HARDWARE       (-12)

typedef struct {
    const uint8_t *data;
    size_t length;
} casemate_bytes_t;

// Hashes. A state is plain bytes and may be copied.
enum {
    CASEMATE_HASH_MD5 = 1,
    CASEMATE_HASH_SHA1,
    CASEMATE_HASH_SHA224,
    CASEMATE_HASH_SHA256,
    CASEMATE_HASH_SHA384,
    CASEMATE_HASH_SHA512,
    CASEMATE_HASH_SHA3_224,
    CASEMATE_HASH_SHA3_256,
    CASEMATE_HASH_SHA3_384,
    CASEMATE_HASH_SHA3_512,
    CASEMATE_HASH_SHAKE128,
    CASEMATE_HASH_SHAKE256,
};
size_t casemate_hash_state_size(uint8_t number);
int32_t casemate_hash_start(uint8_t *state, size_t size, uint8_t number);
int32_t casemate_hash_update(uint8_t *state, size_t size, const uint8_t *data, size_t length);
int32_t casemate_hash_finish(uint8_t *state, size_t size, uint8_t *digest, size_t length);
int32_t casemate_hash_check_open(uint8_t *state, size_t size);
// Whether the chip's processor is used (feature "stm32_hash").
bool casemate_hash_in_hardware(uint8_t number);

// AES. A state is plain bytes.
#define CASEMATE_AES_STATE_SIZE 72
#define CASEMATE_AES_ECB 1
#define CASEMATE_AES_CBC 2
#define CASEMATE_AES_CTR 6
int32_t casemate_aes_start(uint8_t *state, uint8_t mode, const uint8_t *key, size_t key_length, const uint8_t *iv, size_t iv_length);
int32_t casemate_aes_set_direction(uint8_t *state, bool decrypt);
int32_t casemate_aes_run(uint8_t *state, uint8_t *data, size_t length);
// Whether the chip's processor is used (feature "stm32_crypto").
bool casemate_aes_in_hardware(void);

// Authenticated encryption in place (feature "aead").
int32_t casemate_aead_seal(bool ccm, casemate_bytes_t key, casemate_bytes_t nonce, casemate_bytes_t aad, uint8_t *data, size_t length, uint8_t *tag, size_t tag_length);
int32_t casemate_aead_open(bool ccm, casemate_bytes_t key, casemate_bytes_t nonce, casemate_bytes_t aad, uint8_t *data, size_t length, casemate_bytes_t tag);

// Message authentication and key derivation (feature "mac"); `number` is a CASEMATE_HASH_*.
int32_t casemate_hmac(uint8_t number, casemate_bytes_t key, casemate_bytes_t data, uint8_t *output, size_t length);
int32_t casemate_cmac(casemate_bytes_t key, casemate_bytes_t data, uint8_t *output, size_t length);
int32_t casemate_hkdf(uint8_t number, casemate_bytes_t key, casemate_bytes_t salt, casemate_bytes_t info, uint8_t *output, size_t length);
int32_t casemate_pbkdf2(uint8_t number, casemate_bytes_t password, casemate_bytes_t salt, uint32_t iterations, uint8_t *output, size_t length);

// TLS (feature "tls"). What takes a session or a context must not be called again before it has returned.
typedef struct casemate_context casemate_context_t;
typedef struct casemate_session casemate_session_t;
casemate_context_t *casemate_context_new(bool server);
void casemate_context_free(casemate_context_t *context);
void casemate_context_set_mode(casemate_context_t *context, uint8_t mode);
void casemate_context_set_callback(casemate_context_t *context, bool callback);
int32_t casemate_context_set_protocols(casemate_context_t *context, const uint8_t *list, size_t length);
int32_t casemate_context_prepare(casemate_context_t *context, bool named);
int32_t casemate_context_load_key(casemate_context_t *context, const uint8_t *key, size_t key_length, const uint8_t *certificate, size_t certificate_length);
int32_t casemate_context_load_held_key(casemate_context_t *context, const uint8_t *public, size_t public_length, const uint8_t *certificate, size_t certificate_length);
int32_t casemate_context_add_anchors(casemate_context_t *context, const uint8_t *data, size_t length);
int32_t casemate_context_set_suites(casemate_context_t *context, const uint8_t *numbers, size_t length);
uint16_t casemate_suite(size_t index);
int32_t casemate_session_new(const casemate_context_t *context, const uint8_t *name, size_t length, casemate_session_t **session);
void casemate_session_free(casemate_session_t *session);
int32_t casemate_session_step(casemate_session_t *session);
int32_t casemate_session_input(casemate_session_t *session, uint8_t **room, size_t *length);
void casemate_session_filled(casemate_session_t *session, size_t count);
int32_t casemate_session_end_of_input(casemate_session_t *session);
void casemate_session_output(casemate_session_t *session, const uint8_t **output, size_t *length);
void casemate_session_sent(casemate_session_t *session, size_t count);
bool casemate_session_readable(casemate_session_t *session);
int32_t casemate_session_read(casemate_session_t *session, uint8_t *target, size_t length, size_t *count);
void casemate_session_shrink(casemate_session_t *session);
void casemate_session_protocol(casemate_session_t *session, const uint8_t **protocol, size_t *length);
bool casemate_session_resumed(casemate_session_t *session);
int32_t casemate_session_write(casemate_session_t *session, const uint8_t *data, size_t length);
void casemate_session_close(casemate_session_t *session);
void casemate_session_peer_certificate(casemate_session_t *session, const uint8_t **certificate, size_t *length);
uint32_t casemate_session_agreed(casemate_session_t *session);
const uint8_t *casemate_failure_text(int32_t number, size_t *length);

// The client of a server (feature "hsm"). It lives in memory of C's, aligned to 8; what takes one must not be called again
// before it has returned.
typedef struct casemate_hsm casemate_hsm_t;
// What micropython/rust/src/hsm/mod.rs says of each.
enum {
    CASEMATE_HSM_INIT = 1,
    CASEMATE_HSM_INFO,
    CASEMATE_HSM_CLOSE,
    CASEMATE_HSM_RANDOM,
    CASEMATE_HSM_ECHO,
    CASEMATE_HSM_LOGIN,
    CASEMATE_HSM_LOGOUT,
    CASEMATE_HSM_KEY_IMPORT = 10,
    CASEMATE_HSM_KEY_RANDOM,
    CASEMATE_HSM_KEY_PAIR,
    CASEMATE_HSM_KEY_EVICT,
    CASEMATE_HSM_KEY_COMMIT,
    CASEMATE_HSM_KEY_ERASE,
    CASEMATE_HSM_KEY_REVOKE,
    CASEMATE_HSM_KEY_EXPORT,
    CASEMATE_HSM_KEY_EXPORT_PUBLIC,
    CASEMATE_HSM_AES_ECB = 20,
    CASEMATE_HSM_AES_CBC,
    CASEMATE_HSM_AES_CTR,
    CASEMATE_HSM_AES_GCM_ENCRYPT,
    CASEMATE_HSM_AES_GCM_DECRYPT,
    CASEMATE_HSM_CMAC,
    CASEMATE_HSM_CMAC_UPDATE,
    CASEMATE_HSM_CMAC_FINISH,
    CASEMATE_HSM_ECDSA_SIGN = 30,
    CASEMATE_HSM_ECDSA_VERIFY,
    CASEMATE_HSM_ED25519_SIGN,
    CASEMATE_HSM_ED25519_VERIFY,
    CASEMATE_HSM_RSA,
    CASEMATE_HSM_ECDH,
    CASEMATE_HSM_X25519,
    CASEMATE_HSM_COUNTER_INIT = 40,
    CASEMATE_HSM_COUNTER_INCREMENT,
    CASEMATE_HSM_COUNTER_READ,
    CASEMATE_HSM_COUNTER_DESTROY,
    CASEMATE_HSM_NVM_NEXT = 50,
    CASEMATE_HSM_NVM_METADATA,
    CASEMATE_HSM_NVM_READ,
    CASEMATE_HSM_NVM_ADD,
    CASEMATE_HSM_NVM_DESTROY,
};
// Kinds of key pairs.
enum {
    CASEMATE_KEY_P256 = 1,
    CASEMATE_KEY_P384,
    CASEMATE_KEY_P521,
    CASEMATE_KEY_ED25519,
    CASEMATE_KEY_RSA,
    CASEMATE_KEY_X25519,
};
// Why a call has no outcome; negative numbers are the server's.
#define CASEMATE_HSM_MORE     1
#define CASEMATE_HSM_ARGUMENT 2
#define CASEMATE_HSM_TOO_LONG 3
#define CASEMATE_HSM_LOST     4
#define CASEMATE_HSM_CTR_STATE_SIZE 33
#define CASEMATE_HSM_CMAC_STATE_SIZE 40
typedef struct {
    uint8_t operation;
    uint16_t id;
    uint32_t number;
    casemate_bytes_t input, extra;
    uint8_t *state;
    size_t state_length;
    uint8_t *output;
    size_t room;
    size_t length; // of the outcome
    uint32_t value; // the outcome's number
} casemate_hsm_call_t;
typedef struct {
    uint8_t kind;
    uint8_t hash; // CASEMATE_HASH_*, or 0
    uint16_t bits;
    bool pss;
    bool prehashed;
} casemate_hsm_scheme_t;
size_t casemate_hsm_size(size_t data_length);
void casemate_hsm_start(casemate_hsm_t *memory, size_t data_length);
int32_t casemate_hsm_call(casemate_hsm_t *hsm, casemate_hsm_call_t *call);
void casemate_hsm_output(casemate_hsm_t *hsm, const uint8_t **output, size_t *length);
void casemate_hsm_sent(casemate_hsm_t *hsm, size_t count);
void casemate_hsm_input(casemate_hsm_t *hsm, uint8_t **room, size_t *length);
void casemate_hsm_filled(casemate_hsm_t *hsm, size_t count);
void casemate_hsm_abandon(casemate_hsm_t *hsm, bool lost);
size_t casemate_hsm_piece(casemate_hsm_t *hsm);
uint32_t casemate_hsm_kind(const uint8_t *key, size_t length);
int32_t casemate_hsm_encode(casemate_hsm_scheme_t scheme, casemate_bytes_t message, uint8_t *output, size_t room, size_t *length);
int32_t casemate_hsm_check(casemate_hsm_scheme_t scheme, casemate_bytes_t message, uint8_t *block, size_t length);
const uint8_t *casemate_hsm_text(int32_t number, size_t *length);

// What a port supplies to the library (micropython/casemate/ports/*/port.c).
int32_t casemate_port_random(uint8_t *output, size_t length);
// Seconds since 1970, for TLS only.
uint64_t casemate_port_time(void);
// Milliseconds since any moment, for the timeouts of the module casemate; it wraps.
uint32_t casemate_port_milliseconds(void);
// The addresses of the AES and the hash processor, and functions that switch their clocks on; nothing else uses them
// (features "stm32_crypto" and "stm32_hash").
extern const uintptr_t casemate_port_aes;
extern const uintptr_t casemate_port_hash;
void casemate_port_aes_on(void);
void casemate_port_hash_on(void);

// What the C part supplies to the library: common.c, and for TLS heap.c and modwolfssl.c.
void casemate_port_panic(const uint8_t *file, size_t length, uint32_t line) __attribute__((noreturn));
uint8_t *casemate_port_allocate(size_t size, size_t alignment);
void casemate_port_free(uint8_t *memory);
void casemate_port_memory_is_shared(void);
int32_t casemate_port_ask(const uint8_t *certificate, size_t length, size_t depth);
size_t casemate_port_sign(const uint8_t *data, size_t length, uint8_t *signature, size_t room);

#endif
