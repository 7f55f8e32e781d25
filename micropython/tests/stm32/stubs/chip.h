// What port.c uses of MicroPython's and the vendor's headers. The processors are memory, which answers what main.c puts there.
#ifndef CHIP_H
#define CHIP_H

#include <stdint.h>

#define MICROPY_HW_ENABLE_RNG (1)
#define MICROPY_HW_ENABLE_RTC (1)

typedef uintptr_t mp_uint_t;

extern volatile uint32_t aes_registers[256], hash_registers[256];
extern int clocks;
#if CASEMATE_FEATURE_STM32_AES
#define AES aes_registers
#define AES_BASE ((uintptr_t)aes_registers)
#define __HAL_RCC_AES_IS_CLK_ENABLED() ((clocks & 1) != 0)
#define __HAL_RCC_AES_CLK_ENABLE() (clocks |= 1)
#else
#define CRYP aes_registers
#define CRYP_BASE ((uintptr_t)aes_registers)
#define __HAL_RCC_CRYP_IS_CLK_ENABLED() ((clocks & 1) != 0)
#define __HAL_RCC_CRYP_CLK_ENABLE() (clocks |= 1)
#endif
#define HASH hash_registers
#define HASH_BASE ((uintptr_t)hash_registers)
#define __HAL_RCC_HASH_IS_CLK_ENABLED() ((clocks & 2) != 0)
#define __HAL_RCC_HASH_CLK_ENABLE() (clocks |= 2)

uint32_t rng_get(void);
mp_uint_t mp_hal_ticks_ms(void);
static inline mp_uint_t disable_irq(void) {
    return 0;
}
static inline void enable_irq(mp_uint_t state) {
    (void)state;
}

#endif
