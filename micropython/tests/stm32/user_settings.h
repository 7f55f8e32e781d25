// Hashes and AES only, by the chip's processors.
#define HAVE_AESGCM
#define STM32_CRYPTO
#define STM32_HASH
#define WOLFSSL_CONF_OPTIMIZE_SIZE
