// What stm32 boards get by default: hashes and AES as MicroPython's own modules have them and the usual additions; TLS 1.3
// and 1.2 with elliptic curves and RSA; optimized for size. The client of an HSM is left out
// (WOLFHSM_CFG_ENABLE_CLIENT), and so are the chip's processors (STM32_CRYPTO, STM32_HASH), which most chips do not have. See
// docs/micropython.md for the macros.
#define WOLFSSL_SHA384
#define WOLFSSL_SHA512
#define HAVE_AESGCM
#define HAVE_HKDF
#define WOLFSSL_TLS13
#define NO_SESSION_CACHE
#define WOLFSSL_CONF_OPTIMIZE_SIZE
