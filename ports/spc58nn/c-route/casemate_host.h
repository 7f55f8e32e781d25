/* What the firmware, as C source made from WebAssembly, asks of the program around it: numbers in, numbers out, so that
 * neither byte order nor memory layout is shared. The names are those that wasm2c (wabt 1.0.32) gives to imports of the
 * module "casemate". */
#ifndef CASEMATE_HOST_H
#define CASEMATE_HOST_H

#include <stdint.h>

struct Z_casemate_instance_t;

/* The next byte that has arrived from the client, or a negative number. */
uint32_t Z_casemateZ_receive(struct Z_casemate_instance_t *host);
/* Takes a byte to be sent to the client; 0 if there is no room for it now. */
uint32_t Z_casemateZ_send(struct Z_casemate_instance_t *host, uint32_t byte);
/* 32 bits of noise. */
uint32_t Z_casemateZ_noise(struct Z_casemate_instance_t *host);
/* Takes a byte of a report. */
void Z_casemateZ_say(struct Z_casemate_instance_t *host, uint32_t byte);
/* Waits until there may be something to do. */
void Z_casemateZ_wait(struct Z_casemate_instance_t *host);

#endif
