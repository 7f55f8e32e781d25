/* Connects to a server, and uses keys that stay there: random numbers, AES-GCM, an ECDSA signature.
 *
 *     casemate serve &
 *     cc hello.c $(pkg-config --cflags --libs casemate) -o hello && ./hello tcp://127.0.0.1:23456
 */
#include <casemate.h>

#include <stdio.h>
#include <string.h>

/* Memory: a client and a buffer for one packet. The library asks for no more, apart from its sockets. */
static casemate_client client;
static uint8_t packet[CASEMATE_PACKET_SIZE(CASEMATE_DEFAULT_DATA_LENGTH)];

static int failed(const char *what, casemate_status status)
{
    char reason[256];

    if (casemate_error_text(&client, reason, sizeof reason) != CASEMATE_OK)
        strncpy(reason, casemate_status_text(status), sizeof reason - 1);
    fprintf(stderr, "%s: %d: %s\n", what, (int)status, reason);
    casemate_release(&client);
    return 1;
}

#define TRY(call) do { casemate_status s = (call); if (s != CASEMATE_OK) return failed(#call, s); } while (0)

int main(int count, char **arguments)
{
    const char *address = count > 1 ? arguments[1] : "tcp://127.0.0.1:23456";
    const uint8_t aad[] = "to whom it may concern";
    uint8_t text[] = "Keys here can be used, and never leave.";
    uint8_t iv[12], tag[16], digest[32], signature[80];
    size_t digest_length = sizeof digest, signature_length = sizeof signature;
    casemate_options options = { 0 };
    casemate_new_key what = { 0 };
    casemate_key_id cipher_key, signing_key;

    options.timeout_milliseconds = 10000;
    TRY(casemate_open(&client, sizeof client, packet, sizeof packet, &options, address));
    TRY(casemate_init(&client, 1, NULL));
    TRY(casemate_learn_limits(&client, NULL));

    /* A key that nobody outside the server has seen. */
    what.flags = CASEMATE_FLAG_ENCRYPT | CASEMATE_FLAG_DECRYPT | CASEMATE_FLAG_NONEXPORTABLE;
    TRY(casemate_label_set(what.label, "hello"));
    TRY(casemate_key_cache_random(&client, &what, 32, &cipher_key));

    /* The initialisation vector must never serve twice with a key. */
    TRY(casemate_random(&client, iv, sizeof iv));
    TRY(casemate_aes_gcm_encrypt(&client, casemate_key_named(cipher_key), iv, sizeof iv, aad, sizeof aad - 1, text,
                                 text, sizeof text, tag, sizeof tag));
    TRY(casemate_aes_gcm_decrypt(&client, casemate_key_named(cipher_key), iv, sizeof iv, aad, sizeof aad - 1, text,
                                 text, sizeof text, tag, sizeof tag));
    printf("%s\n", (const char *)text);

    what.flags = CASEMATE_FLAG_SIGN | CASEMATE_FLAG_VERIFY | CASEMATE_FLAG_NONEXPORTABLE;
    TRY(casemate_key_pair_generate(&client, casemate_pair_ec(CASEMATE_P256), &what, &signing_key));
    TRY(casemate_hash(&client, CASEMATE_SHA256, text, sizeof text, digest, &digest_length));
    TRY(casemate_ecdsa_sign(&client, casemate_key_named(signing_key), digest, digest_length, signature,
                            &signature_length));
    TRY(casemate_ecdsa_verify(&client, casemate_key_named(signing_key), signature, signature_length, digest,
                              digest_length));
    digest[0] ^= 1;
    if (casemate_ecdsa_verify(&client, casemate_key_named(signing_key), signature, signature_length, digest,
                              digest_length) != CASEMATE_SIGNATURE_INVALID)
        return failed("a signature of something else", CASEMATE_INTERNAL);
    printf("signed and verified\n");

    TRY(casemate_key_erase(&client, cipher_key));
    TRY(casemate_key_erase(&client, signing_key));
    TRY(casemate_close(&client));
    casemate_release(&client);
    return 0;
}
