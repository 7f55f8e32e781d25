// Hashes and AES by processors that do not answer, that never finish, and that are wrong: the results are the software's every
// time. What a processor does that works, the unit tests of micropython/rust have a model for.
#include <string.h>
#include "chip.h"
#include "casemate.h"

volatile uint32_t aes_registers[256], hash_registers[256];
int clocks;

#define AES_STATUS aes_registers[1]
#define HASH_STATUS hash_registers[9]

// Semihosting.
static uint32_t call_host(uint32_t number, uintptr_t argument) {
    register uint32_t r0 __asm__("r0") = number;
    register uintptr_t r1 __asm__("r1") = argument;
    __asm__ volatile ("bkpt 0xab" : "+r" (r0) : "r" (r1) : "memory");
    return r0;
}

static __attribute__((noreturn)) void end(bool good) {
    call_host(0x04, (uintptr_t)(good ? "processors: passed\n" : "processors: FAILED\n"));
    // SYS_EXIT_EXTENDED, ADP_Stopped_ApplicationExit.
    uint32_t status[2] = { 0x20026, good ? 0 : 1 };
    call_host(0x20, (uintptr_t)status);
    for (;;) {
    }
}

static void demand(bool condition, const char *what) {
    if (!condition) {
        call_host(0x04, (uintptr_t)what);
        call_host(0x04, (uintptr_t)"\n");
        end(false);
    }
}

uint32_t rng_get(void) {
    static uint32_t number = 1;
    return number++;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return 0;
}

void casemate_port_panic(const uint8_t *file, size_t length, uint32_t line) {
    (void)file;
    (void)length;
    (void)line;
    end(false);
}

// SHA-256 and SHA-1 of 200 times 'a', in pieces.
static const uint8_t sha256[] = {
    0xc2, 0xa9, 0x08, 0xd9, 0x8f, 0x5d, 0xf9, 0x87, 0xad, 0xe4, 0x1b, 0x5f, 0xce, 0x21, 0x30, 0x67,
    0xef, 0xbc, 0xc2, 0x1e, 0xf2, 0x24, 0x02, 0x12, 0xa4, 0x1e, 0x54, 0xb5, 0xe7, 0xc2, 0x8a, 0xe5,
};
static const uint8_t sha1[] = {
    0xe6, 0x1c, 0xff, 0xfe, 0x0d, 0x91, 0x95, 0xa5, 0x25, 0xfc, 0x6c, 0xf0, 0x6c, 0xa2, 0xd7, 0x71,
    0x19, 0xc2, 0x4a, 0x40,
};
// FIPS 197, C.1.
static const uint8_t plain[16] = {
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
};
static const uint8_t encrypted[16] = {
    0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30, 0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a,
};

static void hash(uint8_t number, const uint8_t *expected, size_t length) {
    uint8_t state[512], copy[512], data[100], digest[32];
    memset(data, 'a', sizeof(data));
    size_t size = casemate_hash_state_size(number);
    demand(size <= sizeof(state), "size of a state");
    demand(casemate_hash_start(state, size, number) == 0, "start");
    demand(casemate_hash_update(state, size, data, 67) == 0, "first piece");
    demand(casemate_hash_update(state, size, data, 33) == 0, "second piece");
    memcpy(copy, state, size);
    demand(casemate_hash_update(copy, size, data, 100) == 0, "third piece");
    demand(casemate_hash_finish(copy, size, digest, length) == 0, "digest");
    demand(memcmp(digest, expected, length) == 0, "value of the digest");
    demand(!casemate_hash_in_hardware(number), "a processor is used that does not work");
}

static void aes(void) {
    uint8_t state[CASEMATE_AES_STATE_SIZE], data[16], key[16];
    for (uint8_t index = 0; index < sizeof(key); ++index) {
        key[index] = index;
    }
    memcpy(data, plain, sizeof(data));
    demand(casemate_aes_start(state, CASEMATE_AES_ECB, key, sizeof(key), NULL, 0) == 0, "aes");
    demand(casemate_aes_set_direction(state, false) == 0, "direction");
    demand(casemate_aes_run(state, data, sizeof(data)) == 0, "encryption");
    demand(memcmp(data, encrypted, sizeof(data)) == 0, "value of the ciphertext");
    demand(!casemate_aes_in_hardware(), "a processor is used that does not work");
}

int main(void) {
    // Nothing answers.
    hash(CASEMATE_HASH_SHA256, sha256, sizeof(sha256));
    aes();
    demand(clocks == 3, "the clocks were not switched on");
    demand(hash_registers[0] != 0, "nothing was written to the hash processor");
    demand(casemate_port_aes == (uintptr_t)aes_registers && casemate_port_hash == HASH_BASE, "addresses");
    // Both are ready, and never finish. AES is always ready, so that this was seen before already.
    AES_STATUS = 3;
    HASH_STATUS = 1;
    hash(CASEMATE_HASH_SHA256, sha256, sizeof(sha256));
    aes();
    #if CASEMATE_FEATURE_STM32_AES
    static const uint8_t keys[] = { 4, 5, 6, 7, 12, 13, 14, 15 };
    #else
    static const uint8_t keys[] = { 8, 9, 10, 11, 12, 13, 14, 15 };
    #endif
    for (size_t index = 0; index < sizeof(keys); ++index) {
        demand(aes_registers[keys[index]] == 0, "a key stays in the processor");
    }
    // This one is always finished, and every digest is 0.
    HASH_STATUS = 3;
    hash(CASEMATE_HASH_SHA1, sha1, sizeof(sha1));
    end(true);
}

static void fault(void) {
    end(false);
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[] = {
    0x20100000, (uintptr_t)main, (uintptr_t)fault, (uintptr_t)fault,
};
