#include "board.h"

/* From memory.ld. */
extern uint32_t data_source[], data_start[], data_end[], bss_start[], bss_end[], stack_bottom[], stack_top[];

int main(void);

#define PAINT 0xC5C5C5C5u

static uint32_t semihosting(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;

    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_print(const char *text)
{
    semihosting(0x04, text); /* SYS_WRITE0 */
}

void board_print_number(const char *text, uint32_t number)
{
    char digits[12], *at = digits + sizeof digits;

    *--at = 0;
    *--at = '\n';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    board_print(text);
    board_print(at);
}

void board_exit(int status)
{
    uint32_t reason[2] = { 0x20026, 0 }; /* ADP_Stopped_ApplicationExit */

    reason[1] = (uint32_t)status;
    semihosting(0x20, reason); /* SYS_EXIT_EXTENDED */
    for (;;)
        ;
}

uint32_t board_stack_used(void)
{
    const uint32_t *at = stack_bottom;

    while (at < stack_top && *at == PAINT)
        at++;
    return (uint32_t)(stack_top - at) * 4;
}

/* Runs first: no memory is what C expects yet. */
static void reset(void)
{
    uint32_t *to, *here;
    const uint32_t *from = data_source;

    for (to = data_start; to < data_end;)
        *to++ = *from++;
    for (to = bss_start; to < bss_end;)
        *to++ = 0;
    here = (uint32_t *)__builtin_frame_address(0) - 16;
    for (to = stack_bottom; to < here;)
        *to++ = PAINT;
    board_exit(main());
}

static void fault(void)
{
    board_print("the processor found a fault\n");
    board_exit(2);
}

/* What the processor reads first: the stack's end, and where to begin. */
union vector {
    uint32_t *stack;
    void (*handler)(void);
};

__attribute__((section(".vectors"), used)) static const union vector vectors[16] = {
    { .stack = stack_top }, { .handler = reset }, { .handler = fault }, { .handler = fault },
    { .handler = fault },   { .handler = fault }, { .handler = fault },
};
