// What the module casemate offers to wolfssl: keys that a server holds.
#ifndef CASEMATE_MODCASEMATE_H
#define CASEMATE_MODCASEMATE_H

#include "common.h"

#endif
