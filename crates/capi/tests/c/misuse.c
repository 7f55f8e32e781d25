/* Everything a caller can get wrong that can be noticed: a status, never a crash. Arguments: the server's address. */
#include "check.h"

static casemate_client client;
static uint8_t packet[CASEMATE_PACKET_SIZE(CASEMATE_DEFAULT_DATA_LENGTH)];
static casemate_status entered = CASEMATE_INTERNAL;
static int closed;

static casemate_status mute_send(void *context, const uint8_t *bytes, size_t length)
{
    (void)context;
    (void)bytes;
    (void)length;
    /* A call from within a call. */
    entered = casemate_random(&client, packet, 0);
    CHECK(casemate_release(&client), CASEMATE_BUSY);
    return CASEMATE_OK;
}

static casemate_status mute_receive(void *context, uint8_t *bytes, size_t *length)
{
    (void)bytes;
    switch (*(int *)context) {
    case 0:
        return CASEMATE_NOT_READY;
    case 1:
        *length += 1; /* More than there is room for. */
        return CASEMATE_OK;
    case 2:
        *length = 3; /* Shorter than a header. */
        memset(bytes, 0, 3);
        return CASEMATE_OK;
    case 3:
        return CASEMATE_CLOSED;
    default:
        return -12345;
    }
}

static void mute_close(void *context)
{
    (void)context;
    closed++;
}

static uint64_t ticking(void *context)
{
    static uint64_t now;

    (void)context;
    return now += 1000;
}

static void own_transport_misbehaves(void)
{
    int behaviour = 0;
    uint8_t bytes[4];
    casemate_transport transport = { 0 };
    casemate_options options = { 0 };

    transport.context = &behaviour;
    CHECK(casemate_open_transport(&client, sizeof client, packet, sizeof packet, NULL, &transport),
          CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_release(&client), CASEMATE_OK); /* After a failed open too. */
    {
        /* A packet buffer that is, or begins or ends in, what else the call is given. */
        union {
            uint8_t bytes[256];
            uint32_t words[64];
            casemate_transport transport;
            casemate_stream stream;
            char address[32];
            casemate_client client;
        } both;
        memset(&both, 0, sizeof both);
        both.transport = transport;
        both.transport.send = mute_send;
        both.transport.receive = mute_receive;
        CHECK(casemate_open_transport(&client, sizeof client, both.bytes, sizeof both, NULL, &both.transport),
              CASEMATE_BAD_ARGUMENT);
        CHECK(casemate_open_transport(&client, sizeof client, both.bytes + 8, 64, NULL, &both.transport),
              CASEMATE_BAD_ARGUMENT);
        CHECK(casemate_open_transport(&both.client, sizeof both.client, packet, sizeof packet, NULL, &both.transport),
              CASEMATE_BAD_ARGUMENT);
        CHECK(casemate_open_stream(&client, sizeof client, both.bytes, sizeof both, NULL, &both.stream),
              CASEMATE_BAD_ARGUMENT);
        memcpy(both.address, "unix:///nowhere", 16);
        CHECK(casemate_open(&client, sizeof client, both.bytes + 15, 64, NULL, both.address), CASEMATE_BAD_ARGUMENT);
        CHECK(casemate_open_memory(&client, sizeof client, packet, sizeof packet, NULL, both.words, 128,
                                   both.words + 31, 128), CASEMATE_BAD_ARGUMENT);
        CHECK(casemate_open_memory(&client, sizeof client, both.bytes + 252, 32, NULL, both.words, 128,
                                   both.words + 32, 128), CASEMATE_BAD_ARGUMENT);
        CHECK(casemate_release(&client), CASEMATE_NOT_OPEN); /* Nothing was begun. */
    }
    transport.send = mute_send;
    transport.receive = mute_receive;
    transport.close = mute_close;
    options.now = ticking;
    options.timeout_milliseconds = 50;
    CHECK(casemate_open_transport(&client, sizeof client, packet, sizeof packet, &options, &transport), CASEMATE_OK);
    CHECK(casemate_open_transport(&client, sizeof client, packet, sizeof packet, &options, &transport),
          CASEMATE_ALREADY_OPEN);
    CHECK(casemate_random(&client, bytes, sizeof bytes), CASEMATE_TIMEOUT);
    CHECK(entered, CASEMATE_BUSY);
    behaviour = 1;
    CHECK(casemate_random(&client, bytes, sizeof bytes), CASEMATE_TRANSPORT_FAILED);
    behaviour = 2;
    CHECK(casemate_random(&client, bytes, sizeof bytes), CASEMATE_PROTOCOL);
    behaviour = 3;
    CHECK(casemate_random(&client, bytes, sizeof bytes), CASEMATE_CLOSED);
    behaviour = 4;
    CHECK(casemate_random(&client, bytes, sizeof bytes), CASEMATE_TRANSPORT_FAILED);
    CHECK(closed, 0);
    CHECK(casemate_release(&client), CASEMATE_OK);
    CHECK(closed, 1);
}

static void clients_that_are_none(const char *address)
{
    casemate_client copy;
    uint8_t bytes[16];
    uintptr_t odd = (uintptr_t)&client + 1;

    CHECK(casemate_random(NULL, bytes, sizeof bytes), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_random((casemate_client *)odd, bytes, sizeof bytes), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_random(&client, bytes, sizeof bytes), CASEMATE_NOT_OPEN);
    CHECK(casemate_close(&client), CASEMATE_NOT_OPEN);
    CHECK(casemate_release(&client), CASEMATE_NOT_OPEN);
    CHECK(casemate_release(NULL), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_open(NULL, sizeof client, packet, sizeof packet, NULL, address), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_open(&client, 16, packet, sizeof packet, NULL, address), CASEMATE_WRONG_SIZE);
    CHECK(casemate_open(&client, sizeof client, NULL, sizeof packet, NULL, address), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_open(&client, sizeof client, packet, 7, NULL, address), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_open(&client, sizeof client, packet, SIZE_MAX, NULL, address), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_open(&client, sizeof client, client.bytes, sizeof client, NULL, address), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_open(&client, sizeof client, packet, sizeof packet, NULL, NULL), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_release(&client), CASEMATE_OK);
    CHECK(casemate_open(&client, sizeof client, packet, sizeof packet, NULL, "udp://nowhere"), CASEMATE_CONNECT_FAILED);
    CHECK(casemate_random(&client, bytes, sizeof bytes), CASEMATE_NOT_OPEN);
    CHECK(casemate_release(&client), CASEMATE_OK);
    CHECK(casemate_open(&client, sizeof client, packet, sizeof packet, NULL, address), CASEMATE_OK);
    memcpy(&copy, &client, sizeof copy);
    CHECK(casemate_init(&copy, 1, NULL), CASEMATE_NOT_OPEN); /* A copy is no client. */
    CHECK(casemate_init(&client, 0, NULL), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_init(&client, 16, NULL), CASEMATE_BAD_ARGUMENT);
}

static void arguments(void)
{
    static uint8_t large[100000];
    uint8_t bytes[64] = { 0 }, tag[16];
    size_t length, *odd_length = (size_t *)(void *)(bytes + 1);
    uint16_t number = 0;
    casemate_key key = casemate_key_named(1), none = casemate_key_named(0), both = casemate_key_inline(bytes, 16);
    casemate_hash_state hash, other;
    casemate_metadata metadata = { 0 };
    casemate_new_key what = { 0 };

    both.id = 1;
    /* Before INIT the server knows nobody. */
    CHECK_NOT(casemate_random(&client, bytes, sizeof bytes), CASEMATE_OK);
    CHECK(casemate_init(&client, 5, NULL), CASEMATE_OK);
    /* Null. */
    CHECK(casemate_random(&client, NULL, 1), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_random(&client, NULL, 0), CASEMATE_OK);
    CHECK(casemate_echo(&client, NULL, 1, bytes, &length), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_echo(&client, bytes, 1, bytes + 32, NULL), CASEMATE_BAD_ARGUMENT);
    length = 16;
    CHECK(casemate_echo(&client, bytes, 1, NULL, &length), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_get_info(&client, NULL), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_key_cache(&client, NULL, bytes, 16, &number), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_key_cache(&client, &what, bytes, 16, NULL), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_key_cache(&client, &what, NULL, 16, &number), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_key_cache(&client, &what, NULL, 0, &number), CASEMATE_BAD_ARGUMENT); /* An empty key. */
    CHECK(casemate_login(&client, NULL, CASEMATE_CREDENTIAL_PIN, bytes, 4, NULL), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_login(&client, "", CASEMATE_CREDENTIAL_PIN, bytes, 4, NULL), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_aes_cbc(&client, key, CASEMATE_ENCRYPT, NULL, bytes, bytes, 16), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_hash_begin(NULL, CASEMATE_SHA256), CASEMATE_BAD_ARGUMENT);
    /* Misaligned. */
    length = 16;
    CHECK(casemate_echo(&client, bytes, 1, bytes + 32, odd_length), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_nvm_next(&client, 0, (uint16_t *)(void *)(bytes + 1)), CASEMATE_BAD_ARGUMENT);
    /* Lengths. */
    CHECK(casemate_random(&client, bytes, SIZE_MAX), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_random(&client, bytes, SIZE_MAX / 2 + 1), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_aes_ecb(&client, key, CASEMATE_ENCRYPT, bytes, bytes, 15), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_aes_gcm_encrypt(&client, key, bytes, 0, NULL, 0, bytes, bytes, 16, tag, 16), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_aes_gcm_encrypt(&client, key, bytes, 12, NULL, 0, bytes + 16, bytes + 16, 16, tag, 3),
          CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_nvm_add(&client, &metadata, large, sizeof large), CASEMATE_BAD_ARGUMENT); /* Object 0. */
    metadata.id = 1;
    CHECK(casemate_nvm_add(&client, &metadata, large, sizeof large), CASEMATE_TOO_LONG);
    length = 3;
    CHECK(casemate_echo(&client, bytes, 10, bytes + 32, &length), CASEMATE_BUFFER_TOO_SMALL);
    CHECK(length, 10);
    /* Overlap. */
    length = 16;
    CHECK(casemate_echo(&client, bytes, 16, bytes + 8, &length), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_aes_ecb(&client, key, CASEMATE_ENCRYPT, bytes, bytes + 1, 16), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_aes_gcm_encrypt(&client, key, bytes, 12, NULL, 0, bytes, bytes, 16, bytes + 15, 16),
          CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_random(&client, packet + 20, 4), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_random(&client, client.bytes + 8, 4), CASEMATE_BAD_ARGUMENT);
    /* Numbers that are none. */
    CHECK(casemate_hash_begin(&hash, 99), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_aes_ecb(&client, key, 2, bytes, bytes, 16), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_aes_ecb(&client, none, CASEMATE_ENCRYPT, bytes, bytes, 16), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_aes_ecb(&client, both, CASEMATE_ENCRYPT, bytes + 16, bytes + 16, 16), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_key_pair_generate(&client, casemate_pair_of(77, 0, 0), &what, &number), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_key_pair_generate(&client, casemate_pair_ec(77), &what, &number), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_counter_read(&client, 0, (uint32_t *)(void *)tag), CASEMATE_BAD_ARGUMENT);
    /* States out of order. */
    memset(&hash, 0xA5, sizeof hash);
    CHECK(casemate_hash_update(&client, &hash, bytes, 1), CASEMATE_NOT_OPEN);
    CHECK(casemate_hash_end(&hash), CASEMATE_NOT_OPEN);
    CHECK(casemate_hash_begin(&hash, CASEMATE_SHA256), CASEMATE_OK);
    memcpy(&other, &hash, sizeof other);
    CHECK(casemate_hash_update(&client, &other, bytes, 1), CASEMATE_NOT_OPEN);
    CHECK(casemate_hmac_update(&client, (casemate_hmac_state *)(void *)&hash, bytes, 1), CASEMATE_NOT_OPEN);
    CHECK(casemate_hash_end(&hash), CASEMATE_OK);
    CHECK(casemate_hash_end(&hash), CASEMATE_NOT_OPEN);
    /* After all this the connection is as good as before. */
    length = 32;
    CHECK(casemate_echo(&client, bytes, 10, bytes + 32, &length), CASEMATE_OK);
}

static void split_calls_out_of_order(void)
{
    uint8_t bytes[16], small[4], large[4000];
    size_t length = sizeof small;
    uint32_t value = 0;
    char text[200];

    CHECK(casemate_set_blocking(&client, 0), CASEMATE_OK);
    CHECK(casemate_random(&client, bytes, sizeof bytes), CASEMATE_PENDING);
    CHECK(casemate_counter_read(&client, 1, &value), CASEMATE_OTHER_CALL);
    CHECK(casemate_aes_ecb(&client, casemate_key_named(1), CASEMATE_ENCRYPT, bytes, bytes, 16), CASEMATE_OTHER_CALL);
    AWAIT(casemate_random(&client, bytes, sizeof bytes), CASEMATE_OK);
    CHECK(casemate_random(&client, bytes, sizeof bytes), CASEMATE_PENDING);
    CHECK(casemate_abandon(&client), CASEMATE_OK);
    AWAIT(casemate_counter_read(&client, 77, &value), CASEMATE_SERVER_NOT_FOUND);
    CHECK(casemate_error_text(&client, text, sizeof text), CASEMATE_OK);
    CHECK_NOT(strstr(text, "NOT_FOUND"), NULL);
    CHECK(casemate_error_text(&client, text, 5), CASEMATE_OK);
    CHECK((long)strlen(text), 4);
    CHECK(casemate_error_text(&client, text, 0), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_random(&client, large, sizeof large), CASEMATE_TOO_LONG);
    CHECK(casemate_nvm_read(&client, 1, bytes, &length), CASEMATE_SEVERAL_REQUESTS);
    /* The buffer is found too small when the response is there. */
    length = sizeof small;
    AWAIT(casemate_echo(&client, bytes, sizeof bytes, small, &length), CASEMATE_BUFFER_TOO_SMALL);
    CHECK((long)length, (long)sizeof bytes);
    CHECK(casemate_set_blocking(&client, 1), CASEMATE_OK);
}

static void an_output_that_is_not_the_input(void)
{
    static const uint8_t zeros[16];
    uint8_t input[16], output[16];
    casemate_key no_key = casemate_key_named(200);

    memset(input, 'i', sizeof input);
    memset(output, 'o', sizeof output);
    /* A failed encryption must not leave the plaintext where the ciphertext is expected. */
    CHECK(casemate_aes_ecb(&client, no_key, CASEMATE_ENCRYPT, input, output, 16), CASEMATE_SERVER_NOT_FOUND);
    CHECK(memcmp(output, zeros, 16), 0);
    CHECK(casemate_aes_ecb(&client, no_key, CASEMATE_ENCRYPT, input, input, 16), CASEMATE_SERVER_NOT_FOUND);
    CHECK(input[0], 'i');
}

/* Two blocks of memory, and a server that repeats what it finds in one of them. */
static void memory_that_two_share(void)
{
    static uint32_t request[40], response[40];
    uint8_t echoed[16];
    size_t length = sizeof echoed;

    CHECK(casemate_open_memory(&client, sizeof client, packet, sizeof packet, NULL, NULL, 160, response, 160),
          CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_release(&client), CASEMATE_OK);
    CHECK(casemate_open_memory(&client, sizeof client, packet, sizeof packet, NULL, (uint8_t *)request + 2, 100,
                               response, 160), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_release(&client), CASEMATE_OK);
    CHECK(casemate_open_memory(&client, sizeof client, packet, sizeof packet, NULL, request, 12, response, 160),
          CASEMATE_NO_SHARED_MEMORY);
    CHECK(casemate_release(&client), CASEMATE_OK);
    CHECK(casemate_open_memory(&client, sizeof client, packet, sizeof packet, NULL, request, 160, response, 160),
          CASEMATE_OK);
    CHECK(casemate_set_blocking(&client, 0), CASEMATE_OK);
    CHECK(casemate_echo(&client, (const uint8_t *)"two cores", 9, echoed, &length), CASEMATE_PENDING);
    CHECK(casemate_echo(&client, (const uint8_t *)"two cores", 9, echoed, &length), CASEMATE_PENDING);
    memcpy(response, request, sizeof response);
    CHECK(casemate_echo(&client, (const uint8_t *)"two cores", 9, echoed, &length), CASEMATE_OK);
    CHECK(length == 9 && memcmp(echoed, "two cores", 9) == 0, 1);
    CHECK(casemate_release(&client), CASEMATE_OK);
}

/* A byte stream that gives one byte at a time, and an impossible length at the end. */
static struct {
    uint8_t bytes[200];
    size_t filled, taken;
} loop;

static casemate_status loop_write(void *context, const uint8_t *bytes, size_t length)
{
    (void)context;
    memcpy(loop.bytes + loop.filled, bytes, length);
    loop.filled += length;
    return CASEMATE_OK;
}

static casemate_status loop_read(void *context, uint8_t *bytes, size_t *length)
{
    (void)context;
    *length = loop.taken < loop.filled;
    if (*length)
        *bytes = loop.bytes[loop.taken++];
    return CASEMATE_OK;
}

static void a_stream_in_single_bytes(void)
{
    casemate_stream stream = { 0 };
    uint8_t echoed[16];
    size_t length = sizeof echoed, before;
    int turns = 0;

    stream.write = loop_write;
    stream.read = loop_read;
    CHECK(casemate_open_stream(&client, sizeof client, packet, sizeof packet, NULL, &stream), CASEMATE_OK);
    CHECK(casemate_echo(&client, (const uint8_t *)"drop", 4, echoed, &length), CASEMATE_OK);
    CHECK(memcmp(echoed, "drop", 4), 0);
    /* Half of a response has come when its call is abandoned: the rest is thrown away, and the next one is whole. */
    CHECK(casemate_set_blocking(&client, 0), CASEMATE_OK);
    length = sizeof echoed;
    CHECK(casemate_echo(&client, (const uint8_t *)"old", 3, echoed, &length), CASEMATE_PENDING);
    before = loop.filled;
    loop.filled -= 6;
    CHECK(casemate_echo(&client, (const uint8_t *)"old", 3, echoed, &length), CASEMATE_PENDING);
    loop.filled = before;
    CHECK(casemate_abandon(&client), CASEMATE_OK);
    length = sizeof echoed;
    AWAIT((turns++, casemate_echo(&client, (const uint8_t *)"fresh", 5, echoed, &length)), CASEMATE_OK);
    CHECK(length == 5 && memcmp(echoed, "fresh", 5) == 0, 1);
    /* Nonsense ends the connection. */
    memset(loop.bytes + loop.filled, 0xFF, 8);
    loop.filled += 8;
    CHECK(casemate_set_blocking(&client, 1), CASEMATE_OK);
    length = sizeof echoed;
    CHECK(casemate_echo(&client, (const uint8_t *)"more", 4, echoed, &length), CASEMATE_TRANSPORT_FAILED);
    CHECK(casemate_echo(&client, (const uint8_t *)"more", 4, echoed, &length), CASEMATE_CLOSED);
    CHECK(casemate_release(&client), CASEMATE_OK);
}

int main(int count, char **words)
{
    uint8_t byte;

    if (count != 2)
        return 2;
    own_transport_misbehaves();
    memory_that_two_share();
    a_stream_in_single_bytes();
    clients_that_are_none(words[1]);
    arguments();
    split_calls_out_of_order();
    an_output_that_is_not_the_input();
    CHECK(casemate_close(&client), CASEMATE_OK);
    CHECK_NOT(casemate_random(&client, &byte, 1), CASEMATE_OK);
    CHECK(casemate_release(&client), CASEMATE_OK);
    CHECK(casemate_release(&client), CASEMATE_NOT_OPEN);
    for (byte = 0; byte < sizeof packet / 8; byte++)
        CHECK(packet[byte], 0); /* Wiped. */
    printf("%d checks\n", checks);
    return 0;
}
