/* The client on a device without an operating system: a Cortex-M3 (Arm's MPS2 AN385 board, which QEMU emulates) that talks
 * to a server over its serial line. `cargo xtask ports c-client` builds and runs it.
 *
 * What a program on another device replaces: the addresses of the serial line below, the memory map in memory.ld, and the
 * output over the debugger in board.c.
 */
#include <casemate.h>

#include "board.h"

/* The UART of Arm's Cortex-M System Design Kit. */
#define UART_DATA (*(volatile uint32_t *)0x40004000u)
#define UART_STATE (*(volatile uint32_t *)0x40004004u)
#define UART_CONTROL (*(volatile uint32_t *)0x40004008u)
#define UART_DIVIDER (*(volatile uint32_t *)0x40004010u)
#define TRANSMIT_FULL 1u
#define RECEIVE_FULL 2u

static casemate_client client;
static uint8_t packet[CASEMATE_PACKET_SIZE(CASEMATE_DEFAULT_DATA_LENGTH)];

static casemate_status uart_write(void *context, const uint8_t *bytes, size_t length)
{
    (void)context;
    while (length-- > 0) {
        while (UART_STATE & TRANSMIT_FULL)
            ;
        UART_DATA = *bytes++;
    }
    return CASEMATE_OK;
}

static casemate_status uart_read(void *context, uint8_t *bytes, size_t *length)
{
    size_t room = *length, count = 0;

    (void)context;
    while (count < room && (UART_STATE & RECEIVE_FULL))
        bytes[count++] = (uint8_t)UART_DATA;
    *length = count;
    return CASEMATE_OK;
}

#define TRY(call)                                       \
    do {                                                \
        casemate_status status_ = (call);               \
        if (status_ != CASEMATE_OK) {                   \
            board_print(#call ": ");                    \
            board_print(casemate_status_text(status_)); \
            board_print("\n");                          \
            board_exit(1);                              \
        }                                               \
    } while (0)

int main(void)
{
    static const uint8_t text[] = "from a device without an operating system";
    static uint8_t work[sizeof text];
    uint8_t iv[12], tag[16], digest[32], signature[72];
    size_t digest_length = sizeof digest, signature_length = sizeof signature;
    casemate_stream line = { 0 };
    casemate_new_key what = { 0 };
    casemate_key_id cipher_key, signing_key;
    casemate_status status;
    uint32_t turns = 0;

    UART_DIVIDER = 16;
    UART_CONTROL = 3; /* Transmit and receive. */

    line.write = uart_write;
    line.read = uart_read;
    TRY(casemate_open_stream(&client, sizeof client, packet, sizeof packet, NULL, &line));
    TRY(casemate_init(&client, 7, NULL));
    TRY(casemate_learn_limits(&client, NULL));

    what.flags = CASEMATE_FLAG_ENCRYPT | CASEMATE_FLAG_DECRYPT | CASEMATE_FLAG_NONEXPORTABLE;
    TRY(casemate_key_cache_random(&client, &what, 32, &cipher_key));
    TRY(casemate_random(&client, iv, sizeof iv));
    TRY(casemate_aes_gcm_encrypt(&client, casemate_key_named(cipher_key), iv, sizeof iv, NULL, 0, text, work,
                                 sizeof text, tag, sizeof tag));
    TRY(casemate_aes_gcm_decrypt(&client, casemate_key_named(cipher_key), iv, sizeof iv, NULL, 0, work, work,
                                 sizeof text, tag, sizeof tag));
    board_print((const char *)work);
    board_print("\n");

    what.flags = CASEMATE_FLAG_SIGN | CASEMATE_FLAG_VERIFY | CASEMATE_FLAG_NONEXPORTABLE;
    TRY(casemate_key_pair_generate(&client, casemate_pair_ec(CASEMATE_P256), &what, &signing_key));
    TRY(casemate_hash(&client, CASEMATE_SHA256, text, sizeof text, digest, &digest_length));
    TRY(casemate_ecdsa_sign(&client, casemate_key_named(signing_key), digest, digest_length, signature,
                            &signature_length));

    /* The same calls without waiting, while the device does something else. */
    TRY(casemate_set_blocking(&client, 0));
    while ((status = casemate_ecdsa_verify(&client, casemate_key_named(signing_key), signature, signature_length,
                                           digest, digest_length)) == CASEMATE_PENDING)
        turns++;
    TRY(status);
    signature[signature_length - 1] ^= 1;
    while ((status = casemate_ecdsa_verify(&client, casemate_key_named(signing_key), signature, signature_length,
                                           digest, digest_length)) == CASEMATE_PENDING)
        turns++;
    board_print(status == CASEMATE_SIGNATURE_INVALID && turns > 0 ? "signed and verified\n" : "NOT verified\n");

    TRY(casemate_set_blocking(&client, 1));
    TRY(casemate_close(&client));
    TRY(casemate_release(&client));
    board_print_number("stack ", board_stack_used());
    return status == CASEMATE_SIGNATURE_INVALID ? 0 : 1;
}
