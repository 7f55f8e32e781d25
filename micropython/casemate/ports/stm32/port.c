// The stm32 port: random numbers from the chip's generator.
#include "py/mpconfig.h"
#include "rng.h"
#include "casemate.h"

#if !MICROPY_HW_ENABLE_RNG
#error "the wolfssl modules need the chip's random number generator: define MICROPY_HW_ENABLE_RNG (1) in mpconfigboard.h"
#endif

int32_t casemate_port_random(uint8_t *output, size_t length) {
    while (length > 0) {
        uint32_t word = rng_get();
        for (size_t index = 0; index < sizeof(word) && length > 0; ++index, --length) {
            *output++ = word >> (8 * index);
        }
    }
    return 0;
}
