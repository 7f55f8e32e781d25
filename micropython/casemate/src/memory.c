// The functions of memory that Rust's compiler calls on ARM (Run-time ABI for the Arm Architecture, §4.3.4), over those that
// MicroPython's firmware has in any case. Those of Rust's library are quicker for unaligned data and take 3 KB of flash.
//
// The make file renames casemate_memcpy and its like to what they stand for once Rust's library has been linked, which has functions
// of these names, too.
#include <stddef.h>

void *casemate_memcpy(void *to, const void *from, size_t length);
void *casemate_memmove(void *to, const void *from, size_t length);
void *casemate_memset(void *to, int value, size_t length);

typedef void copy_t(void *to, const void *from, size_t length);
typedef void set_t(void *to, size_t length, int value);
typedef void clear_t(void *to, size_t length);

copy_t __aeabi_memcpy, __aeabi_memmove;
set_t __aeabi_memset;
clear_t __aeabi_memclr;

void __aeabi_memcpy(void *to, const void *from, size_t length) {
    casemate_memcpy(to, from, length);
}

void __aeabi_memmove(void *to, const void *from, size_t length) {
    casemate_memmove(to, from, length);
}

void __aeabi_memset(void *to, size_t length, int value) {
    casemate_memset(to, value, length);
}

void __aeabi_memclr(void *to, size_t length) {
    casemate_memset(to, 0, length);
}

// For pointers that are known to be aligned.
copy_t __aeabi_memcpy4 __attribute__((alias("__aeabi_memcpy")));
copy_t __aeabi_memcpy8 __attribute__((alias("__aeabi_memcpy")));
copy_t __aeabi_memmove4 __attribute__((alias("__aeabi_memmove")));
copy_t __aeabi_memmove8 __attribute__((alias("__aeabi_memmove")));
set_t __aeabi_memset4 __attribute__((alias("__aeabi_memset")));
set_t __aeabi_memset8 __attribute__((alias("__aeabi_memset")));
clear_t __aeabi_memclr4 __attribute__((alias("__aeabi_memclr")));
clear_t __aeabi_memclr8 __attribute__((alias("__aeabi_memclr")));

// As Rust's objects say it: nothing here wants a stack that can be executed.
__asm__(".section .note.GNU-stack,\"\",%progbits");
