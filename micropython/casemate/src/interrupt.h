// Ctrl-C where MicroPython's handler of the signal jumps to the nearest exception handler from wherever the thread is: the unix
// port. The library must not be left that way, and no lock. Elsewhere these do nothing.
#ifndef CASEMATE_INTERRUPT_H
#define CASEMATE_INTERRUPT_H

#include <stdbool.h>
#include "py/mpconfig.h"

#if MICROPY_ASYNC_KBD_INTR
#include <signal.h>

static inline bool casemate_interrupt_mask(int how) {
    sigset_t interrupt, before;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(how, &interrupt, &before);
    return sigismember(&before, SIGINT) == 1;
}
#endif

// From here on the signal waits. Returns whether it did before.
static inline bool casemate_interrupt_off(void) {
    #if MICROPY_ASYNC_KBD_INTR
    return casemate_interrupt_mask(SIG_BLOCK);
    #else
    return false;
    #endif
}

// As it was before `casemate_interrupt_off`. A signal that has waited is raised from here.
static inline void casemate_interrupt_restore(bool was_off) {
    #if MICROPY_ASYNC_KBD_INTR
    if (!was_off) {
        casemate_interrupt_mask(SIG_UNBLOCK);
    }
    #else
    (void)was_off;
    #endif
}

#endif
