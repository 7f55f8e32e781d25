// What the module casemate offers to wolfssl: keys that a server holds.
#ifndef CASEMATE_MODCASEMATE_H
#define CASEMATE_MODCASEMATE_H

#include "common.h"

// Whether an object is a key of a server.
bool casemate_is_key(mp_obj_t object);
// The public half of a key, as a bytes object in DER. Asks the server, and raises.
mp_obj_t casemate_key_public(mp_obj_t key);
// Has the server sign a digest, a padded block, or with Ed25519 a message. Returns the signature's length, and raises.
size_t casemate_key_sign(mp_obj_t key, casemate_bytes_t data, uint8_t *signature, size_t room);

#endif
