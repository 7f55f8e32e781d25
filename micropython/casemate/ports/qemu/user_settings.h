// What the emulated Cortex-M of the tests has: everything, optimized for size.
#define WOLFSSL_SHA384
#define WOLFSSL_SHA512
#define WOLFSSL_SHA3
#define HAVE_AESGCM
#define HAVE_AESCCM
#define HAVE_HKDF
#define HAVE_PBKDF2
#define WOLFSSL_CMAC
#define WOLFSSL_CONF_OPTIMIZE_SIZE
#define WOLFSSL_TLS13
#define WOLFHSM_CFG_ENABLE_CLIENT
