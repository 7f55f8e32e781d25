// See heap.h.
#include <string.h>
#include "py/mpconfig.h"
#include "py/gc.h"
#include "heap.h"
#include "interrupt.h"

#if CASEMATE_FEATURE_TLS

#if CASEMATE_HEAP_LIBC
#include <pthread.h>
#include <stdlib.h>
// MicroPython's threads run in parallel here, and what one session frees may have been allocated by another.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
#define LOCK() pthread_mutex_lock(&mutex)
#define UNLOCK() pthread_mutex_unlock(&mutex)
// Where the library does not call from: in there, interrupts wait already.
#define LOCK_OUTSIDE() bool off = casemate_interrupt_off(); LOCK()
#define UNLOCK_OUTSIDE() UNLOCK(); casemate_interrupt_restore(off)
#define THREAD_LOCAL __thread
#else
// Threads take turns, and only where MicroPython lets them: not in here.
#define LOCK()
#define UNLOCK()
#define LOCK_OUTSIDE()
#define UNLOCK_OUTSIDE()
#define THREAD_LOCAL
#endif

static THREAD_LOCAL casemate_owner_t *current;
static THREAD_LOCAL bool failed;
static size_t used_blocks, used_bytes, peak_bytes, total_bytes;
static int fail_after = -1, interrupt_after = -1;

void casemate_owner_start(casemate_owner_t *owner) {
    memset(owner, 0, sizeof(*owner));
    owner->list.previous = owner->list.next = &owner->list;
}

casemate_owner_t *casemate_owner_set(casemate_owner_t *owner) {
    casemate_owner_t *before = current;
    current = owner;
    return before;
}

static void link_node(casemate_owner_t *owner, casemate_node_t *node) {
    node->previous = &owner->list;
    node->next = owner->list.next;
    owner->list.next->previous = node;
    owner->list.next = node;
}

static void unlink_node(casemate_node_t *node) {
    node->previous->next = node->next;
    node->next->previous = node->previous;
}

void casemate_owner_move(casemate_owner_t *from, casemate_owner_t *to) {
    LOCK_OUTSIDE();
    casemate_node_t *first = from->list.next, *last = from->list.previous;
    if (first != &from->list) {
        first->previous = &to->list;
        last->next = to->list.next;
        to->list.next->previous = last;
        to->list.next = first;
        from->list.previous = from->list.next = &from->list;
    }
    UNLOCK_OUTSIDE();
}

// There may be keys in it: it is wiped.
static void give_back(casemate_node_t *node) {
    memset(node + 1, 0, node->size);
    __asm__ volatile ("" : : "r" (node) : "memory");
    #if CASEMATE_HEAP_LIBC
    free(node);
    #else
    gc_free(node);
    #endif
}

void casemate_owner_free(casemate_owner_t *owner) {
    bool off = casemate_interrupt_off();
    for (;;) {
        LOCK();
        casemate_node_t *node = owner->list.next;
        if (node == &owner->list) {
            UNLOCK();
            casemate_interrupt_restore(off);
            return;
        }
        unlink_node(node);
        used_blocks -= 1;
        used_bytes -= node->size;
        UNLOCK();
        give_back(node);
    }
}

static casemate_node_t *get(size_t size) {
    if (fail_after == 0) {
        return NULL;
    }
    if (fail_after > 0) {
        fail_after -= 1;
    }
    #if CASEMATE_HEAP_LIBC
    return malloc(size);
    #else
    casemate_node_t *node = gc_alloc(size, 0);
    if (node == NULL && !gc_is_locked()) {
        // A collection frees what finalisers let go only in the one after it.
        casemate_owner_t *owner = current;
        gc_collect();
        current = owner;
        node = gc_alloc(size, 0);
    }
    return node;
    #endif
}

uint8_t *casemate_port_allocate(size_t size, size_t alignment) {
    // Blocks are aligned to four words, which is more than the library asks for.
    casemate_node_t *node = NULL;
    if (current != NULL && alignment <= 2 * sizeof(void *) && size <= SIZE_MAX / 2) {
        node = get(sizeof(casemate_node_t) + size);
    }
    if (node == NULL) {
        failed = true;
        return NULL;
    }
    LOCK();
    node->size = size;
    node->unused = 0;
    link_node(current, node);
    #if CASEMATE_TEST && MICROPY_ASYNC_KBD_INTR
    if (interrupt_after >= 0 && interrupt_after-- == 0) {
        raise(SIGINT);
    }
    #endif
    used_blocks += 1;
    used_bytes += size;
    total_bytes += size;
    if (used_bytes > peak_bytes) {
        peak_bytes = used_bytes;
    }
    UNLOCK();
    return (uint8_t *)(node + 1);
}

void casemate_port_free(uint8_t *memory) {
    casemate_node_t *node = (casemate_node_t *)memory - 1;
    LOCK();
    unlink_node(node);
    used_blocks -= 1;
    used_bytes -= node->size;
    UNLOCK();
    give_back(node);
}

void casemate_port_memory_is_shared(void) {
    if (current != NULL) {
        current->shared = true;
    }
}

bool casemate_heap_failed(void) {
    bool answer = failed;
    failed = false;
    return answer;
}

size_t casemate_count(size_t *counter, int change) {
    LOCK_OUTSIDE();
    size_t now = *counter += change;
    UNLOCK_OUTSIDE();
    return now;
}

void casemate_heap_usage(size_t *blocks, size_t *bytes, size_t *peak) {
    LOCK_OUTSIDE();
    *blocks = used_blocks;
    *bytes = used_bytes;
    *peak = peak_bytes;
    peak_bytes = used_bytes;
    UNLOCK_OUTSIDE();
}

size_t casemate_heap_total(void) {
    LOCK_OUTSIDE();
    size_t total = total_bytes;
    UNLOCK_OUTSIDE();
    return total;
}

void casemate_heap_fail_after(int count) {
    fail_after = count;
}

void casemate_heap_interrupt_after(int count) {
    interrupt_after = count;
}

#endif
