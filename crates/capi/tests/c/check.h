/* Checks of the test programs: the first one that fails ends the program. */
#include <casemate.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int checks;

static void check_fails(const char *file, int line, const char *text, long found, long wanted)
{
    fprintf(stderr, "%s:%d: %s is %ld (%s), not %ld\n", file, line, text, found,
            casemate_status_text((casemate_status)found), wanted);
    exit(1);
}

#define CHECK(value, wanted)                                            \
    do {                                                                \
        long found_ = (long)(value);                                    \
        checks++;                                                       \
        if (found_ != (long)(wanted))                                   \
            check_fails(__FILE__, __LINE__, #value, found_, (long)(wanted)); \
    } while (0)

#define CHECK_NOT(value, unwanted)                                      \
    do {                                                                \
        checks++;                                                       \
        if ((value) == (unwanted))                                      \
            check_fails(__FILE__, __LINE__, #value, (long)(unwanted), 1); \
    } while (0)

/* A call that does not wait, again and again. */
#define AWAIT(call, wanted)                                             \
    do {                                                                \
        casemate_status status_;                                        \
        while ((status_ = (call)) == CASEMATE_PENDING)                  \
            ;                                                           \
        CHECK(status_, wanted);                                         \
    } while (0)
