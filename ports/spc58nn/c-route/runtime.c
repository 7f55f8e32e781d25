/* The part of wasm2c's run-time library (wasm-rt.h of wabt 1.0.32) that the firmware needs, without an operating system:
 * one memory and one table, both of fixed size, and no way back from a trap. */
#include <stdarg.h>

#include "wasm-rt.h"

/* Both are set by the build to what the module asks for. */
#ifndef CASEMATE_MEMORY_PAGES
#error "define CASEMATE_MEMORY_PAGES: the module's memory in pages of 65536 bytes"
#endif
#ifndef CASEMATE_TABLE_SIZE
#error "define CASEMATE_TABLE_SIZE: the entries of the module's table"
#endif

#define MAX_TYPES 256
#define MAX_PARTS 24

uint32_t wasm_rt_call_stack_depth;

static uint8_t memory_bytes[CASEMATE_MEMORY_PAGES * 65536u];
static wasm_rt_funcref_t table_entries[CASEMATE_TABLE_SIZE];

/* Function types: number of parameters, number of results, then their types. */
static uint8_t types[MAX_TYPES][MAX_PARTS];
static uint32_t type_count;

void casemate_trapped(int reason);

void wasm_rt_init(void) {}

bool wasm_rt_is_initialized(void) { return true; }

void wasm_rt_free(void) {}

WASM_RT_NO_RETURN void wasm_rt_trap(wasm_rt_trap_t reason) {
  casemate_trapped((int)reason);
  for (;;) {
  }
}

uint32_t wasm_rt_register_func_type(uint32_t params, uint32_t results, ...) {
  uint8_t type[MAX_PARTS] = {0};
  va_list list;
  uint32_t index;
  if (params + results + 2 > MAX_PARTS || type_count == MAX_TYPES) {
    wasm_rt_trap(WASM_RT_TRAP_UNREACHABLE);
  }
  type[0] = (uint8_t)params;
  type[1] = (uint8_t)results;
  va_start(list, results);
  for (index = 0; index < params + results; index++) {
    type[index + 2] = (uint8_t)va_arg(list, int);
  }
  va_end(list);
  for (index = 0; index < type_count; index++) {
    if (memcmp(types[index], type, sizeof type) == 0) {
      return index + 1;
    }
  }
  memcpy(types[type_count], type, sizeof type);
  return ++type_count;
}

void wasm_rt_allocate_memory(wasm_rt_memory_t *memory, uint32_t pages, uint32_t max_pages) {
  (void)max_pages;
  if (pages > CASEMATE_MEMORY_PAGES) {
    wasm_rt_trap(WASM_RT_TRAP_OOB);
  }
  memory->data = memory_bytes;
  memory->pages = pages;
  memory->max_pages = pages;
  memory->size = pages * 65536u;
}

uint32_t wasm_rt_grow_memory(wasm_rt_memory_t *memory, uint32_t pages) {
  return pages == 0 ? memory->pages : UINT32_MAX;
}

void wasm_rt_free_memory(wasm_rt_memory_t *memory) { (void)memory; }

void wasm_rt_allocate_funcref_table(wasm_rt_funcref_table_t *table, uint32_t elements, uint32_t max_elements) {
  (void)max_elements;
  if (elements > CASEMATE_TABLE_SIZE) {
    wasm_rt_trap(WASM_RT_TRAP_OOB);
  }
  table->data = table_entries;
  table->size = elements;
  table->max_size = elements;
}

void wasm_rt_free_funcref_table(wasm_rt_funcref_table_t *table) { (void)table; }
