/* The emulated board: start-up, output through the debugger, the depth of the stack. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

/* Prints a text through the debugger (semihosting). */
void board_print(const char *text);
/* Prints a text, a number and the end of a line. */
void board_print_number(const char *text, uint32_t number);
/* Ends the emulation with an exit status. */
void board_exit(int status);
/* How many bytes of the stack have been used since start-up, at most. */
uint32_t board_stack_used(void);

#endif
