// The stm32 port: random numbers from the chip's generator, time from its clock, and where its processors for AES and hashes
// are, if the settings file asks for them.
#include "py/mpconfig.h"
#include "py/mphal.h"
#include "shared/timeutils/timeutils.h"
#include "rng.h"
#include "rtc.h"
#include "irq.h"
#include "casemate.h"

#if !MICROPY_HW_ENABLE_RNG
#error "the wolfssl modules need the chip's random number generator: define MICROPY_HW_ENABLE_RNG (1) in mpconfigboard.h"
#endif

int32_t casemate_port_random(uint8_t *output, size_t length) {
    // What MicroPython's driver gives when the generator has no number in time is 0.
    static uint32_t before;
    while (length > 0) {
        uint32_t word = rng_get();
        if (word == 0 || word == before) {
            return -1;
        }
        before = word;
        for (size_t index = 0; index < sizeof(word) && length > 0; ++index, --length) {
            *output++ = word >> (8 * index);
        }
    }
    return 0;
}

#if CASEMATE_FEATURE_TLS
#if !MICROPY_HW_ENABLE_RTC
#error "the wolfssl module needs the chip's clock for the dates of certificates: define MICROPY_HW_ENABLE_RTC (1) in mpconfigboard.h"
#endif

uint64_t casemate_port_time(void) {
    rtc_init_finalise();
    RTC_DateTypeDef date;
    RTC_TimeTypeDef time;
    // In this order: reading the time holds the date until it is read, too.
    HAL_RTC_GetTime(&RTCHandle, &time, RTC_FORMAT_BIN);
    HAL_RTC_GetDate(&RTCHandle, &date, RTC_FORMAT_BIN);
    uint64_t seconds = timeutils_seconds_since_2000(2000 + date.Year, date.Month, date.Date, time.Hours, time.Minutes, time.Seconds);
    return seconds + TIMEUTILS_SECONDS_1970_TO_2000;
}
#endif

#if CASEMATE_FEATURE_STM32_CRYPTO
#if !CASEMATE_FEATURE_STM32_AES && defined(CRYP)
#define AES_PROCESSOR_BASE CRYP_BASE
#define AES_PROCESSOR_IS_ON __HAL_RCC_CRYP_IS_CLK_ENABLED
#define AES_PROCESSOR_ON __HAL_RCC_CRYP_CLK_ENABLE
#elif CASEMATE_FEATURE_STM32_AES && defined(AES)
#define AES_PROCESSOR_BASE AES_BASE
#define AES_PROCESSOR_IS_ON __HAL_RCC_AES_IS_CLK_ENABLED
#define AES_PROCESSOR_ON __HAL_RCC_AES_CLK_ENABLE
#elif CASEMATE_FEATURE_STM32_AES && defined(AES1)
// STM32WB has two; the other one is the radio's.
#define AES_PROCESSOR_BASE AES1_BASE
#define AES_PROCESSOR_IS_ON __HAL_RCC_AES1_IS_CLK_ENABLED
#define AES_PROCESSOR_ON __HAL_RCC_AES1_CLK_ENABLE
#else
#error "STM32_CRYPTO: this chip has no processor for AES; leave the macro out of the settings file"
#endif

const uintptr_t casemate_port_aes = AES_PROCESSOR_BASE;

void casemate_port_aes_on(void) {
    // An interrupt may switch on another clock in the same register.
    if (!AES_PROCESSOR_IS_ON()) {
        mp_uint_t state = disable_irq();
        AES_PROCESSOR_ON();
        enable_irq(state);
    }
}
#endif

#if CASEMATE_FEATURE_STM32_HASH
#if !defined(HASH)
#error "STM32_HASH: this chip has no processor HASH; leave the macro out of the settings file"
#endif

const uintptr_t casemate_port_hash = HASH_BASE;

void casemate_port_hash_on(void) {
    if (!__HAL_RCC_HASH_IS_CLK_ENABLED()) {
        mp_uint_t state = disable_irq();
        __HAL_RCC_HASH_CLK_ENABLE();
        enable_irq(state);
    }
}
#endif

uint32_t casemate_port_milliseconds(void) {
    return mp_hal_ticks_ms();
}
