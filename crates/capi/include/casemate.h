/* casemate.h: the HSM client for C programs (C99 and C++). The guide is docs/c-api.md.
 *
 * Made from the source of crates/capi; do not edit: CASEMATE_WRITE_HEADER=1 cargo test -p casemate-capi header
 *
 * Every call returns a casemate_status: CASEMATE_OK, or what went wrong; casemate_status_text tells it in words. A
 * length that is a pointer (size_t *) says before the call how many bytes there is room for, and afterwards how many
 * there are; with CASEMATE_BUFFER_TOO_SMALL, how many there would be. Other lengths say exactly how many there are. A
 * pointer may be null where its length is 0, and where that is said.
 *
 * A client, a hash and an HMAC are for one thread at a time; several of them are independent of each other. None may be
 * copied or moved while it is in use.
 *
 * Licence: MIT OR Apache-2.0.
 */
#ifndef CASEMATE_H
#define CASEMATE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ----- Version ----- */

/* The major number counts changes that break programs, the minor one additions. */
#define CASEMATE_API_VERSION_MAJOR 0
#define CASEMATE_API_VERSION_MINOR 1
#define CASEMATE_API_VERSION ((CASEMATE_API_VERSION_MAJOR << 16) | CASEMATE_API_VERSION_MINOR)

/* ----- Status ----- */

/** How a call ended: 0 for success, positive numbers for no failure, negative ones for failures. */
typedef int32_t casemate_status;

/* Of this library. */
enum {
    /* Success. */
    CASEMATE_OK = 0,
    /* The response has not come yet: make the same call again. */
    CASEMATE_PENDING = 1,
    /* There is nothing more. */
    CASEMATE_END = 2,
    /* An argument is wrong: a null pointer, a length, an overlap, an unknown number. */
    CASEMATE_BAD_ARGUMENT = -3001,
    /* The client or the state was not made, or has been released. */
    CASEMATE_NOT_OPEN = -3002,
    /* The client is open; release it first. */
    CASEMATE_ALREADY_OPEN = -3003,
    /* Another call with this client has not returned: one thread at a time. */
    CASEMATE_BUSY = -3004,
    /* Another call is pending: make that one again, or abandon it. */
    CASEMATE_OTHER_CALL = -3005,
    /* The call takes several requests, which a client that does not block cannot make. */
    CASEMATE_SEVERAL_REQUESTS = -3006,
    /* The request or its response does not fit a packet. */
    CASEMATE_TOO_LONG = -3007,
    /* The buffer for the outcome is too small; its length was set to what it takes. */
    CASEMATE_BUFFER_TOO_SMALL = -3008,
    /* No response came within the timeout. */
    CASEMATE_TIMEOUT = -3009,
    /* The transport would have to wait. */
    CASEMATE_NOT_READY = -3010,
    /* The connection is closed; release the client and open it again. */
    CASEMATE_CLOSED = -3011,
    /* The transport failed. */
    CASEMATE_TRANSPORT_FAILED = -3012,
    /* A packet is shorter than its header or longer than its buffer. */
    CASEMATE_BAD_PACKET = -3013,
    /* The response breaks the protocol. */
    CASEMATE_PROTOCOL = -3014,
    /* The server refuses the request without a status, or does not know it. */
    CASEMATE_REFUSED = -3015,
    /* The message authentication code does not match: reject the data. */
    CASEMATE_MAC_MISMATCH = -3016,
    /* The signature is not valid: reject the data. */
    CASEMATE_SIGNATURE_INVALID = -3017,
    /* There is no connection to the server. */
    CASEMATE_CONNECT_FAILED = -3018,
    /* Client and server share no memory, or not so much. */
    CASEMATE_NO_SHARED_MEMORY = -3019,
    /* A fault of the library. */
    CASEMATE_INTERNAL = -3020,
    /* The memory for the client is too small for this library: header and library differ. */
    CASEMATE_WRONG_SIZE = -3021
};

/* Of the server, as they cross the wire. It may send others. */
enum {
    /* An argument or a length is wrong. */
    CASEMATE_SERVER_BAD_ARGUMENTS = -2000,
    /* Nothing to receive yet, or the peer cannot take more. */
    CASEMATE_SERVER_NOT_READY = -2001,
    /* The exchange failed: wrong size, wrong kind, lost connection. */
    CASEMATE_SERVER_ABORTED = -2002,
    /* A certificate chain does not verify. */
    CASEMATE_SERVER_CERTIFICATE_VERIFICATION = -2005,
    /* A buffer is too small. */
    CASEMATE_SERVER_BUFFER_SIZE = -2006,
    /* No handler is registered for the request. */
    CASEMATE_SERVER_NO_HANDLER = -2007,
    /* The server does not offer the operation. */
    CASEMATE_SERVER_NOT_IMPLEMENTED = -2008,
    /* The key's usage flags forbid the operation. */
    CASEMATE_SERVER_USAGE = -2009,
    /* No response came in time. */
    CASEMATE_SERVER_TIMEOUT = -2010,
    /* The previous request has not been answered yet. */
    CASEMATE_SERVER_REQUEST_PENDING = -2011,
    /* The flash range is locked. */
    CASEMATE_SERVER_LOCKED = -2100,
    /* A policy forbids the operation on this object. */
    CASEMATE_SERVER_ACCESS = -2101,
    /* Data read back differs from what was written, or a checksum is wrong. */
    CASEMATE_SERVER_NOT_VERIFIED = -2102,
    /* Flash to be programmed is not erased. */
    CASEMATE_SERVER_NOT_BLANK = -2103,
    /* No such object or key. */
    CASEMATE_SERVER_NOT_FOUND = -2104,
    /* The store or the key cache is full. */
    CASEMATE_SERVER_NO_SPACE = -2105,
    /* SHE: commands out of sequence. */
    CASEMATE_SERVER_SHE_SEQUENCE_ERROR = -2200,
    /* SHE: the key is locked or may not be used so. */
    CASEMATE_SERVER_SHE_KEY_NOT_AVAILABLE = -2201,
    /* SHE: the key may not be used for this. */
    CASEMATE_SERVER_SHE_KEY_INVALID = -2202,
    /* SHE: the key slot is empty. */
    CASEMATE_SERVER_SHE_KEY_EMPTY = -2203,
    /* SHE: secure boot is not configured. */
    CASEMATE_SERVER_SHE_NO_SECURE_BOOT = -2204,
    /* SHE: the key is write-protected. */
    CASEMATE_SERVER_SHE_WRITE_PROTECTED = -2205,
    /* SHE: the key update messages do not verify. */
    CASEMATE_SERVER_SHE_KEY_UPDATE_ERROR = -2206,
    /* SHE: the random generator is not seeded. */
    CASEMATE_SERVER_SHE_RNG_SEED = -2207,
    /* SHE: debugging is not allowed. */
    CASEMATE_SERVER_SHE_NO_DEBUGGING = -2208,
    /* SHE: another command is running. */
    CASEMATE_SERVER_SHE_BUSY = -2209,
    /* SHE: memory failed. */
    CASEMATE_SERVER_SHE_MEMORY_FAILURE = -2210,
    /* SHE: any other failure. */
    CASEMATE_SERVER_SHE_GENERAL_ERROR = -2211,
    /* The login was refused. */
    CASEMATE_SERVER_AUTH_LOGIN_FAILED = -2300,
    /* The logged-in user may not do this. */
    CASEMATE_SERVER_AUTH_PERMISSION = -2301,
    /* The server has no users. */
    CASEMATE_SERVER_AUTH_NOT_ENABLED = -2302,
    /* A number in a signature is zero. */
    CASEMATE_SERVER_NUMBER_ZERO = -121,
    /* The stateful signature key has no signatures left. */
    CASEMATE_SERVER_KEY_EXHAUSTED = -123,
    /* An RSA buffer is too small or the input too large. */
    CASEMATE_SERVER_RSA_BUFFER = -131,
    /* A buffer has the wrong size. */
    CASEMATE_SERVER_BUFFER = -132,
    /* The public key is missing or wrong. */
    CASEMATE_SERVER_PUBLIC_KEY = -134,
    /* The encoded key cannot be parsed. */
    CASEMATE_SERVER_ASN_PARSE = -140,
    /* The encoded key names an unknown object identifier. */
    CASEMATE_SERVER_ASN_OBJECT_ID = -144,
    /* An elliptic-curve argument is wrong. */
    CASEMATE_SERVER_ECC_ARGUMENT = -170,
    /* The elliptic-curve key or signature is malformed. */
    CASEMATE_SERVER_ASN_ECC_KEY = -171,
    /* The elliptic curve is not supported. */
    CASEMATE_SERVER_ECC_CURVE = -172,
    /* A cryptographic argument or length is wrong. */
    CASEMATE_SERVER_CRYPTO_ARGUMENT = -173,
    /* The server does not have this algorithm. */
    CASEMATE_SERVER_NOT_COMPILED_IN = -174,
    /* The GCM tag does not match. */
    CASEMATE_SERVER_AES_GCM_AUTHENTICATION = -180,
    /* The CCM tag does not match. */
    CASEMATE_SERVER_AES_CCM_AUTHENTICATION = -181,
    /* The operation's state does not allow this. */
    CASEMATE_SERVER_BAD_STATE = -192,
    /* The random generator failed. */
    CASEMATE_SERVER_RNG_FAILURE = -199,
    /* The RSA padding is wrong. */
    CASEMATE_SERVER_RSA_PADDING = -201,
    /* The MAC does not match. */
    CASEMATE_SERVER_MAC_COMPARE_FAILED = -213,
    /* The point is not on the curve. */
    CASEMATE_SERVER_POINT = -214,
    /* The elliptic-curve private key is wrong. */
    CASEMATE_SERVER_ECC_PRIVATE_KEY = -216,
    /* The public key is a point of small order. */
    CASEMATE_SERVER_ECC_OUT_OF_RANGE = -217,
    /* The signature does not verify. */
    CASEMATE_SERVER_SIGNATURE_VERIFICATION = -229,
    /* The hash is unknown here. */
    CASEMATE_SERVER_HASH_TYPE = -232,
    /* The key size is not allowed. */
    CASEMATE_SERVER_KEY_SIZE = -234,
    /* No random generator is configured. */
    CASEMATE_SERVER_MISSING_RNG = -236,
    /* The cryptographic hardware failed. */
    CASEMATE_SERVER_HARDWARE = -248,
    /* No driver offers the operation. */
    CASEMATE_SERVER_CRYPTO_CALLBACK_UNAVAILABLE = -271,
    /* The data or digest length is not allowed. */
    CASEMATE_SERVER_BAD_LENGTH = -279,
    /* The state of a stateful signature key could not be stored. */
    CASEMATE_SERVER_IO_FAILED = -291
};

/* ----- Identifiers, flags and choices ----- */

/** A key's identifier: its number in the low byte, 0 for none, and flags. */
typedef uint16_t casemate_key_id;
/** An object's identifier as the server stores it: a casemate_object_type in bits 15 to 12, the owner's client number
 *  (0 for all clients) in bits 11 to 8, the object's number in bits 7 to 0. Plain object 42 is 42. */
typedef uint16_t casemate_object_id;

/* Flags of keys and objects. */
#define CASEMATE_FLAG_NONMODIFIABLE 0x0001u /* may not be replaced or erased */
#define CASEMATE_FLAG_SENSITIVE 0x0002u /* holds a secret (informative) */
#define CASEMATE_FLAG_NONEXPORTABLE 0x0004u /* may not leave the server */
#define CASEMATE_FLAG_LOCAL 0x0008u /* was generated in the server (informative) */
#define CASEMATE_FLAG_ENCRYPT 0x0020u /* may encrypt */
#define CASEMATE_FLAG_DECRYPT 0x0040u /* may decrypt */
#define CASEMATE_FLAG_SIGN 0x0080u /* may sign or compute a MAC */
#define CASEMATE_FLAG_VERIFY 0x0100u /* may verify a signature or a MAC */
#define CASEMATE_FLAG_WRAP 0x0200u /* may wrap keys and data */
#define CASEMATE_FLAG_DERIVE 0x0400u /* may be derived from, or agree on a secret */
#define CASEMATE_FLAG_NONDESTROYABLE 0x0800u /* may not be erased */
#define CASEMATE_FLAG_ANY_USE 0x07E0u /* every use */

/* Flags in key identifiers, whose low byte is the key's number. */
#define CASEMATE_KEY_GLOBAL 0x0100u /* the key belongs to all clients */
#define CASEMATE_KEY_WRAPPED 0x0200u /* the key entered the cache wrapped */
#define CASEMATE_KEY_HARDWARE 0x0400u /* the key lives in a hardware key store */

/** Which way a cipher goes. */
typedef uint32_t casemate_direction;
enum {
    CASEMATE_DECRYPT = 0, /* ciphertext to plaintext */
    CASEMATE_ENCRYPT = 1 /* plaintext to ciphertext */
};

/** Which of the server's drivers shall compute. It never changes a result. */
typedef uint32_t casemate_affinity;
enum {
    CASEMATE_AFFINITY_HARDWARE = 0, /* the accelerated one, where there is one */
    CASEMATE_AFFINITY_SOFTWARE = 1 /* the portable one */
};

/** A hash. */
typedef uint32_t casemate_hash_algorithm;
enum {
    CASEMATE_SHA224 = 1, /* SHA-224, digest of 28 bytes */
    CASEMATE_SHA256 = 2, /* SHA-256, 32 bytes */
    CASEMATE_SHA384 = 3, /* SHA-384, 48 bytes */
    CASEMATE_SHA512 = 4, /* SHA-512, 64 bytes */
    CASEMATE_SHA512_224 = 5, /* SHA-512/224, 28 bytes */
    CASEMATE_SHA512_256 = 6, /* SHA-512/256, 32 bytes */
    CASEMATE_SHA3_224 = 7, /* SHA3-224, 28 bytes */
    CASEMATE_SHA3_256 = 8, /* SHA3-256, 32 bytes */
    CASEMATE_SHA3_384 = 9, /* SHA3-384, 48 bytes */
    CASEMATE_SHA3_512 = 10 /* SHA3-512, 64 bytes */
};

/** An elliptic curve. */
typedef uint32_t casemate_curve;
enum {
    CASEMATE_P224 = 1, /* NIST P-224 */
    CASEMATE_P256 = 2, /* NIST P-256 */
    CASEMATE_P384 = 3, /* NIST P-384 */
    CASEMATE_P521 = 4, /* NIST P-521 */
    CASEMATE_SECP256K1 = 5, /* secp256k1 */
    CASEMATE_BRAINPOOL_P256R1 = 6, /* brainpoolP256r1 */
    CASEMATE_BRAINPOOL_P384R1 = 7 /* brainpoolP384r1 */
};

/** A parameter set of ML-DSA (FIPS 204). */
typedef uint32_t casemate_ml_dsa;
enum {
    CASEMATE_ML_DSA_44 = 44, /* signature of 2420 bytes, public key of 1334 */
    CASEMATE_ML_DSA_65 = 65, /* signature of 3309 bytes, public key of 1974 */
    CASEMATE_ML_DSA_87 = 87 /* signature of 4627 bytes, public key of 2614 */
};

/** A parameter set of ML-KEM (FIPS 203). */
typedef uint32_t casemate_ml_kem;
enum {
    CASEMATE_ML_KEM_512 = 512, /* ciphertext of 768 bytes, public key of 800 */
    CASEMATE_ML_KEM_768 = 768, /* ciphertext of 1088 bytes, public key of 1184 */
    CASEMATE_ML_KEM_1024 = 1024 /* ciphertext of 1568 bytes, public key of 1568 */
};

/** What ML-DSA signs: the message, or its digest by a hash (HashML-DSA). Numbers of casemate_hash_algorithm serve
 *  too. */
typedef uint32_t casemate_prehash;
enum {
    CASEMATE_PREHASH_NONE = 0, /* the message itself */
    CASEMATE_PREHASH_SHA224 = 1, /* its SHA-224 */
    CASEMATE_PREHASH_SHA256 = 2, /* its SHA-256 */
    CASEMATE_PREHASH_SHA384 = 3, /* its SHA-384 */
    CASEMATE_PREHASH_SHA512 = 4, /* its SHA-512 */
    CASEMATE_PREHASH_SHA512_224 = 5, /* its SHA-512/224 */
    CASEMATE_PREHASH_SHA512_256 = 6, /* its SHA-512/256 */
    CASEMATE_PREHASH_SHA3_224 = 7, /* its SHA3-224 */
    CASEMATE_PREHASH_SHA3_256 = 8, /* its SHA3-256 */
    CASEMATE_PREHASH_SHA3_384 = 9, /* its SHA3-384 */
    CASEMATE_PREHASH_SHA3_512 = 10, /* its SHA3-512 */
    CASEMATE_PREHASH_SHAKE128 = 18, /* 32 bytes of its SHAKE128 */
    CASEMATE_PREHASH_SHAKE256 = 19 /* 64 bytes of its SHAKE256 */
};

/** The variants of Ed25519 (RFC 8032). */
typedef uint32_t casemate_ed25519_mode;
enum {
    CASEMATE_ED25519_PURE = 0, /* Ed25519; no context */
    CASEMATE_ED25519_CONTEXT = 1, /* Ed25519ctx, with a context of at most 255 bytes */
    CASEMATE_ED25519_PREHASHED = 2 /* Ed25519ph, with a context or none; the message is the SHA-512 digest */
};

/** The order of a secret's bytes. */
typedef uint32_t casemate_endianness;
enum {
    CASEMATE_LITTLE_ENDIAN = 0, /* the order of RFC 7748 */
    CASEMATE_BIG_ENDIAN = 1 /* the reverse */
};

/** What RSA does with a number below the modulus. */
typedef uint32_t casemate_rsa_operation;
enum {
    CASEMATE_RSA_PUBLIC_ENCRYPT = 0, /* public exponent, to encrypt */
    CASEMATE_RSA_PUBLIC_DECRYPT = 1, /* public exponent, to verify */
    CASEMATE_RSA_PRIVATE_ENCRYPT = 2, /* private exponent, to sign */
    CASEMATE_RSA_PRIVATE_DECRYPT = 3 /* private exponent, to decrypt */
};

/** Which algorithm a stored key is for. */
typedef uint32_t casemate_key_algorithm;
enum {
    CASEMATE_KEY_RSA = 1, /* RSA */
    CASEMATE_KEY_EC = 2, /* an elliptic curve */
    CASEMATE_KEY_X25519 = 3, /* X25519 */
    CASEMATE_KEY_ED25519 = 4, /* Ed25519 */
    CASEMATE_KEY_ML_DSA = 5, /* ML-DSA */
    CASEMATE_KEY_ML_KEM = 6, /* ML-KEM */
    CASEMATE_KEY_LMS = 7, /* LMS and HSS */
    CASEMATE_KEY_XMSS = 8 /* XMSS and XMSS^MT */
};

/** The type of an object. */
typedef uint32_t casemate_object_type;
enum {
    CASEMATE_OBJECT_PLAIN = 0, /* a plain object */
    CASEMATE_OBJECT_KEY = 1, /* a key */
    CASEMATE_OBJECT_SHE = 2, /* a SHE key */
    CASEMATE_OBJECT_COUNTER = 3, /* a monotonic counter */
    CASEMATE_OBJECT_WRAPPED = 4 /* a key that entered the cache wrapped */
};

/** A family of stateful signatures. */
typedef uint32_t casemate_stateful;
enum {
    CASEMATE_LMS = 1, /* LMS and HSS */
    CASEMATE_XMSS = 2 /* XMSS and XMSS^MT */
};

/** How a user proves who it is. */
typedef uint32_t casemate_credential;
enum {
    CASEMATE_CREDENTIAL_NONE = 0, /* not at all: only for a user that cannot log in */
    CASEMATE_CREDENTIAL_PIN = 1, /* a PIN */
    CASEMATE_CREDENTIAL_CERTIFICATE = 2 /* a certificate in DER */
};

/** A family of key pairs. */
typedef uint32_t casemate_family;
enum {
    CASEMATE_FAMILY_RSA = 1, /* RSA; the parameter is the size in bits */
    CASEMATE_FAMILY_EC = 2, /* an elliptic curve; the parameter is a casemate_curve */
    CASEMATE_FAMILY_X25519 = 3, /* X25519 */
    CASEMATE_FAMILY_ED25519 = 4, /* Ed25519 */
    CASEMATE_FAMILY_ML_DSA = 5, /* ML-DSA; the parameter is a casemate_ml_dsa */
    CASEMATE_FAMILY_ML_KEM = 6 /* ML-KEM; the parameter is a casemate_ml_kem */
};

/* ----- Structures ----- */

/** What a key that is about to enter the server's cache shall be. */
typedef struct casemate_new_key {
    /** Its identifier, with flags such as CASEMATE_KEY_GLOBAL; number 0 lets the server choose. */
    casemate_key_id id;
    /** What it may be used for, and how it is protected: CASEMATE_FLAG_... Without a usage flag it can do nothing. */
    uint16_t flags;
    /** Its label: text padded with zeros; casemate_label_set fills it. */
    uint8_t label[24];
} casemate_new_key;

/** What is known of an object besides its data. */
typedef struct casemate_metadata {
    /** Its identifier. */
    casemate_object_id id;
    /** Stored and returned, never checked; 0xFFFF by custom. */
    uint16_t access;
    /** CASEMATE_FLAG_... */
    uint16_t flags;
    /** Length of the data in bytes; ignored where the data is passed along. */
    uint16_t length;
    /** Label: text padded with zeros. */
    uint8_t label[24];
} casemate_metadata;

/** The server's configuration. */
typedef struct casemate_info {
    /** Largest payload of a packet in bytes. */
    uint32_t data_length;
    /** Objects that the store can hold. */
    uint32_t nvm_object_count;
    /** Small slots of a key cache. */
    uint32_t cache_slots;
    /** Size of a small slot in bytes. */
    uint32_t cache_slot_size;
    /** Big slots of a key cache. */
    uint32_t big_cache_slots;
    /** Size of a big slot in bytes. */
    uint32_t big_cache_slot_size;
    /** Custom callbacks. */
    uint32_t custom_callbacks;
    /** Entries of a DMA address list. */
    uint32_t dma_addresses;
    /** Debug state. */
    uint32_t debug_state;
    /** Boot state. */
    uint32_t boot_state;
    /** Life-cycle state. */
    uint32_t lifecycle_state;
    /** State of the object store. */
    uint32_t nvm_state;
    /** Protocol version, a text that ends with a zero. */
    char version[12];
    /** Build, a text that ends with a zero. */
    char build[12];
} casemate_info;

/** Space in the server's object store. */
typedef struct casemate_available {
    /** Free bytes. */
    uint32_t free_size;
    /** Bytes that casemate_nvm_compact would free. */
    uint32_t reclaimable_size;
    /** Objects that can still be stored. */
    uint16_t free_objects;
    /** Objects that could be stored in addition after casemate_nvm_compact. */
    uint16_t reclaimable_objects;
} casemate_available;

/** Where an AES-CTR stream stands. To begin: the first counter block, and zeros. Wipe it after use. */
typedef struct casemate_ctr {
    /** The next counter block, which counts up as one big-endian number. */
    uint8_t counter[16];
    /** The keystream of the last block. */
    uint8_t keystream[16];
    /** How many bytes at the end of the keystream are unused, at most 16. */
    uint32_t unused;
} casemate_ctr;

/** A CMAC under way. All zeros to begin. Wipe it after use. */
typedef struct casemate_cmac_state {
    /** Bytes not absorbed yet. */
    uint8_t buffer[16];
    /** Running value. */
    uint8_t digest[16];
    /** How many bytes of the buffer count, at most 16. */
    uint32_t buffered;
    /** Bytes absorbed. */
    uint32_t total;
} casemate_cmac_state;

/** What a user may do, as the server keeps it; casemate_permissions_... write it. */
typedef struct casemate_permissions {
    /** The block. */
    uint8_t bytes[473];
} casemate_permissions;

/** The messages that load a SHE key. */
typedef struct casemate_she_load {
    /** M1. */
    uint8_t m1[16];
    /** M2. */
    uint8_t m2[32];
    /** M3. */
    uint8_t m3[16];
} casemate_she_load;

/** The server's proof that it took a SHE key. */
typedef struct casemate_she_proof {
    /** M4. */
    uint8_t m4[32];
    /** M5. */
    uint8_t m5[16];
} casemate_she_proof;

/** That the public key of a chain's leaf is to be cached, and how. */
typedef struct casemate_leaf_key {
    /** Where; number 0 lets the server choose. */
    casemate_key_id id;
    /** Flags of the key. */
    uint16_t flags;
} casemate_leaf_key;

/** A range of memory that client and server share, as a message names it. */
typedef struct casemate_dma_buffer {
    /** Where it begins: what the number means is an agreement between client and server. */
    uint64_t address;
    /** Its length in bytes. */
    uint64_t size;
} casemate_dma_buffer;

/** What a custom callback gets or answers. Types below 8 are: 0 a query, 1 four 32-bit numbers, 2 four 64-bit
 *  numbers (client address, client size, server address, server size, in this machine's byte order), the others
 *  nothing; from 8 on the data is the callback's own affair. */
typedef struct casemate_custom_message {
    /** The type. */
    uint32_t type;
    /** Zero. */
    uint32_t reserved;
    /** The data. */
    uint8_t data[256];
} casemate_custom_message;

/** A kind of key pair; casemate_pair_... make one. */
typedef struct casemate_pair {
    /** CASEMATE_FAMILY_... */
    uint32_t family;
    /** The curve, the parameter set, or the size of an RSA modulus in bits. */
    uint32_t parameter;
    /** The public exponent of RSA, else 0. */
    uint32_t exponent;
} casemate_pair;

/* A compiler that lays the structures out otherwise cannot use this library. */
#define CASEMATE_CHECK(name, condition) typedef char casemate_check_##name[(condition) ? 1 : -1]
CASEMATE_CHECK(new_key, sizeof(casemate_new_key) == 28);
CASEMATE_CHECK(new_key_id, offsetof(casemate_new_key, id) == 0);
CASEMATE_CHECK(new_key_flags, offsetof(casemate_new_key, flags) == 2);
CASEMATE_CHECK(new_key_label, offsetof(casemate_new_key, label) == 4);
CASEMATE_CHECK(metadata, sizeof(casemate_metadata) == 32);
CASEMATE_CHECK(metadata_id, offsetof(casemate_metadata, id) == 0);
CASEMATE_CHECK(metadata_access, offsetof(casemate_metadata, access) == 2);
CASEMATE_CHECK(metadata_flags, offsetof(casemate_metadata, flags) == 4);
CASEMATE_CHECK(metadata_length, offsetof(casemate_metadata, length) == 6);
CASEMATE_CHECK(metadata_label, offsetof(casemate_metadata, label) == 8);
CASEMATE_CHECK(info, sizeof(casemate_info) == 72);
CASEMATE_CHECK(info_data_length, offsetof(casemate_info, data_length) == 0);
CASEMATE_CHECK(info_nvm_object_count, offsetof(casemate_info, nvm_object_count) == 4);
CASEMATE_CHECK(info_cache_slots, offsetof(casemate_info, cache_slots) == 8);
CASEMATE_CHECK(info_cache_slot_size, offsetof(casemate_info, cache_slot_size) == 12);
CASEMATE_CHECK(info_big_cache_slots, offsetof(casemate_info, big_cache_slots) == 16);
CASEMATE_CHECK(info_big_cache_slot_size, offsetof(casemate_info, big_cache_slot_size) == 20);
CASEMATE_CHECK(info_custom_callbacks, offsetof(casemate_info, custom_callbacks) == 24);
CASEMATE_CHECK(info_dma_addresses, offsetof(casemate_info, dma_addresses) == 28);
CASEMATE_CHECK(info_debug_state, offsetof(casemate_info, debug_state) == 32);
CASEMATE_CHECK(info_boot_state, offsetof(casemate_info, boot_state) == 36);
CASEMATE_CHECK(info_lifecycle_state, offsetof(casemate_info, lifecycle_state) == 40);
CASEMATE_CHECK(info_nvm_state, offsetof(casemate_info, nvm_state) == 44);
CASEMATE_CHECK(info_version, offsetof(casemate_info, version) == 48);
CASEMATE_CHECK(info_build, offsetof(casemate_info, build) == 60);
CASEMATE_CHECK(available, sizeof(casemate_available) == 12);
CASEMATE_CHECK(available_free_size, offsetof(casemate_available, free_size) == 0);
CASEMATE_CHECK(available_reclaimable_size, offsetof(casemate_available, reclaimable_size) == 4);
CASEMATE_CHECK(available_free_objects, offsetof(casemate_available, free_objects) == 8);
CASEMATE_CHECK(available_reclaimable_objects, offsetof(casemate_available, reclaimable_objects) == 10);
CASEMATE_CHECK(ctr, sizeof(casemate_ctr) == 36);
CASEMATE_CHECK(ctr_counter, offsetof(casemate_ctr, counter) == 0);
CASEMATE_CHECK(ctr_keystream, offsetof(casemate_ctr, keystream) == 16);
CASEMATE_CHECK(ctr_unused, offsetof(casemate_ctr, unused) == 32);
CASEMATE_CHECK(cmac_state, sizeof(casemate_cmac_state) == 40);
CASEMATE_CHECK(cmac_state_buffer, offsetof(casemate_cmac_state, buffer) == 0);
CASEMATE_CHECK(cmac_state_digest, offsetof(casemate_cmac_state, digest) == 16);
CASEMATE_CHECK(cmac_state_buffered, offsetof(casemate_cmac_state, buffered) == 32);
CASEMATE_CHECK(cmac_state_total, offsetof(casemate_cmac_state, total) == 36);
CASEMATE_CHECK(permissions, sizeof(casemate_permissions) == 473);
CASEMATE_CHECK(permissions_bytes, offsetof(casemate_permissions, bytes) == 0);
CASEMATE_CHECK(she_load, sizeof(casemate_she_load) == 64);
CASEMATE_CHECK(she_load_m1, offsetof(casemate_she_load, m1) == 0);
CASEMATE_CHECK(she_load_m2, offsetof(casemate_she_load, m2) == 16);
CASEMATE_CHECK(she_load_m3, offsetof(casemate_she_load, m3) == 48);
CASEMATE_CHECK(she_proof, sizeof(casemate_she_proof) == 48);
CASEMATE_CHECK(she_proof_m4, offsetof(casemate_she_proof, m4) == 0);
CASEMATE_CHECK(she_proof_m5, offsetof(casemate_she_proof, m5) == 32);
CASEMATE_CHECK(leaf_key, sizeof(casemate_leaf_key) == 4);
CASEMATE_CHECK(leaf_key_id, offsetof(casemate_leaf_key, id) == 0);
CASEMATE_CHECK(leaf_key_flags, offsetof(casemate_leaf_key, flags) == 2);
CASEMATE_CHECK(dma_buffer, sizeof(casemate_dma_buffer) == 16);
CASEMATE_CHECK(dma_buffer_address, offsetof(casemate_dma_buffer, address) == 0);
CASEMATE_CHECK(dma_buffer_size, offsetof(casemate_dma_buffer, size) == 8);
CASEMATE_CHECK(custom_message, sizeof(casemate_custom_message) == 264);
CASEMATE_CHECK(custom_message_type, offsetof(casemate_custom_message, type) == 0);
CASEMATE_CHECK(custom_message_reserved, offsetof(casemate_custom_message, reserved) == 4);
CASEMATE_CHECK(custom_message_data, offsetof(casemate_custom_message, data) == 8);
CASEMATE_CHECK(pair, sizeof(casemate_pair) == 12);
CASEMATE_CHECK(pair_family, offsetof(casemate_pair, family) == 0);
CASEMATE_CHECK(pair_parameter, offsetof(casemate_pair, parameter) == 4);
CASEMATE_CHECK(pair_exponent, offsetof(casemate_pair, exponent) == 8);
#undef CASEMATE_CHECK

/* ----- Memory ----- */

/* A packet data length in bytes that suits all messages but those of ML-DSA and large RSA and ML-KEM keys. */
#define CASEMATE_DEFAULT_DATA_LENGTH 1280
/* Size of a packet buffer for a packet data length, in bytes. */
#define CASEMATE_PACKET_SIZE(data_length) ((data_length) + 8)
/* The largest packet buffer that is of use, in bytes. */
#define CASEMATE_PACKET_SIZE_MAX CASEMATE_PACKET_SIZE(65000)

/** A client. Zeroed before it is opened; what it holds is the library's affair. */
#define CASEMATE_CLIENT_SIZE 512
typedef union casemate_client {
    uint64_t words[CASEMATE_CLIENT_SIZE / 8];
    unsigned char bytes[CASEMATE_CLIENT_SIZE];
} casemate_client;

/** A hash under way. */
#define CASEMATE_HASH_STATE_SIZE 448
typedef union casemate_hash_state {
    uint64_t words[CASEMATE_HASH_STATE_SIZE / 8];
    unsigned char bytes[CASEMATE_HASH_STATE_SIZE];
} casemate_hash_state;

/** An HMAC under way. */
#define CASEMATE_HMAC_STATE_SIZE 640
typedef union casemate_hmac_state {
    uint64_t words[CASEMATE_HMAC_STATE_SIZE / 8];
    unsigned char bytes[CASEMATE_HMAC_STATE_SIZE];
} casemate_hmac_state;

/* ----- Keys as arguments ----- */

/** A key that the server holds (id), or the bytes of one (bytes and length), which travel with each request. */
typedef struct casemate_key {
    const uint8_t *bytes;
    size_t length;
    casemate_key_id id;
} casemate_key;

/** The server's key `id`. */
static inline casemate_key casemate_key_named(casemate_key_id id)
{
    casemate_key key = { NULL, 0, 0 };
    key.id = id;
    return key;
}

/** A key of the caller's. Whoever sees the channel sees it. */
static inline casemate_key casemate_key_inline(const uint8_t *bytes, size_t length)
{
    casemate_key key = { NULL, 0, 0 };
    key.bytes = bytes;
    key.length = length;
    return key;
}

static inline casemate_pair casemate_pair_of(uint32_t family, uint32_t parameter, uint32_t exponent)
{
    casemate_pair pair = { 0, 0, 0 };
    pair.family = family;
    pair.parameter = parameter;
    pair.exponent = exponent;
    return pair;
}

/** RSA keys with the exponent 65537. */
static inline casemate_pair casemate_pair_rsa(uint32_t bits)
{
    return casemate_pair_of(CASEMATE_FAMILY_RSA, bits, 65537);
}

/** Keys on an elliptic curve. */
static inline casemate_pair casemate_pair_ec(casemate_curve curve)
{
    return casemate_pair_of(CASEMATE_FAMILY_EC, curve, 0);
}

/** X25519 keys. */
static inline casemate_pair casemate_pair_x25519(void)
{
    return casemate_pair_of(CASEMATE_FAMILY_X25519, 0, 0);
}

/** Ed25519 keys. */
static inline casemate_pair casemate_pair_ed25519(void)
{
    return casemate_pair_of(CASEMATE_FAMILY_ED25519, 0, 0);
}

/** ML-DSA keys. */
static inline casemate_pair casemate_pair_ml_dsa(casemate_ml_dsa parameters)
{
    return casemate_pair_of(CASEMATE_FAMILY_ML_DSA, parameters, 0);
}

/** ML-KEM keys. */
static inline casemate_pair casemate_pair_ml_kem(casemate_ml_kem parameters)
{
    return casemate_pair_of(CASEMATE_FAMILY_ML_KEM, parameters, 0);
}

/* ----- Transports ----- */

/** Files behind a tls:// address, in PEM, or one certificate or key in DER. Each name may be null, but not `trust`. */
typedef struct casemate_tls_files {
    /** The certificates to trust, of certificate authorities or the server's own. */
    const char *trust;
    /** The certificate to show, and after it those that lead to the server's trust; with `key`. */
    const char *certificate;
    /** The private key of `certificate`. */
    const char *key;
    /** The name in the server's certificate; null for the host of the address. */
    const char *server_name;
} casemate_tls_files;

/** What a client needs besides its transport. All zeros, or a null pointer instead, will do. */
typedef struct casemate_options {
    /** How long a request may take; 0 waits as long as it takes. */
    uint32_t timeout_milliseconds;
    /** Passed to `now` and `wait`. */
    void *context;
    /** Microseconds since any fixed moment, never less than before. Null: the operating system's clock, or none on a
     *  device, where no timeout expires then. */
    uint64_t (*now)(void *context);
    /** Called while nothing has come; returns when something may have, at the latest after so many microseconds.
     *  Null: a short sleep, or none on a device, which then asks again and again. */
    void (*wait)(void *context, uint32_t microseconds);
    /** For tls:// addresses, else null. */
    const casemate_tls_files *tls;
} casemate_options;

/** Functions that move whole packets. None of them waits, and none of them calls this library with the same client. */
typedef struct casemate_transport {
    /** Passed to each. */
    void *context;
    /** Takes over a packet. CASEMATE_OK; CASEMATE_NOT_READY if it has to be offered again; CASEMATE_CLOSED; any other
     *  status for a failure. */
    casemate_status (*send)(void *context, const uint8_t *packet, size_t length);
    /** Writes the next packet, of at most `*length` bytes, and its length. CASEMATE_NOT_READY if none has come. */
    casemate_status (*receive)(void *context, uint8_t *packet, size_t *length);
    /** Called when the client is released; may be null. */
    void (*close)(void *context);
} casemate_transport;

/** Functions that move bytes. `write` may wait until all bytes are out, the others do not. */
typedef struct casemate_stream {
    /** Passed to each. */
    void *context;
    /** Sends all of these bytes. */
    casemate_status (*write)(void *context, const uint8_t *bytes, size_t length);
    /** Writes what bytes have come, at most `*length`, and how many. CASEMATE_NOT_READY, or 0 bytes, if none. */
    casemate_status (*read)(void *context, uint8_t *bytes, size_t *length);
    /** Called when the client is released; may be null. */
    void (*close)(void *context);
} casemate_stream;

/* ----- The library, and sizes ----- */

/** The version of the library at run time: 65536 times the major number, plus the minor one, as
 *  CASEMATE_API_VERSION is that of the header. */
uint32_t casemate_api_version(void);

/** How many bytes a client takes in this library; at most CASEMATE_CLIENT_SIZE of the header that it came with. */
size_t casemate_client_size(void);

/** What a status means, in a sentence. Never null; the text stays. */
const char *casemate_status_text(casemate_status status);

/** The length of a hash's digest in bytes; 0 for a number that is no hash. */
size_t casemate_digest_size(casemate_hash_algorithm algorithm);

/** The length of a field element of a curve, and of an agreed secret, in bytes; 0 for a number that is no curve. */
size_t casemate_ec_field_size(casemate_curve curve);

/** The longest encoded ECDSA signature in bytes; 0 for a number that is no curve. */
size_t casemate_ecdsa_signature_size(casemate_curve curve);

/** The length of an ML-DSA signature in bytes; 0 for a number that is no parameter set. */
size_t casemate_ml_dsa_signature_size(casemate_ml_dsa parameters);

/** The length of an ML-KEM ciphertext in bytes; 0 for a number that is no parameter set. */
size_t casemate_ml_kem_ciphertext_size(casemate_ml_kem parameters);

/* ----- Opening a client ----- */

/** Opens a client over the caller's functions that move whole packets. No message is sent. `transport` is copied;
 *  its context, and the packet buffer, belong to the client until it is released. */
casemate_status casemate_open_transport(casemate_client *client, size_t client_size, void *packet,
    size_t packet_size, const casemate_options *options, const casemate_transport *transport);

/** Opens a client over the caller's functions that move bytes, such as a serial line's: the library puts a length in
 *  front of each packet. Otherwise as casemate_open_transport. */
casemate_status casemate_open_stream(casemate_client *client, size_t client_size, void *packet, size_t packet_size,
    const casemate_options *options, const casemate_stream *stream);

/** Opens a client over two blocks of memory that the server on another core or in another process uses too, each
 *  aligned to 4: the one for requests, then the one for responses. Both belong to the client until it is released. */
casemate_status casemate_open_memory(casemate_client *client, size_t client_size, void *packet, size_t packet_size,
    const casemate_options *options, void *request, size_t request_size, void *response, size_t response_size);

/** Opens a client at an address: tcp://HOST:PORT, unix:///PATH, shm://NAME or tls://HOST:PORT. Only in a library for
 *  an operating system (CASEMATE_CONNECT_FAILED in others), which allocates for the connection. The options' timeout
 *  also bounds connecting, 10 seconds without. After CASEMATE_CONNECT_FAILED, casemate_error_text says why, and the
 *  client is to be released. */
casemate_status casemate_open(casemate_client *client, size_t client_size, void *packet, size_t packet_size,
    const casemate_options *options, const char *address);

/** Ends the connection and wipes the client and its packet buffer. No message is sent: casemate_close does that. */
casemate_status casemate_release(casemate_client *client);

/* ----- The connection ----- */

/** Claims a client identifier, 1 to 15, for this connection. Keys and counters belong to the client that made them,
 *  so this comes first. `server_id`, which may be null, gets the server's identifier. */
casemate_status casemate_init(casemate_client *client, uint32_t client_id, uint32_t *server_id);

/** Ends the session. The server forgets the keys that this connection cached and did not commit. */
casemate_status casemate_close(casemate_client *client);

/** Has the server repeat some bytes, which go to `echoed`. */
casemate_status casemate_echo(casemate_client *client, const uint8_t *data, size_t length,
    uint8_t *echoed, size_t *echoed_length);

/** Asks for the server's configuration. */
casemate_status casemate_get_info(casemate_client *client, casemate_info *info);

/** Asks for the server's configuration, as casemate_get_info, and adopts its packet data length if it is smaller than
 *  this client's, so that no request exceeds what the server takes. `info` may be null. */
casemate_status casemate_learn_limits(casemate_client *client, casemate_info *info);

/** The packet data length in bytes: the packet buffer less 8, or what the server takes if that was learnt. */
casemate_status casemate_data_length(casemate_client *client, size_t *length);

/** How long a request may take; 0 waits as long as it takes. It needs a clock: the options' or the operating
 *  system's. */
casemate_status casemate_set_timeout(casemate_client *client, uint32_t milliseconds);

/** Which of the server's drivers shall compute, from the next request on. */
casemate_status casemate_set_affinity(casemate_client *client, casemate_affinity affinity);

/** Whether calls wait for their response. A new client's do. If not, a call sends its request and returns
 *  CASEMATE_PENDING; made again with the same arguments it asks for the response, and returns CASEMATE_PENDING until
 *  that has come. */
casemate_status casemate_set_blocking(casemate_client *client, int blocking);

/** Gives up the call that is pending, if there is one; its response will be discarded. */
casemate_status casemate_abandon(casemate_client *client);

/** Wipes what the last request or response left in the packet buffer, if it was a secret. Every call does so before
 *  it uses the buffer; this does it earlier. */
casemate_status casemate_wipe(casemate_client *client);

/** Writes to `text`, with a zero at its end, why the last call with this client failed, as far as there is room. */
casemate_status casemate_error_text(casemate_client *client, char *text, size_t size);

/* ----- Users ----- */

/** Logs in with a name of 1 to 31 bytes. `user`, which may be null, gets the user's number. */
casemate_status casemate_login(casemate_client *client, const char *name, casemate_credential kind,
    const uint8_t *proof, size_t proof_length, uint16_t *user);

/** Logs a user out: oneself, or as an administrator anybody. */
casemate_status casemate_logout(casemate_client *client, uint16_t user);

/** Adds a user. `user`, which may be null, gets its number. */
casemate_status casemate_user_add(casemate_client *client, const char *name, const casemate_permissions *permissions,
    casemate_credential kind, const uint8_t *proof, size_t proof_length, uint16_t *user);

/** Removes a user. */
casemate_status casemate_user_delete(casemate_client *client, uint16_t user);

/** Asks for a user's number and permissions; either pointer may be null. */
casemate_status casemate_user_get(casemate_client *client, const char *name, uint16_t *user,
    casemate_permissions *permissions);

/** Sets what a user may do. */
casemate_status casemate_user_set_permissions(casemate_client *client, uint16_t user,
    const casemate_permissions *permissions);

/** Sets a user's credential, or removes it if the new one is empty. `current` is the present one, empty for a user
 *  that has none. */
casemate_status casemate_user_set_credential(casemate_client *client, uint16_t user,
    const uint8_t *current, size_t current_length, casemate_credential kind,
    const uint8_t *proof, size_t proof_length);

/** Permissions that allow nothing. */
casemate_status casemate_permissions_none(casemate_permissions *permissions);

/** Permissions that allow everything, of an administrator. */
casemate_status casemate_permissions_all(casemate_permissions *permissions);

/** Allows all messages of a group, or forbids them. */
casemate_status casemate_permissions_set_group(casemate_permissions *permissions, uint8_t group, int allowed);

/** Allows one message of a group, or forbids it. */
casemate_status casemate_permissions_set_action(casemate_permissions *permissions, uint8_t group, uint8_t action,
    int allowed);

/** Makes the user an administrator, or not. */
casemate_status casemate_permissions_set_administrator(casemate_permissions *permissions, int yes);

/** Lists the keys that the user may use: at most 2. */
casemate_status casemate_permissions_set_keys(casemate_permissions *permissions, const uint32_t *keys, size_t count);

/* ----- Objects in non-volatile memory ----- */

/** Announces use of the store; no other call needs it. `client_nvm_id` is any number; `server_nvm_id` may be null. */
casemate_status casemate_nvm_init(casemate_client *client, uint32_t client_nvm_id, uint32_t *server_nvm_id);

/** Ends use of the store; has no effect. */
casemate_status casemate_nvm_cleanup(casemate_client *client);

/** Asks how much space is free, and how much compaction would free. */
casemate_status casemate_nvm_get_available(casemate_client *client, casemate_available *available);

/** Stores an object, or replaces the one of the same identifier. The length in `metadata` is ignored. Data and 32
 *  bytes fit a packet. */
casemate_status casemate_nvm_add(casemate_client *client, const casemate_metadata *metadata,
    const uint8_t *data, size_t length);

/** Writes the identifier of the object after `after` in directory order to `next`. Begin with 0. CASEMATE_END if
 *  there is none. */
casemate_status casemate_nvm_next(casemate_client *client, casemate_object_id after, uint16_t *next);

/** Asks for an object's metadata. */
casemate_status casemate_nvm_get_metadata(casemate_client *client, casemate_object_id id,
    casemate_metadata *metadata);

/** Reads a whole object, in as many requests as it takes: only with a client that blocks. */
casemate_status casemate_nvm_read(casemate_client *client, casemate_object_id id, uint8_t *data, size_t *length);

/** Reads exactly `length` bytes of an object from `offset` on. */
casemate_status casemate_nvm_read_at(casemate_client *client, casemate_object_id id, uint16_t offset,
    uint8_t *data, size_t length);

/** Destroys objects, 19 in one request; with a client that does not block at most 19. Those that do not exist are no
 *  error. */
casemate_status casemate_nvm_destroy(casemate_client *client, const uint16_t *ids, size_t count);

/** Frees the space of destroyed and replaced objects. */
casemate_status casemate_nvm_compact(casemate_client *client);

/* ----- Keys ----- */

/** Writes a text to a label of 24 bytes: its first 24 bytes, padded with zeros. */
casemate_status casemate_label_set(uint8_t label[24], const char *text);

/** Puts a key into the server's cache, replacing the key of the same identifier. The server forgets it at the end of
 *  the session unless it is committed. Key and 40 bytes fit a packet. */
casemate_status casemate_key_cache(casemate_client *client, const casemate_new_key *what,
    const uint8_t *key, size_t length, uint16_t *id);

/** Has the server put a random key of `length` bytes into its cache. */
casemate_status casemate_key_cache_random(casemate_client *client, const casemate_new_key *what, uint16_t length,
    uint16_t *id);

/** Drops a key from the cache. A committed key comes back when it is used. */
casemate_status casemate_key_evict(casemate_client *client, casemate_key_id id);

/** Stores a cached key in non-volatile memory, so that it outlives the session. */
casemate_status casemate_key_commit(casemate_client *client, casemate_key_id id);

/** Removes a key from cache and non-volatile memory. It is not an error if there is none. */
casemate_status casemate_key_erase(casemate_client *client, casemate_key_id id);

/** Takes all usage from a key, for good. */
casemate_status casemate_key_revoke(casemate_client *client, casemate_key_id id);

/** Reads a key that may leave the server. `label` may be null. */
casemate_status casemate_key_export(casemate_client *client, casemate_key_id id, uint8_t *key, size_t *length,
    uint8_t label[24]);

/** Reads the public half of a key: SubjectPublicKeyInfo for most algorithms. The server does not know which
 *  algorithm a key is for, so the caller says it. `label` may be null. */
casemate_status casemate_key_export_public(casemate_client *client, casemate_key_id id,
    casemate_key_algorithm algorithm, uint8_t *key, size_t *length, uint8_t label[24]);

/** Wraps a key of the caller's with the server's key `kek`; the blob is 60 bytes longer than the key. `metadata` says
 *  what the key shall be once it is unwrapped; its identifier is of the type CASEMATE_OBJECT_WRAPPED (0x4000 plus
 *  256 times the client plus a number), its length is ignored. */
casemate_status casemate_key_wrap(casemate_client *client, casemate_key_id kek, const casemate_metadata *metadata,
    const uint8_t *key, size_t length, uint8_t *blob, size_t *blob_length);

/** Wraps the server's key `id` with its trusted key `kek`. */
casemate_status casemate_key_wrap_export(casemate_client *client, casemate_key_id kek, casemate_key_id id,
    casemate_object_type kind, uint8_t *blob, size_t *blob_length);

/** Unwraps a key and returns it. `metadata` may be null. */
casemate_status casemate_key_unwrap_export(casemate_client *client, casemate_key_id kek,
    const uint8_t *blob, size_t blob_length, uint8_t *key, size_t *length, casemate_metadata *metadata);

/** Unwraps a key into the server's cache with the trusted key `kek`. */
casemate_status casemate_key_unwrap_cache(casemate_client *client, casemate_key_id kek,
    const uint8_t *blob, size_t blob_length, uint16_t *id);

/** Wraps data with the server's key `kek`; the blob is 28 bytes longer. Whoever may use `kek` can unwrap it. */
casemate_status casemate_data_wrap(casemate_client *client, casemate_key_id kek, const uint8_t *data, size_t length,
    uint8_t *blob, size_t *blob_length);

/** Unwraps data with the server's key `kek`. */
casemate_status casemate_data_unwrap(casemate_client *client, casemate_key_id kek,
    const uint8_t *blob, size_t blob_length, uint8_t *data, size_t *length);

/* ----- Monotonic counters ----- */

/** Creates counter `id`, 1 to 255, or sets it, even to less. `found`, which may be null, gets its value. */
casemate_status casemate_counter_init(casemate_client *client, uint8_t id, uint32_t value, uint32_t *found);

/** Adds one to a counter. At 4294967295 it stays there. `value`, which may be null, gets its new value. */
casemate_status casemate_counter_increment(casemate_client *client, uint8_t id, uint32_t *value);

/** Reads a counter. */
casemate_status casemate_counter_read(casemate_client *client, uint8_t id, uint32_t *value);

/** Removes a counter. It is not an error if there is none. */
casemate_status casemate_counter_destroy(casemate_client *client, uint8_t id);

/* ----- Random numbers and ciphers ----- */

/** Fills `bytes` with random numbers of the server's. */
casemate_status casemate_random(casemate_client *client, uint8_t *bytes, size_t length);

/** AES-ECB of whole blocks. Here and below `output` is `input` itself, or apart from it; after a failure a separate
 *  output holds zeros. Equal blocks give equal results: this is for single blocks and for building other modes. */
casemate_status casemate_aes_ecb(casemate_client *client, casemate_key key, casemate_direction direction,
    const uint8_t *input, uint8_t *output, size_t length);

/** AES-CBC of whole blocks; `iv` becomes the one for the data that follows. */
casemate_status casemate_aes_cbc(casemate_client *client, casemate_key key, casemate_direction direction,
    uint8_t iv[16], const uint8_t *input, uint8_t *output, size_t length);

/** AES-CTR of data of any length; encryption and decryption are the same. `stream` moves on. */
casemate_status casemate_aes_ctr(casemate_client *client, casemate_key key, casemate_ctr *stream,
    const uint8_t *input, uint8_t *output, size_t length);

/** AES-GCM encryption. `iv` has 12 bytes by custom; the same one must never serve twice with a key. The tag has 4 to
 *  16 bytes; servers may demand at least 12. Everything fits one packet. */
casemate_status casemate_aes_gcm_encrypt(casemate_client *client, casemate_key key,
    const uint8_t *iv, size_t iv_length, const uint8_t *aad, size_t aad_length,
    const uint8_t *input, uint8_t *output, size_t length, uint8_t *tag, size_t tag_length);

/** AES-GCM decryption. CASEMATE_SERVER_AES_GCM_AUTHENTICATION if the tag does not match; there is no output then. */
casemate_status casemate_aes_gcm_decrypt(casemate_client *client, casemate_key key,
    const uint8_t *iv, size_t iv_length, const uint8_t *aad, size_t aad_length,
    const uint8_t *input, uint8_t *output, size_t length, const uint8_t *tag, size_t tag_length);

/* ----- Hashes and message authentication ----- */

/** Hashes data in one call. With a client that does not block, data shorter than a block. */
casemate_status casemate_hash(casemate_client *client, casemate_hash_algorithm algorithm,
    const uint8_t *data, size_t length, uint8_t *digest, size_t *digest_length);

/** Begins a hash, in memory that may hold anything; end it with casemate_hash_end. */
casemate_status casemate_hash_begin(casemate_hash_state *hash, casemate_hash_algorithm algorithm);

/** Adds data to a hash. The server keeps nothing of it, so any number of hashes can be under way. */
casemate_status casemate_hash_update(casemate_client *client, casemate_hash_state *hash,
    const uint8_t *data, size_t length);

/** Gives the digest of the data so far. The hash can go on. */
casemate_status casemate_hash_finish(casemate_client *client, casemate_hash_state *hash,
    uint8_t *digest, size_t *digest_length);

/** Wipes a hash. It needs to begin anew then. */
casemate_status casemate_hash_end(casemate_hash_state *hash);

/** The AES-CMAC of data. `mac_length`, 4 to 16 bytes, says how long it shall be. The key may sign or verify. */
casemate_status casemate_cmac(casemate_client *client, casemate_key key, const uint8_t *data, size_t length,
    uint8_t *mac, size_t mac_length);

/** Checks an AES-CMAC of 4 to 16 bytes: CASEMATE_MAC_MISMATCH if it is not that of the data. */
casemate_status casemate_cmac_verify(casemate_client *client, casemate_key key, const uint8_t *data, size_t length,
    const uint8_t *mac, size_t mac_length);

/** Adds data to a CMAC. The key is the same in each call. */
casemate_status casemate_cmac_update(casemate_client *client, casemate_key key, casemate_cmac_state *state,
    const uint8_t *data, size_t length);

/** Gives the CMAC of the data so far, 4 to 16 bytes. The state can go on. */
casemate_status casemate_cmac_finish(casemate_client *client, casemate_key key, const casemate_cmac_state *state,
    uint8_t *mac, size_t mac_length);

/** The HMAC of data in one call: only with a client that blocks. The protocol has no HMAC, so the key travels to the
 *  server as data: whoever sees the channel sees it. To authenticate with a key that stays in the server, use CMAC. */
casemate_status casemate_hmac(casemate_client *client, casemate_hash_algorithm algorithm,
    const uint8_t *key, size_t key_length, const uint8_t *data, size_t length, uint8_t *mac, size_t *mac_length);

/** Checks an HMAC, as casemate_hmac: CASEMATE_MAC_MISMATCH if it is not that of the data. */
casemate_status casemate_hmac_verify(casemate_client *client, casemate_hash_algorithm algorithm,
    const uint8_t *key, size_t key_length, const uint8_t *data, size_t length,
    const uint8_t *mac, size_t mac_length);

/** Begins an HMAC, in memory that may hold anything; end it with casemate_hmac_end. With a client that does not
 *  block, the key is at most a block long. */
casemate_status casemate_hmac_begin(casemate_client *client, casemate_hmac_state *hmac,
    casemate_hash_algorithm algorithm, const uint8_t *key, size_t key_length);

/** Adds data to an HMAC. */
casemate_status casemate_hmac_update(casemate_client *client, casemate_hmac_state *hmac,
    const uint8_t *data, size_t length);

/** Gives the HMAC of the data so far, which can go on: only with a client that blocks. */
casemate_status casemate_hmac_finish(casemate_client *client, casemate_hmac_state *hmac,
    uint8_t *mac, size_t *mac_length);

/** Wipes an HMAC. It needs to begin anew then. */
casemate_status casemate_hmac_end(casemate_hmac_state *hmac);

/* ----- Key derivation ----- */

/** Derives a key with HKDF (RFC 5869) and returns it: `length` says how long it shall be. */
casemate_status casemate_hkdf_export(casemate_client *client, casemate_hash_algorithm hash, casemate_key key,
    const uint8_t *salt, size_t salt_length, const uint8_t *info, size_t info_length,
    uint8_t *derived, size_t length);

/** Derives a key of `length` bytes with HKDF that stays in the server's cache. */
casemate_status casemate_hkdf_cache(casemate_client *client, casemate_hash_algorithm hash, casemate_key key,
    const uint8_t *salt, size_t salt_length, const uint8_t *info, size_t info_length, const casemate_new_key *what,
    size_t length, uint16_t *id);

/** Derives a key in two steps of AES-CMAC (NIST SP 800-56C) from the secret `z` and returns it. The salt is an AES
 *  key. */
casemate_status casemate_cmac_kdf_export(casemate_client *client, casemate_key salt, casemate_key z,
    const uint8_t *info, size_t info_length, uint8_t *derived, size_t length);

/** Derives a key of `length` bytes in two steps of AES-CMAC that stays in the server's cache. */
casemate_status casemate_cmac_kdf_cache(casemate_client *client, casemate_key salt, casemate_key z,
    const uint8_t *info, size_t info_length, const casemate_new_key *what, size_t length, uint16_t *id);

/* ----- Public keys ----- */

/** Has the server make a key pair that stays in its cache. For a large RSA key that takes seconds, which the timeout
 *  must allow. */
casemate_status casemate_key_pair_generate(casemate_client *client, casemate_pair pair, const casemate_new_key *what,
    uint16_t *id);

/** As casemate_key_pair_generate, and gives the encoded public key. */
casemate_status casemate_key_pair_generate_with_public(casemate_client *client, casemate_pair pair,
    const casemate_new_key *what, uint16_t *id, uint8_t *public_key, size_t *length);

/** Has the server make a key pair and gives the encoded private key, which contains the public one. Nothing stays in
 *  the server. */
casemate_status casemate_key_pair_generate_export(casemate_client *client, casemate_pair pair,
    uint8_t *private_key, size_t *length);

/** Signs a hash of 28 to 64 bytes with ECDSA; the signature is in DER, at most casemate_ecdsa_signature_size bytes.
 *  An inline key, here and below, enters the server's cache for the one operation: only with a client that blocks. */
casemate_status casemate_ecdsa_sign(casemate_client *client, casemate_key key,
    const uint8_t *hash, size_t hash_length, uint8_t *signature, size_t *length);

/** Verifies an ECDSA signature of a hash: CASEMATE_SIGNATURE_INVALID if it is not valid. Malformed ones may also give
 *  CASEMATE_SERVER_ASN_ECC_KEY or CASEMATE_SERVER_NUMBER_ZERO. */
casemate_status casemate_ecdsa_verify(casemate_client *client, casemate_key key,
    const uint8_t *signature, size_t length, const uint8_t *hash, size_t hash_length);

/** As casemate_ecdsa_verify, and gives the key's encoded public half, whatever the verdict. */
casemate_status casemate_ecdsa_verify_with_public(casemate_client *client, casemate_key key,
    const uint8_t *signature, size_t length, const uint8_t *hash, size_t hash_length,
    uint8_t *public_key, size_t *public_length);

/** Agrees on a secret with the owner of `public_key` (ECDH) and gives it, as long as a field element. Derive keys
 *  from it; it is not one. */
casemate_status casemate_ecdh_export(casemate_client *client, casemate_key private_key, casemate_key public_key,
    uint8_t *secret, size_t *length);

/** Agrees on a secret with the owner of `public_key` (ECDH) that stays in the server's cache. */
casemate_status casemate_ecdh_cache(casemate_client *client, casemate_key private_key, casemate_key public_key,
    const casemate_new_key *what, uint16_t *id);

/** Computes the public point of a private key, uncompressed: 04, X, Y. Servers may not know it. */
casemate_status casemate_ec_make_public(casemate_client *client, casemate_key key, uint8_t *point, size_t *length);

/** Succeeds if a key is valid on a curve and, unless `length` is 0, has this uncompressed point. Servers may not know
 *  it. */
casemate_status casemate_ec_check_public(casemate_client *client, casemate_key key, casemate_curve curve,
    const uint8_t *point, size_t length);

/** Signs a message with Ed25519. Message and context fit one packet. */
casemate_status casemate_ed25519_sign(casemate_client *client, casemate_key key, casemate_ed25519_mode variant,
    const uint8_t *context, size_t context_length, const uint8_t *message, size_t length, uint8_t signature[64]);

/** Verifies an Ed25519 signature: CASEMATE_SIGNATURE_INVALID if it is not valid. */
casemate_status casemate_ed25519_verify(casemate_client *client, casemate_key key, casemate_ed25519_mode variant,
    const uint8_t *context, size_t context_length, const uint8_t signature[64],
    const uint8_t *message, size_t length);

/** Agrees on a secret of 32 bytes with the owner of `public_key` by X25519 and gives it. Derive keys from it; it is
 *  not one. */
casemate_status casemate_x25519_export(casemate_client *client, casemate_key private_key, casemate_key public_key,
    casemate_endianness order, uint8_t secret[32]);

/** Agrees on a secret with the owner of `public_key` by X25519 that stays in the server's cache. */
casemate_status casemate_x25519_cache(casemate_client *client, casemate_key private_key, casemate_key public_key,
    casemate_endianness order, const casemate_new_key *what, uint16_t *id);

/** Raises a big-endian number to an exponent of an RSA key; the result is as long as the modulus. There is no
 *  padding, without which RSA is not secure: pad before and unpad after. */
casemate_status casemate_rsa(casemate_client *client, casemate_key key, casemate_rsa_operation operation,
    const uint8_t *input, size_t input_length, uint8_t *output, size_t *length);

/** The size of an RSA key's modulus in bytes. */
casemate_status casemate_rsa_get_size(casemate_client *client, casemate_key key, size_t *size);

/** Signs with ML-DSA, with a context of at most 255 bytes. Message, context and signature fit a packet. */
casemate_status casemate_ml_dsa_sign(casemate_client *client, casemate_key key, casemate_ml_dsa parameters,
    casemate_prehash prehash, const uint8_t *text, size_t text_length, const uint8_t *context, size_t context_length,
    uint8_t *signature, size_t *length);

/** Verifies an ML-DSA signature: CASEMATE_SIGNATURE_INVALID if it is not valid. */
casemate_status casemate_ml_dsa_verify(casemate_client *client, casemate_key key, casemate_ml_dsa parameters,
    casemate_prehash prehash, const uint8_t *signature, size_t length, const uint8_t *text, size_t text_length,
    const uint8_t *context, size_t context_length);

/** Makes a secret of 32 bytes for the owner of an ML-KEM key, and the ciphertext that carries it. */
casemate_status casemate_ml_kem_encapsulate(casemate_client *client, casemate_key key, casemate_ml_kem parameters,
    uint8_t *ciphertext, size_t *length, uint8_t secret[32]);

/** Opens an ML-KEM ciphertext with the private key. A damaged ciphertext gives another secret, not an error. */
casemate_status casemate_ml_kem_decapsulate(casemate_client *client, casemate_key key, casemate_ml_kem parameters,
    const uint8_t *ciphertext, size_t length, uint8_t secret[32]);

/* ----- Certificates ----- */

/** Announces use of the certificate manager; not needed. */
casemate_status casemate_certificate_init(casemate_client *client);

/** Stores a trusted root, in DER, or replaces it. The length in `metadata` is ignored. */
casemate_status casemate_certificate_add(casemate_client *client, const casemate_metadata *metadata,
    const uint8_t *certificate, size_t length);

/** Erases a trusted root; one that does not exist is no error. */
casemate_status casemate_certificate_erase(casemate_client *client, casemate_object_id id);

/** Reads a trusted root. */
casemate_status casemate_certificate_read(casemate_client *client, casemate_object_id id,
    uint8_t *certificate, size_t *length);

/** Verifies a chain against a trusted root: certificates one after the other, issuers before what they issued. With
 *  `leaf`, which may be null, the public key of the chain's leaf is cached; `id`, which may be null, gets where, 0 if
 *  nowhere. */
casemate_status casemate_certificate_verify(casemate_client *client, casemate_object_id root,
    const uint8_t *chain, size_t length, const casemate_leaf_key *leaf, uint16_t *id);

/** As casemate_certificate_verify, against 1 to 8 roots, of which those that do not exist are passed over. */
casemate_status casemate_certificate_verify_multi_root(casemate_client *client, const uint16_t *ids, size_t count,
    const uint8_t *chain, size_t length, const casemate_leaf_key *leaf, uint16_t *id);

/** Verifies the signature of an attribute certificate with the key of a trusted root. */
casemate_status casemate_certificate_verify_attribute(casemate_client *client, casemate_object_id root,
    const uint8_t *certificate, size_t length);

/** Makes the server forget the signatures that it has verified. */
casemate_status casemate_certificate_clear_cache(casemate_client *client);

/** Switches the verify cache on or off; off, it is emptied. */
casemate_status casemate_certificate_set_cache(casemate_client *client, int enabled);

/** casemate_certificate_add with the certificate in shared memory. */
casemate_status casemate_certificate_add_dma(casemate_client *client, const casemate_metadata *metadata,
    casemate_dma_buffer certificate);

/** casemate_certificate_read into shared memory. The length of the certificate is not told. */
casemate_status casemate_certificate_read_dma(casemate_client *client, casemate_object_id id,
    casemate_dma_buffer to);

/** casemate_certificate_verify with the chain in shared memory. */
casemate_status casemate_certificate_verify_dma(casemate_client *client, casemate_object_id root,
    casemate_dma_buffer chain, const casemate_leaf_key *leaf, uint16_t *id);

/** casemate_certificate_verify_multi_root with the chain in shared memory. */
casemate_status casemate_certificate_verify_multi_root_dma(casemate_client *client,
    const uint16_t *ids, size_t count, casemate_dma_buffer chain, const casemate_leaf_key *leaf, uint16_t *id);

/** casemate_certificate_verify_attribute with the attribute certificate in shared memory. */
casemate_status casemate_certificate_verify_attribute_dma(casemate_client *client, casemate_object_id root,
    casemate_dma_buffer certificate);

/* ----- AUTOSAR SHE ----- */

/** Gives the server its unique identifier, which it keeps until it restarts. */
casemate_status casemate_she_set_uid(casemate_client *client, const uint8_t uid[15]);

/** Carries out secure boot with an image, in as many requests as it takes: only with a client that blocks. `verified`
 *  gets 1 if the image's MAC is the expected one, 0 if the server has no boot MAC key and checked nothing. */
casemate_status casemate_she_secure_boot(casemate_client *client, const uint8_t *image, size_t length,
    int32_t *verified);

/** Announces a boot image of `length` bytes. `wanted` gets 1 if it has to follow, 0 if the server has no boot MAC
 *  key. */
casemate_status casemate_she_secure_boot_begin(casemate_client *client, uint32_t length, int32_t *wanted);

/** Sends a part of the boot image that fits a packet with 8 bytes more. */
casemate_status casemate_she_secure_boot_update(casemate_client *client, const uint8_t *part, size_t length);

/** Has the boot image's MAC compared. */
casemate_status casemate_she_secure_boot_finish(casemate_client *client);

/** Reads the status register. */
casemate_status casemate_she_get_status(casemate_client *client, uint8_t *status);

/** Loads a key with M1 to M3. `proof`, which may be null, gets M4 and M5, to be compared with what is expected. */
casemate_status casemate_she_load_key(casemate_client *client, const casemate_she_load *load,
    casemate_she_proof *proof);

/** Loads the RAM key as it is. Whoever sees the channel sees it. */
casemate_status casemate_she_load_plain_key(casemate_client *client, const uint8_t key[16]);

/** Exports the RAM key, encrypted for this server. `proof` may be null. */
casemate_status casemate_she_export_ram_key(casemate_client *client, casemate_she_load *load,
    casemate_she_proof *proof);

/** Starts the random generator, once. */
casemate_status casemate_she_random_init(casemate_client *client);

/** Gives the next 16 random bytes. */
casemate_status casemate_she_random(casemate_client *client, uint8_t bytes[16]);

/** Mixes entropy into the random generator and its stored seed. */
casemate_status casemate_she_extend_seed(casemate_client *client, const uint8_t entropy[16]);

/** AES-ECB of whole blocks with the key of a slot; input and output as in casemate_aes_ecb. */
casemate_status casemate_she_ecb(casemate_client *client, uint8_t slot, casemate_direction direction,
    const uint8_t *input, uint8_t *output, size_t length);

/** AES-CBC of whole blocks with the key of a slot; `iv` becomes the one for the data that follows. */
casemate_status casemate_she_cbc(casemate_client *client, uint8_t slot, casemate_direction direction, uint8_t iv[16],
    const uint8_t *input, uint8_t *output, size_t length);

/** The CMAC of a message that fits a packet, with the key of a slot. */
casemate_status casemate_she_mac(casemate_client *client, uint8_t slot, const uint8_t *message, size_t length,
    uint8_t mac[16]);

/** Checks a CMAC of 4 to 16 bytes with the key of a slot: CASEMATE_MAC_MISMATCH if it does not match. */
casemate_status casemate_she_verify_mac(casemate_client *client, uint8_t slot, const uint8_t *message, size_t length,
    const uint8_t *mac, size_t mac_length);

/** Places a key in a slot, past all checks of SHE: provisioning, through the object store. `owner` is the number of
 *  this client, or 0 on a server whose slots belong to all. */
casemate_status casemate_she_provision(casemate_client *client, uint8_t owner_id, uint8_t slot, uint32_t counter,
    uint32_t flags, const uint8_t key[16]);

/** Empties a slot. */
casemate_status casemate_she_remove(casemate_client *client, uint8_t owner_id, uint8_t slot);

/* ----- Data in memory that client and server share ----- */

/** Registers memory, aligned to 4, that client and server share; `address` is what stands for its first byte in
 *  messages. A client over shm:// has such memory without. It belongs to the client until that is released, and is
 *  accessed with the functions below. */
casemate_status casemate_set_shared_memory(casemate_client *client, void *start, size_t size, uint64_t address);

/** The length of the memory that client and server share, and what stands for its first byte in messages. */
casemate_status casemate_shared_memory(casemate_client *client, casemate_dma_buffer *buffer);

/** Copies bytes to shared memory. */
casemate_status casemate_shared_write(casemate_client *client, uint64_t offset, const uint8_t *data, size_t length);

/** Copies bytes from shared memory. */
casemate_status casemate_shared_read(casemate_client *client, uint64_t offset, uint8_t *data, size_t length);

/** casemate_nvm_add with the data in shared memory. The metadata is written there too: 32 bytes at `record_offset`, a
 *  multiple of 8. */
casemate_status casemate_dma_nvm_add(casemate_client *client, const casemate_metadata *metadata,
    casemate_dma_buffer data, uint64_t record_offset);

/** Reads an object from `offset` on into shared memory, as far as it and the buffer reach; how far is not told. */
casemate_status casemate_dma_nvm_read(casemate_client *client, casemate_object_id id, uint16_t offset,
    casemate_dma_buffer to);

/** casemate_key_cache with the key in shared memory. */
casemate_status casemate_dma_key_cache(casemate_client *client, const casemate_new_key *what,
    casemate_dma_buffer key, uint16_t *id);

/** casemate_key_export into shared memory. `label` may be null. */
casemate_status casemate_dma_key_export(casemate_client *client, casemate_key_id id, casemate_dma_buffer to,
    size_t *key_length, uint8_t label[24]);

/** casemate_key_export_public into shared memory. `label` may be null. */
casemate_status casemate_dma_key_export_public(casemate_client *client, casemate_key_id id,
    casemate_key_algorithm algorithm, casemate_dma_buffer to, size_t *key_length, uint8_t label[24]);

/** casemate_random into shared memory, at most 65536 bytes. */
casemate_status casemate_dma_random(casemate_client *client, casemate_dma_buffer to);

/** casemate_aes_ecb from and to shared memory. Here and below the two buffers may be the same, but `output` must not
 *  begin inside `input`. */
casemate_status casemate_dma_aes_ecb(casemate_client *client, casemate_key key, casemate_direction direction,
    casemate_dma_buffer input, casemate_dma_buffer output);

/** casemate_aes_cbc from and to shared memory. */
casemate_status casemate_dma_aes_cbc(casemate_client *client, casemate_key key, casemate_direction direction,
    uint8_t iv[16], casemate_dma_buffer input, casemate_dma_buffer output);

/** casemate_aes_ctr from and to shared memory. */
casemate_status casemate_dma_aes_ctr(casemate_client *client, casemate_key key, casemate_ctr *state,
    casemate_dma_buffer input, casemate_dma_buffer output);

/** casemate_aes_gcm_encrypt from and to shared memory; the tag has 12 to 16 bytes. */
casemate_status casemate_dma_aes_gcm_encrypt(casemate_client *client, casemate_key key,
    const uint8_t *iv, size_t iv_length, casemate_dma_buffer aad, casemate_dma_buffer input,
    casemate_dma_buffer output, uint8_t *tag, size_t tag_length);

/** casemate_aes_gcm_decrypt from and to shared memory. Nothing is written unless the tag is right. */
casemate_status casemate_dma_aes_gcm_decrypt(casemate_client *client, casemate_key key,
    const uint8_t *iv, size_t iv_length, casemate_dma_buffer aad, casemate_dma_buffer input,
    casemate_dma_buffer output, const uint8_t *tag, size_t tag_length);

/** Adds whole blocks in shared memory to a hash. */
casemate_status casemate_dma_hash_update(casemate_client *client, casemate_hash_state *hash,
    casemate_dma_buffer data);

/** casemate_cmac of data in shared memory. */
casemate_status casemate_dma_cmac(casemate_client *client, casemate_key key, casemate_dma_buffer data,
    uint8_t *mac, size_t mac_length);

/** casemate_cmac_update with data in shared memory. */
casemate_status casemate_dma_cmac_update(casemate_client *client, casemate_key key, casemate_cmac_state *state,
    casemate_dma_buffer data);

/** casemate_ed25519_sign with message and signature, 64 bytes, in shared memory. */
casemate_status casemate_dma_ed25519_sign(casemate_client *client, casemate_key_id key,
    casemate_ed25519_mode variant, const uint8_t *context, size_t context_length, casemate_dma_buffer message,
    casemate_dma_buffer signature);

/** casemate_ed25519_verify with message and signature in shared memory. */
casemate_status casemate_dma_ed25519_verify(casemate_client *client, casemate_key_id key,
    casemate_ed25519_mode variant, const uint8_t *context, size_t context_length, casemate_dma_buffer message,
    casemate_dma_buffer signature);

/** Generates an ML-DSA key pair. With the flag 0x0010 (ephemeral) the private key goes to shared memory and `id` is
 *  0; else it is cached, and its public half goes there. */
casemate_status casemate_dma_ml_dsa_generate(casemate_client *client, casemate_ml_dsa parameters,
    const casemate_new_key *what, casemate_dma_buffer to, uint16_t *id, size_t *key_length);

/** casemate_ml_dsa_sign, of the message itself, with message and signature in shared memory. */
casemate_status casemate_dma_ml_dsa_sign(casemate_client *client, casemate_key_id key, casemate_ml_dsa parameters,
    const uint8_t *context, size_t context_length, casemate_dma_buffer message, casemate_dma_buffer signature);

/** casemate_ml_dsa_verify, of the message itself, with message and signature in shared memory. */
casemate_status casemate_dma_ml_dsa_verify(casemate_client *client, casemate_key_id key, casemate_ml_dsa parameters,
    const uint8_t *context, size_t context_length, casemate_dma_buffer message, casemate_dma_buffer signature);

/** Generates an ML-KEM key pair, as casemate_dma_ml_dsa_generate. */
casemate_status casemate_dma_ml_kem_generate(casemate_client *client, casemate_ml_kem parameters,
    const casemate_new_key *what, casemate_dma_buffer to, uint16_t *id, size_t *key_length);

/** casemate_ml_kem_encapsulate with the ciphertext in shared memory. */
casemate_status casemate_dma_ml_kem_encapsulate(casemate_client *client, casemate_key_id key,
    casemate_ml_kem parameters, casemate_dma_buffer ciphertext, uint8_t secret[32]);

/** casemate_ml_kem_decapsulate with the ciphertext in shared memory. */
casemate_status casemate_dma_ml_kem_decapsulate(casemate_client *client, casemate_key_id key,
    casemate_ml_kem parameters, casemate_dma_buffer ciphertext, uint8_t secret[32]);

/* ----- Stateful hash-based signatures ----- */

/** Generates an LMS or HSS key pair (RFC 8554) with SHA-256, which the server stores: 1 to 4 `levels` of trees of
 *  `height` 5, 10, 15, 20 or 25 with the Winternitz parameter 1, 2, 4 or 8. The public key goes to shared memory. The
 *  time doubles with each unit of the height. */
casemate_status casemate_dma_lms_generate(casemate_client *client, uint32_t levels, uint32_t height,
    uint32_t winternitz, const casemate_new_key *what, casemate_dma_buffer to, uint16_t *id, size_t *key_length);

/** Generates an XMSS or XMSS^MT key pair (RFC 8391), which the server stores, by the name of its parameter set, such
 *  as XMSS-SHA2_10_256. The public key goes to shared memory. */
casemate_status casemate_dma_xmss_generate(casemate_client *client, const char *name, const casemate_new_key *what,
    casemate_dma_buffer to, uint16_t *id, size_t *key_length);

/** Signs a message in shared memory, which takes one of the key's signatures. CASEMATE_SERVER_BAD_STATE (LMS) or
 *  CASEMATE_SERVER_KEY_EXHAUSTED (XMSS) if none is left. */
casemate_status casemate_dma_stateful_sign(casemate_client *client, casemate_key_id key, casemate_stateful family,
    casemate_dma_buffer message, casemate_dma_buffer signature, size_t *signature_length);

/** Verifies a signature of a message, both in shared memory: CASEMATE_SIGNATURE_INVALID if it is not valid. */
casemate_status casemate_dma_stateful_verify(casemate_client *client, casemate_key_id key, casemate_stateful family,
    casemate_dma_buffer message, casemate_dma_buffer signature);

/** Whether a key can still sign: 1 or 0. How often, no message says. */
casemate_status casemate_stateful_remaining(casemate_client *client, casemate_key_id key, casemate_stateful family,
    int32_t *remaining);

/** Caches an LMS public key of 60 bytes, to verify with. */
casemate_status casemate_lms_import_public(casemate_client *client, uint32_t levels, uint32_t height,
    uint32_t winternitz, const casemate_new_key *what, const uint8_t *key, size_t length, uint16_t *id);

/** Caches an XMSS public key, to verify with. */
casemate_status casemate_xmss_import_public(casemate_client *client, const char *name, const casemate_new_key *what,
    const uint8_t *key, size_t length, uint16_t *id);

/* ----- Custom callbacks ----- */

/** Calls a custom callback. `returned` gets the number that it returned, `answer` what it sent back. */
casemate_status casemate_custom_call(casemate_client *client, uint32_t id, const casemate_custom_message *message,
    int32_t *returned, casemate_custom_message *answer);

/** Asks whether a custom callback is registered: 1 or 0. */
casemate_status casemate_custom_is_registered(casemate_client *client, uint32_t id, int32_t *registered);

#ifdef __cplusplus
}
#endif

#endif
