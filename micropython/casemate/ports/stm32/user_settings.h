// What stm32 boards get by default: what MicroPython's own modules have and the usual additions, optimized for size.
#define WOLFSSL_SHA384
#define WOLFSSL_SHA512
#define HAVE_AESGCM
#define HAVE_HKDF
#define WOLFSSL_CONF_OPTIMIZE_SIZE
