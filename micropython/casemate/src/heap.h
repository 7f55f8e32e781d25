// The heap of the Rust library. Memory belongs to the object on whose behalf it was allocated, and is linked from it.
//
// On unix it comes from the C library: the garbage collector does not scan it, so that no number in it looks like a
// reference and keeps objects alive. On microcontrollers it comes from MicroPython's heap, reachable only from its owner.
// Either way it can be freed as a whole when the library was left by a jump, after which nothing in it may be used.
#ifndef CASEMATE_HEAP_H
#define CASEMATE_HEAP_H

#include "casemate.h"

#if !defined(CASEMATE_HEAP_LIBC)
#define CASEMATE_HEAP_LIBC (0)
#endif

typedef struct casemate_node {
    struct casemate_node *previous;
    struct casemate_node *next;
    size_t size;
    size_t unused; // keeps what follows aligned
} casemate_node_t;

typedef struct {
    casemate_node_t list;
    bool shared; // some of it is used by others, too
} casemate_owner_t;

void casemate_owner_start(casemate_owner_t *owner);
// For whom memory is allocated from now on, in this thread. Returns for whom it was before.
casemate_owner_t *casemate_owner_set(casemate_owner_t *owner);
// Gives all of one owner's memory to another.
void casemate_owner_move(casemate_owner_t *from, casemate_owner_t *to);
// Wipes and frees all of an owner's memory.
void casemate_owner_free(casemate_owner_t *owner);
// True if an allocation of this thread has failed since it was last asked.
bool casemate_heap_failed(void);
// Counts references, where threads run in parallel.
size_t casemate_count(size_t *counter, int change);
// Blocks and bytes that are in use.
void casemate_heap_usage(size_t *blocks, size_t *bytes, size_t *peak);
// Bytes that have been allocated in all.
size_t casemate_heap_total(void);
// For tests: lets the allocation after the next `count` fail; a negative count ends that.
void casemate_heap_fail_after(int count);
// For tests: as if Ctrl-C were pressed during the allocation after the next `count`; a negative count ends that.
void casemate_heap_interrupt_after(int count);

#endif
