/* A transport of one's own: functions that move bytes, here over a socket, on a device over a serial line. The library
 * puts the length in front of each packet; casemate_open_transport is for lines that move whole packets by themselves.
 *
 *     own_transport HOST PORT
 */
#define _POSIX_C_SOURCE 200809L

#include <casemate.h>

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static casemate_client client;
static uint8_t packet[CASEMATE_PACKET_SIZE(CASEMATE_DEFAULT_DATA_LENGTH)];

struct line {
    int socket;
    unsigned long written, read;
};

/* Sends all bytes; it may wait. */
static casemate_status line_write(void *context, const uint8_t *bytes, size_t length)
{
    struct line *line = context;

    while (length > 0) {
        ssize_t sent = send(line->socket, bytes, length, MSG_NOSIGNAL);

        if (sent < 0)
            return errno == EPIPE ? CASEMATE_CLOSED : CASEMATE_TRANSPORT_FAILED;
        bytes += sent;
        length -= (size_t)sent;
        line->written += (unsigned long)sent;
    }
    return CASEMATE_OK;
}

/* Gives what has come; it never waits. */
static casemate_status line_read(void *context, uint8_t *bytes, size_t *length)
{
    struct line *line = context;
    ssize_t received = recv(line->socket, bytes, *length, MSG_DONTWAIT);

    if (received < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? CASEMATE_NOT_READY : CASEMATE_TRANSPORT_FAILED;
    if (received == 0)
        return CASEMATE_CLOSED;
    *length = (size_t)received;
    line->read += (unsigned long)received;
    return CASEMATE_OK;
}

static void line_close(void *context)
{
    close(((struct line *)context)->socket);
}

/* Called while nothing has come: sleeps until something does. A device would wait for its interrupt. */
static void line_wait(void *context, uint32_t microseconds)
{
    struct pollfd event = { 0, POLLIN, 0 };

    event.fd = ((struct line *)context)->socket;
    poll(&event, 1, (int)(microseconds / 1000) + 1);
}

/* The clock behind the timeout. */
static uint64_t line_now(void *context)
{
    struct timespec now;

    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static int connect_to(const char *host, const char *port)
{
    struct addrinfo hints = { 0 }, *found;
    int result;

    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    result = socket(found->ai_family, SOCK_STREAM, 0);
    if (result >= 0 && connect(result, found->ai_addr, found->ai_addrlen) != 0) {
        close(result);
        result = -1;
    }
    freeaddrinfo(found);
    return result;
}

int main(int count, char **arguments)
{
    static struct line line;
    casemate_stream stream = { 0 };
    casemate_options options = { 0 };
    uint8_t echoed[64];
    size_t length = sizeof echoed;
    uint32_t value = 0;
    casemate_status status;

    if (count != 3 || (line.socket = connect_to(arguments[1], arguments[2])) < 0) {
        fprintf(stderr, "own_transport HOST PORT: cannot connect\n");
        return 1;
    }
    stream.context = &line;
    stream.write = line_write;
    stream.read = line_read;
    stream.close = line_close;
    options.timeout_milliseconds = 10000;
    options.context = &line;
    options.now = line_now;
    options.wait = line_wait;
    status = casemate_open_stream(&client, sizeof client, packet, sizeof packet, &options, &stream);
    if (status == CASEMATE_OK)
        status = casemate_init(&client, 2, NULL);
    if (status == CASEMATE_OK)
        status = casemate_echo(&client, (const uint8_t *)"over our own line", 17, echoed, &length);
    if (status == CASEMATE_OK)
        status = casemate_counter_init(&client, 1, 41, NULL);
    if (status == CASEMATE_OK)
        status = casemate_counter_increment(&client, 1, &value);
    if (status == CASEMATE_OK)
        status = casemate_counter_destroy(&client, 1);
    if (status == CASEMATE_OK)
        status = casemate_close(&client);
    casemate_release(&client);
    if (status != CASEMATE_OK) {
        fprintf(stderr, "%s\n", casemate_status_text(status));
        return 1;
    }
    printf("%.*s: %u, %lu bytes out, %lu bytes in\n", (int)length, (const char *)echoed, (unsigned)value,
           line.written, line.read);
    return value == 42 ? 0 : 1;
}
