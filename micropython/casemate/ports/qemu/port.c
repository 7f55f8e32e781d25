// MicroPython's qemu port, FOR TESTS ONLY: the emulated boards have no source of random numbers, and this is none.
#include "casemate.h"

int32_t casemate_port_random(uint8_t *output, size_t length) {
    // A fixed sequence (xorshift, 32 bits).
    static uint32_t state = 0x2545f491;
    for (size_t index = 0; index < length; ++index) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        output[index] = state >> 24;
    }
    return 0;
}

uint64_t casemate_port_time(void) {
    // There is no clock either: the first day of 2027.
    return 1798761600;
}

uint32_t casemate_port_milliseconds(void) {
    // Nor this one: each look at it is a millisecond.
    static uint32_t looks;
    return looks++;
}
