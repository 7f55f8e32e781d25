// The unix port: random numbers and time from the operating system.
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include "casemate.h"

int32_t casemate_port_random(uint8_t *output, size_t length) {
    // A device file in place of getrandom(2): it is there on every system that the port runs on.
    int source = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (source < 0) {
        return -1;
    }
    while (length > 0) {
        ssize_t count = read(source, output, length);
        if (count <= 0) {
            if (count < 0 && errno == EINTR) {
                continue;
            }
            close(source);
            return -1;
        }
        output += count;
        length -= count;
    }
    close(source);
    return 0;
}

uint64_t casemate_port_time(void) {
    return time(NULL);
}

uint32_t casemate_port_milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
