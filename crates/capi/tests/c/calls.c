/* Every call, against a server: arguments are its address, and `shared` if client and server share memory. */
#include "check.h"

#define ME 6

static casemate_client client;
static uint8_t packet[CASEMATE_PACKET_SIZE_MAX];
static casemate_new_key what;

/* Known answers are checked against what the server itself cannot get wrong in both directions: published vectors. */
static const uint8_t aes_key[16] = { 0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                     0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c };
static const uint8_t aes_block[16] = { 0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
                                       0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a };
/* NIST SP 800-38A, F.1.1. */
static const uint8_t aes_ecb[16] = { 0x3a, 0xd7, 0x7b, 0xb4, 0x0d, 0x7a, 0x36, 0x60,
                                     0xa8, 0x9e, 0xca, 0xf3, 0x24, 0x66, 0xef, 0x97 };
/* RFC 4493, example 2. */
static const uint8_t aes_cmac[16] = { 0x07, 0x0a, 0x16, 0xb4, 0x6b, 0x4d, 0x41, 0x44,
                                      0xf7, 0x9b, 0xdd, 0x9d, 0xd0, 0x4a, 0x28, 0x7c };
/* FIPS 180-4 example: SHA-256 of "abc". */
static const uint8_t sha256_abc[32] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                        0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                        0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
/* RFC 4231, test case 2: HMAC-SHA-256 of "what do ya want for nothing?" under "Jefe". */
static const uint8_t hmac_jefe[32] = { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
                                       0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
                                       0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43 };
/* RFC 5869, A.1: the first 16 bytes. */
static const uint8_t hkdf_okm[16] = { 0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a,
                                      0x90, 0x43, 0x4f, 0x64, 0xd0, 0x36, 0x2f, 0x2a };

static casemate_key key(casemate_key_id id)
{
    return casemate_key_named(id);
}

static casemate_key_id import(const uint8_t *bytes, size_t length, uint16_t flags)
{
    casemate_key_id id = 0;

    what.id = 0;
    what.flags = flags;
    CHECK(casemate_key_cache(&client, &what, bytes, length, &id), CASEMATE_OK);
    return id;
}

static casemate_key_id pair(casemate_pair kind, uint16_t flags)
{
    casemate_key_id id = 0;

    what.id = 0;
    what.flags = flags;
    CHECK(casemate_key_pair_generate(&client, kind, &what, &id), CASEMATE_OK);
    return id;
}

static void library(void)
{
    CHECK(casemate_api_version(), CASEMATE_API_VERSION);
    CHECK(casemate_client_size() <= CASEMATE_CLIENT_SIZE, 1);
    CHECK(strcmp(casemate_status_text(CASEMATE_SERVER_NOT_FOUND), "No such object or key"), 0);
    CHECK(casemate_digest_size(CASEMATE_SHA384), 48);
    CHECK(casemate_digest_size(0), 0);
    CHECK(casemate_ec_field_size(CASEMATE_P521), 66);
    CHECK(casemate_ecdsa_signature_size(CASEMATE_P256), 72);
    CHECK(casemate_ml_dsa_signature_size(CASEMATE_ML_DSA_44), 2420);
    CHECK(casemate_ml_kem_ciphertext_size(CASEMATE_ML_KEM_768), 1088);
}

static void connection(void)
{
    casemate_info info, again;
    uint32_t id = 0;
    uint8_t echoed[8];
    size_t length = 0;

    CHECK(casemate_init(&client, ME, &id), CASEMATE_OK);
    CHECK(id, 57);
    CHECK(casemate_get_info(&client, &info), CASEMATE_OK);
    CHECK(info.data_length, 8192);
    CHECK(casemate_data_length(&client, &length), CASEMATE_OK);
    CHECK((long)length, 65000);
    CHECK(casemate_learn_limits(&client, &again), CASEMATE_OK);
    CHECK(memcmp(&info, &again, sizeof info), 0);
    CHECK(casemate_data_length(&client, &length), CASEMATE_OK);
    CHECK((long)length, 8192);
    length = sizeof echoed;
    CHECK(casemate_echo(&client, (const uint8_t *)"echo", 4, echoed, &length), CASEMATE_OK);
    CHECK((long)length, 4);
    CHECK(memcmp(echoed, "echo", 4), 0);
    CHECK(casemate_set_timeout(&client, 600000), CASEMATE_OK);
    CHECK(casemate_set_affinity(&client, CASEMATE_AFFINITY_SOFTWARE), CASEMATE_OK);
    CHECK(casemate_set_affinity(&client, CASEMATE_AFFINITY_HARDWARE), CASEMATE_OK);
    CHECK(casemate_wipe(&client), CASEMATE_OK);
    CHECK(casemate_abandon(&client), CASEMATE_OK);
}

static void users(void)
{
    casemate_permissions permissions;
    uint32_t keys[3] = { 1, 2, 3 };
    uint16_t user = 0;
    const uint8_t pin[] = "1234";

    CHECK(casemate_permissions_none(&permissions), CASEMATE_OK);
    CHECK(permissions.bytes[0], 0);
    CHECK(casemate_permissions_set_group(&permissions, 4, 1), CASEMATE_OK);
    CHECK(casemate_permissions_set_action(&permissions, 1, 2, 1), CASEMATE_OK);
    CHECK(permissions.bytes[4] && permissions.bytes[1] && !permissions.bytes[2], 1);
    CHECK(casemate_permissions_set_administrator(&permissions, 1), CASEMATE_OK);
    CHECK(casemate_permissions_set_keys(&permissions, keys, 2), CASEMATE_OK);
    CHECK(casemate_permissions_set_keys(&permissions, keys, 3), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_permissions_all(&permissions), CASEMATE_OK);
    CHECK(permissions.bytes[0], 0xFF);
    /* This server has no users, which it says. */
    CHECK(casemate_login(&client, "admin", CASEMATE_CREDENTIAL_PIN, pin, 4, &user), CASEMATE_SERVER_AUTH_NOT_ENABLED);
    CHECK(casemate_logout(&client, 1), CASEMATE_SERVER_AUTH_NOT_ENABLED);
    CHECK(casemate_user_add(&client, "u", &permissions, CASEMATE_CREDENTIAL_NONE, NULL, 0, &user),
          CASEMATE_SERVER_AUTH_NOT_ENABLED);
    CHECK(casemate_user_delete(&client, 1), CASEMATE_SERVER_AUTH_NOT_ENABLED);
    CHECK(casemate_user_get(&client, "u", &user, &permissions), CASEMATE_SERVER_AUTH_NOT_ENABLED);
    CHECK(casemate_user_set_permissions(&client, 1, &permissions), CASEMATE_SERVER_AUTH_NOT_ENABLED);
    CHECK(casemate_user_set_credential(&client, 1, pin, 4, CASEMATE_CREDENTIAL_PIN, pin, 4),
          CASEMATE_SERVER_AUTH_NOT_ENABLED);
}

static void objects(void)
{
    casemate_metadata metadata = { 0 }, found;
    casemate_available before, after;
    casemate_object_id next = 0, ids[25];
    uint8_t data[9000], back[9000];
    size_t length = sizeof back;
    uint32_t id = 0;
    int index;

    memset(data, 0x5A, sizeof data);
    CHECK(casemate_nvm_init(&client, 7, &id), CASEMATE_OK);
    CHECK(casemate_nvm_get_available(&client, &before), CASEMATE_OK);
    metadata.id = 0x42;
    metadata.access = 0xFFFF;
    metadata.flags = 0;
    CHECK(casemate_label_set(metadata.label, "an object with a label that is too long"), CASEMATE_OK);
    CHECK(casemate_nvm_add(&client, &metadata, data, 5000), CASEMATE_OK);
    CHECK(casemate_nvm_get_metadata(&client, 0x42, &found), CASEMATE_OK);
    CHECK(found.length, 5000);
    CHECK(memcmp(found.label, "an object with a label that is too long", 24), 0);
    CHECK(casemate_nvm_read(&client, 0x42, back, &length), CASEMATE_OK);
    CHECK((long)length, 5000);
    CHECK(memcmp(back, data, 5000), 0);
    length = 10;
    CHECK(casemate_nvm_read(&client, 0x42, back, &length), CASEMATE_BUFFER_TOO_SMALL);
    CHECK((long)length, 5000);
    CHECK(casemate_nvm_read_at(&client, 0x42, 4990, back, 10), CASEMATE_OK);
    CHECK_NOT(casemate_nvm_read_at(&client, 0x42, 4991, back, 10), CASEMATE_OK);
    CHECK(casemate_nvm_next(&client, 0, &next), CASEMATE_OK);
    while (next != 0x42)
        CHECK(casemate_nvm_next(&client, next, &next), CASEMATE_OK);
    CHECK(casemate_nvm_next(&client, next, &next), CASEMATE_END);
    for (index = 0; index < 25; index++)
        ids[index] = (casemate_object_id)(0x30 + index);
    CHECK(casemate_nvm_destroy(&client, ids, 25), CASEMATE_OK); /* 0x42 among them. */
    CHECK(casemate_nvm_destroy(&client, NULL, 0), CASEMATE_OK);
    CHECK(casemate_nvm_get_metadata(&client, 0x42, &found), CASEMATE_SERVER_NOT_FOUND);
    CHECK(casemate_nvm_compact(&client), CASEMATE_OK);
    CHECK(casemate_nvm_get_available(&client, &after), CASEMATE_OK);
    CHECK(after.free_size, before.free_size + before.reclaimable_size);
    CHECK(casemate_nvm_cleanup(&client), CASEMATE_OK);
}

static void keys(void)
{
    casemate_key_id id, kek, random_key, unwrapped = 0;
    casemate_metadata metadata = { 0 }, found;
    uint8_t bytes[300], blob[400], back[300], label[24];
    size_t length = sizeof bytes, blob_length = sizeof blob, back_length = sizeof back;

    CHECK(casemate_label_set(what.label, "mine"), CASEMATE_OK);
    id = import(aes_key, 16, CASEMATE_FLAG_ANY_USE);
    CHECK(casemate_key_export(&client, id, bytes, &length, label), CASEMATE_OK);
    CHECK(length == 16 && memcmp(bytes, aes_key, 16) == 0 && strcmp((char *)label, "mine") == 0, 1);
    CHECK(casemate_key_commit(&client, id), CASEMATE_OK);
    CHECK(casemate_key_evict(&client, id), CASEMATE_OK);
    length = sizeof bytes;
    CHECK(casemate_key_export(&client, id, bytes, &length, NULL), CASEMATE_OK); /* Back from the store. */
    what.flags = CASEMATE_FLAG_WRAP;
    CHECK(casemate_key_cache_random(&client, &what, 32, &kek), CASEMATE_OK);
    CHECK(casemate_data_wrap(&client, kek, bytes, 16, blob, &blob_length), CASEMATE_OK);
    CHECK((long)blob_length, 44);
    CHECK(casemate_data_unwrap(&client, kek, blob, blob_length, back, &back_length), CASEMATE_OK);
    CHECK(back_length == 16 && memcmp(back, aes_key, 16) == 0, 1);
    blob[30] ^= 1;
    back_length = sizeof back;
    CHECK(casemate_data_unwrap(&client, kek, blob, blob_length, back, &back_length),
          CASEMATE_SERVER_AES_GCM_AUTHENTICATION);
    metadata.id = (casemate_object_id)(0x4000 + 256 * ME + 9);
    metadata.flags = CASEMATE_FLAG_ENCRYPT;
    blob_length = sizeof blob;
    CHECK(casemate_key_wrap(&client, kek, &metadata, aes_key, 16, blob, &blob_length), CASEMATE_OK);
    back_length = sizeof back;
    CHECK(casemate_key_unwrap_export(&client, kek, blob, blob_length, back, &back_length, &found), CASEMATE_OK);
    CHECK(back_length == 16 && memcmp(back, aes_key, 16) == 0 && found.flags == CASEMATE_FLAG_ENCRYPT, 1);
    /* Number 250 is the trusted key that the server's owner has provided. */
    CHECK(casemate_key_unwrap_cache(&client, kek, blob, blob_length, &unwrapped), CASEMATE_SERVER_ACCESS);
    blob_length = sizeof blob;
    CHECK(casemate_key_wrap(&client, 250, &metadata, aes_key, 16, blob, &blob_length), CASEMATE_OK);
    CHECK(casemate_key_unwrap_cache(&client, 250, blob, blob_length, &unwrapped), CASEMATE_OK);
    memcpy(back, aes_block, 16);
    CHECK(casemate_aes_ecb(&client, key(unwrapped), CASEMATE_ENCRYPT, back, back, 16), CASEMATE_OK);
    CHECK(memcmp(back, aes_ecb, 16), 0);
    blob_length = sizeof blob;
    CHECK(casemate_key_wrap_export(&client, 250, id, CASEMATE_OBJECT_KEY, blob, &blob_length), CASEMATE_OK);
    CHECK((long)blob_length, 76);
    CHECK(casemate_key_revoke(&client, id), CASEMATE_OK);
    CHECK(casemate_aes_ecb(&client, key(id), CASEMATE_ENCRYPT, back, back, 16), CASEMATE_SERVER_USAGE);
    what.flags = 0;
    CHECK(casemate_key_cache_random(&client, &what, 16, &random_key), CASEMATE_OK);
    CHECK(casemate_key_erase(&client, random_key), CASEMATE_OK);
    CHECK(casemate_key_evict(&client, random_key), CASEMATE_SERVER_NOT_FOUND);
    CHECK(casemate_key_evict(&client, unwrapped), CASEMATE_OK);
    CHECK(casemate_key_evict(&client, kek), CASEMATE_OK);
    CHECK(casemate_key_erase(&client, id), CASEMATE_SERVER_ACCESS); /* Revoked: for good. */
}

static void counters(void)
{
    uint32_t value = 0;

    CHECK(casemate_counter_init(&client, 3, 10, &value), CASEMATE_OK);
    CHECK(casemate_counter_increment(&client, 3, &value), CASEMATE_OK);
    CHECK(value, 11);
    CHECK(casemate_counter_increment(&client, 3, NULL), CASEMATE_OK);
    CHECK(casemate_counter_read(&client, 3, &value), CASEMATE_OK);
    CHECK(value, 12);
    CHECK(casemate_counter_destroy(&client, 3), CASEMATE_OK);
    CHECK(casemate_counter_read(&client, 3, &value), CASEMATE_SERVER_NOT_FOUND);
}

static void ciphers(void)
{
    static uint8_t input[20000], output[20000], back[20000];
    casemate_key_id id = import(aes_key, 16, CASEMATE_FLAG_ENCRYPT | CASEMATE_FLAG_DECRYPT);
    casemate_key inline_key = casemate_key_inline(aes_key, 16);
    casemate_ctr stream = { { 0 }, { 0 }, 0 }, other;
    uint8_t iv[16] = { 0 }, iv2[16] = { 0 }, tag[16], block[16];
    size_t index;

    CHECK(casemate_random(&client, input, sizeof input), CASEMATE_OK);
    CHECK_NOT(memcmp(input, output, sizeof input), 0);
    CHECK(casemate_aes_ecb(&client, key(id), CASEMATE_ENCRYPT, aes_block, block, 16), CASEMATE_OK);
    CHECK(memcmp(block, aes_ecb, 16), 0);
    CHECK(casemate_aes_ecb(&client, inline_key, CASEMATE_DECRYPT, block, block, 16), CASEMATE_OK);
    CHECK(memcmp(block, aes_block, 16), 0);
    /* More than a packet. */
    CHECK(casemate_aes_cbc(&client, key(id), CASEMATE_ENCRYPT, iv, input, output, sizeof input), CASEMATE_OK);
    CHECK(memcmp(iv, output + sizeof input - 16, 16), 0);
    CHECK(casemate_aes_cbc(&client, key(id), CASEMATE_DECRYPT, iv2, output, back, sizeof input), CASEMATE_OK);
    CHECK(memcmp(input, back, sizeof input), 0);
    /* The first 33 bytes in pieces, with a key of the caller's, give the same. */
    other = stream;
    CHECK(casemate_aes_ctr(&client, key(id), &stream, input, output, 33), CASEMATE_OK);
    for (index = 0; index < 33; index += 11)
        CHECK(casemate_aes_ctr(&client, inline_key, &other, input + index, back + index, 11), CASEMATE_OK);
    CHECK(memcmp(output, back, 33), 0);
    CHECK(memcmp(&stream, &other, sizeof stream), 0);
    CHECK_NOT(memcmp(output, input, 33), 0);
    stream.unused = 17;
    CHECK(casemate_aes_ctr(&client, key(id), &stream, input, output, 33), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_aes_gcm_encrypt(&client, key(id), input, 12, input, 20, input, output, 1000, tag, 16), CASEMATE_OK);
    CHECK(casemate_aes_gcm_decrypt(&client, key(id), input, 12, input, 20, output, back, 1000, tag, 16), CASEMATE_OK);
    CHECK(memcmp(input, back, 1000), 0);
    tag[3] ^= 1;
    CHECK(casemate_aes_gcm_decrypt(&client, key(id), input, 12, input, 20, output, back, 1000, tag, 16),
          CASEMATE_SERVER_AES_GCM_AUTHENTICATION);
    for (index = 0; index < 1000; index++)
        CHECK(back[index], 0);
    CHECK(casemate_key_evict(&client, id), CASEMATE_OK);
}

static void hashes(void)
{
    static const uint8_t text[] = "what do ya want for nothing?";
    casemate_key_id id = import(aes_key, 16, CASEMATE_FLAG_SIGN);
    casemate_hash_state hash;
    casemate_hmac_state hmac;
    casemate_cmac_state cmac = { { 0 }, { 0 }, 0, 0 };
    uint8_t digest[64], mac[16];
    size_t length = sizeof digest;

    CHECK(casemate_hash(&client, CASEMATE_SHA256, (const uint8_t *)"abc", 3, digest, &length), CASEMATE_OK);
    CHECK(length == 32 && memcmp(digest, sha256_abc, 32) == 0, 1);
    length = 31;
    CHECK(casemate_hash(&client, CASEMATE_SHA256, (const uint8_t *)"abc", 3, digest, &length),
          CASEMATE_BUFFER_TOO_SMALL);
    CHECK((long)length, 32);
    CHECK(casemate_hash_begin(&hash, CASEMATE_SHA256), CASEMATE_OK);
    CHECK(casemate_hash_update(&client, &hash, (const uint8_t *)"a", 1), CASEMATE_OK);
    CHECK(casemate_hash_update(&client, &hash, (const uint8_t *)"bc", 2), CASEMATE_OK);
    length = sizeof digest;
    CHECK(casemate_hash_finish(&client, &hash, digest, &length), CASEMATE_OK);
    CHECK(memcmp(digest, sha256_abc, 32), 0);
    CHECK(casemate_hash_end(&hash), CASEMATE_OK);
    length = sizeof digest;
    CHECK(casemate_hmac(&client, CASEMATE_SHA256, (const uint8_t *)"Jefe", 4, text, 28, digest, &length), CASEMATE_OK);
    CHECK(length == 32 && memcmp(digest, hmac_jefe, 32) == 0, 1);
    CHECK(casemate_hmac_verify(&client, CASEMATE_SHA256, (const uint8_t *)"Jefe", 4, text, 28, digest, 16),
          CASEMATE_OK);
    digest[0] ^= 1;
    CHECK(casemate_hmac_verify(&client, CASEMATE_SHA256, (const uint8_t *)"Jefe", 4, text, 28, digest, 16),
          CASEMATE_MAC_MISMATCH);
    CHECK(casemate_hmac_begin(&client, &hmac, CASEMATE_SHA256, (const uint8_t *)"Jefe", 4), CASEMATE_OK);
    CHECK(casemate_hmac_update(&client, &hmac, text, 10), CASEMATE_OK);
    CHECK(casemate_hmac_update(&client, &hmac, text + 10, 18), CASEMATE_OK);
    length = sizeof digest;
    CHECK(casemate_hmac_finish(&client, &hmac, digest, &length), CASEMATE_OK);
    CHECK(memcmp(digest, hmac_jefe, 32), 0);
    CHECK(casemate_hmac_end(&hmac), CASEMATE_OK);
    CHECK(casemate_cmac(&client, key(id), aes_block, 16, mac, 16), CASEMATE_OK);
    CHECK(memcmp(mac, aes_cmac, 16), 0);
    CHECK(casemate_cmac_verify(&client, key(id), aes_block, 16, mac, 8), CASEMATE_OK);
    CHECK(casemate_cmac_verify(&client, key(id), aes_block, 15, mac, 8), CASEMATE_MAC_MISMATCH);
    CHECK(casemate_cmac_update(&client, key(id), &cmac, aes_block, 7), CASEMATE_OK);
    CHECK(casemate_cmac_update(&client, key(id), &cmac, aes_block + 7, 9), CASEMATE_OK);
    CHECK(casemate_cmac_finish(&client, key(id), &cmac, mac, 16), CASEMATE_OK);
    CHECK(memcmp(mac, aes_cmac, 16), 0);
    cmac.buffered = 17;
    CHECK(casemate_cmac_finish(&client, key(id), &cmac, mac, 16), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_key_evict(&client, id), CASEMATE_OK);
}

static void derivation(void)
{
    uint8_t ikm[22], salt[13], info[10], derived[16], back[16];
    casemate_key_id id = 0, z;
    size_t length = sizeof back, index;

    memset(ikm, 0x0b, sizeof ikm);
    for (index = 0; index < sizeof salt; index++)
        salt[index] = (uint8_t)index;
    for (index = 0; index < sizeof info; index++)
        info[index] = (uint8_t)(0xf0 + index);
    CHECK(casemate_hkdf_export(&client, CASEMATE_SHA256, casemate_key_inline(ikm, 22), salt, 13, info, 10, derived, 16),
          CASEMATE_OK);
    CHECK(memcmp(derived, hkdf_okm, 16), 0);
    what.flags = CASEMATE_FLAG_DERIVE;
    CHECK(casemate_hkdf_cache(&client, CASEMATE_SHA256, casemate_key_inline(ikm, 22), salt, 13, info, 10, &what, 16,
                              &id), CASEMATE_OK);
    CHECK(casemate_key_export(&client, id, back, &length, NULL), CASEMATE_OK);
    CHECK(memcmp(back, hkdf_okm, 16), 0);
    CHECK(casemate_cmac_kdf_export(&client, casemate_key_inline(aes_key, 16), key(id), info, 10, derived, 16),
          CASEMATE_OK);
    CHECK(casemate_cmac_kdf_cache(&client, casemate_key_inline(aes_key, 16), key(id), info, 10, &what, 16, &z),
          CASEMATE_OK);
    length = sizeof back;
    CHECK(casemate_key_export(&client, z, back, &length, NULL), CASEMATE_OK);
    CHECK(memcmp(back, derived, 16), 0);
    CHECK(casemate_key_evict(&client, id), CASEMATE_OK);
    CHECK(casemate_key_evict(&client, z), CASEMATE_OK);
}

static void elliptic_curves(void)
{
    uint16_t use = CASEMATE_FLAG_SIGN | CASEMATE_FLAG_VERIFY | CASEMATE_FLAG_DERIVE;
    casemate_key_id mine, secret_key = 0, theirs = 0;
    uint8_t public_key[200], other_public[200], signature[80], point[65], secret[32], back[32], private_key[200];
    size_t public_length = sizeof public_key, other_length = sizeof other_public, length = sizeof signature;
    size_t secret_length = sizeof secret, private_length = sizeof private_key;

    mine = pair(casemate_pair_ec(CASEMATE_P256), use);
    CHECK(casemate_key_export_public(&client, mine, CASEMATE_KEY_EC, public_key, &public_length, NULL), CASEMATE_OK);
    CHECK((long)public_length, 91);
    CHECK(casemate_ecdsa_sign(&client, key(mine), sha256_abc, 32, signature, &length), CASEMATE_OK);
    CHECK(casemate_ecdsa_verify(&client, key(mine), signature, length, sha256_abc, 32), CASEMATE_OK);
    CHECK(casemate_ecdsa_verify(&client, casemate_key_inline(public_key, public_length), signature, length, hmac_jefe,
                                32), CASEMATE_SIGNATURE_INVALID);
    CHECK(casemate_ecdsa_verify_with_public(&client, key(mine), signature, length, sha256_abc, 32, other_public,
                                            &other_length), CASEMATE_OK);
    CHECK(other_length == 91 && memcmp(public_key, other_public, 91) == 0, 1);
    what.flags = use;
    other_length = 80; /* Too small for any: found before a key is made. */
    CHECK(casemate_key_pair_generate_with_public(&client, casemate_pair_ec(CASEMATE_P256), &what, &theirs,
                                                 other_public, &other_length), CASEMATE_BUFFER_TOO_SMALL);
    CHECK((long)other_length, 91);
    other_length = sizeof other_public;
    CHECK(casemate_key_pair_generate_with_public(&client, casemate_pair_ec(CASEMATE_P256), &what, &theirs,
                                                 other_public, &other_length), CASEMATE_OK);
    CHECK(casemate_ecdh_export(&client, key(mine), casemate_key_inline(other_public, other_length), secret,
                               &secret_length), CASEMATE_OK);
    CHECK((long)secret_length, 32);
    CHECK(casemate_ecdh_cache(&client, key(theirs), casemate_key_inline(public_key, public_length), &what,
                              &secret_key), CASEMATE_OK);
    length = sizeof back;
    CHECK(casemate_key_export(&client, secret_key, back, &length, NULL), CASEMATE_OK);
    CHECK(memcmp(secret, back, 32), 0);
    length = sizeof point;
    CHECK(casemate_ec_make_public(&client, key(mine), point, &length), CASEMATE_OK);
    CHECK(length == 65 && memcmp(point, public_key + 26, 65) == 0, 1);
    CHECK(casemate_ec_check_public(&client, key(mine), CASEMATE_P256, point, 65), CASEMATE_OK);
    CHECK(casemate_key_pair_generate_export(&client, casemate_pair_ec(CASEMATE_P384), private_key, &private_length),
          CASEMATE_OK);
    CHECK((long)private_length, 167);
    CHECK(casemate_key_evict(&client, mine), CASEMATE_OK);
    CHECK(casemate_key_evict(&client, theirs), CASEMATE_OK);
    CHECK(casemate_key_evict(&client, secret_key), CASEMATE_OK);
}

static void curve25519(void)
{
    uint8_t signature[64], secret[32], other[32], bytes[100];
    casemate_key_id signer = pair(casemate_pair_ed25519(), CASEMATE_FLAG_SIGN | CASEMATE_FLAG_VERIFY);
    casemate_key_id a = pair(casemate_pair_x25519(), CASEMATE_FLAG_DERIVE);
    casemate_key_id b = pair(casemate_pair_x25519(), CASEMATE_FLAG_DERIVE);
    casemate_key_id shared = 0;
    size_t length = sizeof bytes;
    int index;

    CHECK(casemate_ed25519_sign(&client, key(signer), CASEMATE_ED25519_PURE, NULL, 0, sha256_abc, 32, signature),
          CASEMATE_OK);
    CHECK(casemate_ed25519_verify(&client, key(signer), CASEMATE_ED25519_PURE, NULL, 0, signature, sha256_abc, 32),
          CASEMATE_OK);
    CHECK(casemate_ed25519_verify(&client, key(signer), CASEMATE_ED25519_CONTEXT, sha256_abc, 1, signature, sha256_abc,
                                  32), CASEMATE_SIGNATURE_INVALID);
    CHECK(casemate_ed25519_verify(&client, key(signer), CASEMATE_ED25519_PURE, sha256_abc, 1, signature, sha256_abc,
                                  32), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_x25519_export(&client, key(a), key(b), CASEMATE_LITTLE_ENDIAN, secret), CASEMATE_OK);
    CHECK(casemate_x25519_export(&client, key(b), key(a), CASEMATE_BIG_ENDIAN, other), CASEMATE_OK);
    for (index = 0; index < 32; index++)
        CHECK(secret[index], other[31 - index]);
    what.flags = CASEMATE_FLAG_DERIVE;
    CHECK(casemate_x25519_cache(&client, key(b), key(a), CASEMATE_LITTLE_ENDIAN, &what, &shared), CASEMATE_OK);
    CHECK(casemate_key_export(&client, shared, bytes, &length, NULL), CASEMATE_OK);
    CHECK(length == 32 && memcmp(bytes, secret, 32) == 0, 1);
    CHECK(casemate_key_evict(&client, signer), CASEMATE_OK);
    CHECK(casemate_key_evict(&client, a), CASEMATE_OK);
    CHECK(casemate_key_evict(&client, b), CASEMATE_OK);
    CHECK(casemate_key_evict(&client, shared), CASEMATE_OK);
}

static void rsa(void)
{
    casemate_key_id id = pair(casemate_pair_rsa(2048), CASEMATE_FLAG_ENCRYPT | CASEMATE_FLAG_DECRYPT);
    uint8_t input[256] = { 0 }, middle[256], output[256];
    size_t length = sizeof middle, back = sizeof output;

    memcpy(input + 200, sha256_abc, 32);
    CHECK(casemate_rsa(&client, key(id), CASEMATE_RSA_PUBLIC_ENCRYPT, input, 256, middle, &length), CASEMATE_OK);
    CHECK((long)length, 256);
    CHECK(casemate_rsa(&client, key(id), CASEMATE_RSA_PRIVATE_DECRYPT, middle, 256, output, &back), CASEMATE_OK);
    CHECK(memcmp(input, output, 256), 0);
    length = 0;
    CHECK(casemate_rsa_get_size(&client, key(id), &length), CASEMATE_OK);
    CHECK((long)length, 256);
    CHECK(casemate_key_evict(&client, id), CASEMATE_OK);
}

static void lattices(void)
{
    casemate_key_id signer = pair(casemate_pair_ml_dsa(CASEMATE_ML_DSA_44), CASEMATE_FLAG_SIGN | CASEMATE_FLAG_VERIFY);
    casemate_key_id receiver = pair(casemate_pair_ml_kem(CASEMATE_ML_KEM_512), CASEMATE_FLAG_DERIVE);
    static uint8_t signature[2420], ciphertext[768];
    uint8_t secret[32], other[32];
    size_t length = sizeof signature, ciphertext_length = sizeof ciphertext;

    CHECK(casemate_ml_dsa_sign(&client, key(signer), CASEMATE_ML_DSA_44, CASEMATE_PREHASH_NONE, sha256_abc, 32,
                               hmac_jefe, 5, signature, &length), CASEMATE_OK);
    CHECK((long)length, 2420);
    CHECK(casemate_ml_dsa_verify(&client, key(signer), CASEMATE_ML_DSA_44, CASEMATE_PREHASH_NONE, signature, length,
                                 sha256_abc, 32, hmac_jefe, 5), CASEMATE_OK);
    CHECK(casemate_ml_dsa_verify(&client, key(signer), CASEMATE_ML_DSA_44, CASEMATE_PREHASH_SHA256, signature, length,
                                 sha256_abc, 32, hmac_jefe, 5), CASEMATE_SIGNATURE_INVALID);
    CHECK(casemate_ml_kem_encapsulate(&client, key(receiver), CASEMATE_ML_KEM_512, ciphertext, &ciphertext_length,
                                      secret), CASEMATE_OK);
    CHECK((long)ciphertext_length, 768);
    CHECK(casemate_ml_kem_decapsulate(&client, key(receiver), CASEMATE_ML_KEM_512, ciphertext, ciphertext_length,
                                      other), CASEMATE_OK);
    CHECK(memcmp(secret, other, 32), 0);
    CHECK(casemate_key_evict(&client, signer), CASEMATE_OK);
    CHECK(casemate_key_evict(&client, receiver), CASEMATE_OK);
}

static void certificates(void)
{
    casemate_metadata metadata = { 0 };
    casemate_leaf_key leaf = { 0, CASEMATE_FLAG_VERIFY };
    casemate_object_id ids[2] = { 0x51, 0x52 };
    casemate_key_id id = 99;
    uint8_t bytes[64], back[64];
    size_t length = sizeof back;

    memset(bytes, 0x30, sizeof bytes); /* No certificate: what it is, is seen when a chain is verified. */
    metadata.id = 0x51;
    metadata.access = 0xFFFF;
    CHECK(casemate_certificate_init(&client), CASEMATE_OK);
    CHECK(casemate_certificate_add(&client, &metadata, bytes, sizeof bytes), CASEMATE_OK);
    CHECK(casemate_certificate_read(&client, 0x51, back, &length), CASEMATE_OK);
    CHECK(length == 64 && memcmp(bytes, back, 64) == 0, 1);
    CHECK_NOT(casemate_certificate_verify(&client, 0x51, bytes, sizeof bytes, &leaf, &id), CASEMATE_OK);
    CHECK(casemate_certificate_verify(&client, 0x52, bytes, sizeof bytes, NULL, NULL), CASEMATE_SERVER_NOT_FOUND);
    CHECK_NOT(casemate_certificate_verify_multi_root(&client, ids, 2, bytes, sizeof bytes, &leaf, &id), CASEMATE_OK);
    CHECK(casemate_certificate_verify_multi_root(&client, ids, 0, bytes, sizeof bytes, NULL, NULL),
          CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_certificate_verify_multi_root(&client, ids, 9, bytes, sizeof bytes, NULL, NULL),
          CASEMATE_BAD_ARGUMENT);
    CHECK_NOT(casemate_certificate_verify_attribute(&client, 0x51, bytes, sizeof bytes), CASEMATE_OK);
    CHECK(casemate_certificate_clear_cache(&client), CASEMATE_OK);
    CHECK(casemate_certificate_set_cache(&client, 0), CASEMATE_OK);
    CHECK(casemate_certificate_erase(&client, 0x51), CASEMATE_OK);
}

/* Slots of SHE, the identifier, secure boot: AUTOSAR's own example of the MAC's key is tested elsewhere. */
static void she(void)
{
    static const uint8_t uid[15] = { 1 };
    uint8_t bytes[32], iv[16] = { 0 }, iv2[16] = { 0 }, mac[16], status = 0;
    casemate_she_load load, wrong;
    casemate_she_proof proof, again;
    int32_t flag = 7;

    CHECK(casemate_she_load_plain_key(&client, aes_key), CASEMATE_SERVER_SHE_SEQUENCE_ERROR);
    CHECK(casemate_she_set_uid(&client, uid), CASEMATE_OK);
    CHECK(casemate_she_set_uid(&client, uid), CASEMATE_SERVER_SHE_SEQUENCE_ERROR);
    CHECK(casemate_she_provision(&client, ME, 0, 0, 0, aes_key), CASEMATE_OK);
    CHECK(casemate_she_provision(&client, ME, 15, 0, 0, aes_key), CASEMATE_OK);
    /* No boot MAC key, so secure boot checks nothing, and says so. */
    CHECK(casemate_she_secure_boot_update(&client, aes_key, 16), CASEMATE_SERVER_SHE_SEQUENCE_ERROR);
    CHECK(casemate_she_secure_boot_finish(&client), CASEMATE_SERVER_SHE_SEQUENCE_ERROR);
    CHECK(casemate_she_secure_boot_begin(&client, 100, &flag), CASEMATE_OK);
    CHECK(flag, 0);
    flag = 7;
    CHECK(casemate_she_secure_boot(&client, aes_key, 16, &flag), CASEMATE_SERVER_SHE_SEQUENCE_ERROR); /* Again. */
    CHECK(casemate_she_secure_boot(&client, aes_key, 16, &flag), CASEMATE_OK);
    CHECK(flag, 0);
    CHECK(casemate_she_get_status(&client, &status), CASEMATE_OK);
    CHECK(casemate_she_load_plain_key(&client, aes_key), CASEMATE_OK);
    CHECK(casemate_she_ecb(&client, 14, CASEMATE_ENCRYPT, aes_block, bytes, 16), CASEMATE_OK);
    CHECK(memcmp(bytes, aes_ecb, 16), 0);
    CHECK(casemate_she_cbc(&client, 14, CASEMATE_ENCRYPT, iv, aes_block, bytes, 16), CASEMATE_OK);
    CHECK(casemate_she_cbc(&client, 14, CASEMATE_DECRYPT, iv2, bytes, bytes, 16), CASEMATE_OK);
    CHECK(memcmp(bytes, aes_block, 16), 0);
    CHECK(casemate_she_mac(&client, 14, aes_block, 16, mac), CASEMATE_OK);
    CHECK(memcmp(mac, aes_cmac, 16), 0);
    CHECK(casemate_she_verify_mac(&client, 14, aes_block, 16, mac, 16), CASEMATE_OK);
    mac[15] ^= 1;
    CHECK(casemate_she_verify_mac(&client, 14, aes_block, 16, mac, 16), CASEMATE_MAC_MISMATCH);
    CHECK(casemate_she_export_ram_key(&client, &load, &proof), CASEMATE_OK);
    CHECK(casemate_she_load_key(&client, &load, &again), CASEMATE_OK);
    CHECK(memcmp(&proof, &again, sizeof proof), 0);
    wrong = load;
    wrong.m3[0] ^= 1;
    CHECK(casemate_she_load_key(&client, &wrong, NULL), CASEMATE_SERVER_SHE_KEY_UPDATE_ERROR);
    CHECK(casemate_she_random(&client, bytes), CASEMATE_SERVER_SHE_RNG_SEED);
    CHECK(casemate_she_random_init(&client), CASEMATE_OK);
    CHECK(casemate_she_random(&client, bytes), CASEMATE_OK);
    CHECK(casemate_she_random(&client, bytes + 16), CASEMATE_OK);
    CHECK_NOT(memcmp(bytes, bytes + 16, 16), 0);
    CHECK(casemate_she_extend_seed(&client, bytes), CASEMATE_OK);
    CHECK(casemate_she_remove(&client, ME, 0), CASEMATE_OK);
    CHECK(casemate_she_remove(&client, 16, 0), CASEMATE_BAD_ARGUMENT);
}

static void custom(void)
{
    casemate_custom_message question, answer;
    int32_t number = 0;

    memset(&question, 0, sizeof question);
    question.type = 8;
    CHECK_NOT(casemate_custom_call(&client, 1, &question, &number, &answer), CASEMATE_OK); /* There is none. */
    CHECK_NOT(casemate_custom_is_registered(&client, 1, &number), CASEMATE_BAD_ARGUMENT);
    CHECK(number, 0);
    question.type = 0;
    CHECK(casemate_custom_call(&client, 1, &question, &number, &answer), CASEMATE_BAD_ARGUMENT); /* A query. */
}

static casemate_dma_buffer part(uint64_t offset, uint64_t size)
{
    casemate_dma_buffer all, result;

    CHECK(casemate_shared_memory(&client, &all), CASEMATE_OK);
    result.address = all.address + offset;
    result.size = size;
    return result;
}

static void shared_memory(void)
{
    uint16_t use = CASEMATE_FLAG_SIGN | CASEMATE_FLAG_VERIFY;
    casemate_metadata metadata = { 0 };
    casemate_leaf_key leaf = { 0, CASEMATE_FLAG_VERIFY };
    casemate_object_id roots[1] = { 0x61 };
    casemate_ctr stream = { { 0 }, { 0 }, 0 };
    casemate_cmac_state cmac = { { 0 }, { 0 }, 0, 0 };
    casemate_hash_state hash;
    casemate_dma_buffer all;
    casemate_key_id id = 0, signer, public_id;
    uint8_t bytes[64], iv[16] = { 0 }, tag[16], mac[16], digest[32], label[24], secret[32], other[32];
    size_t length = 0, digest_length = sizeof digest;

    CHECK(casemate_shared_memory(&client, &all), CASEMATE_OK);
    CHECK(all.size >= 8192, 1);
    CHECK(casemate_shared_write(&client, all.size - 1, bytes, 2), CASEMATE_NO_SHARED_MEMORY);
    CHECK(casemate_shared_write(&client, 0, aes_block, 16), CASEMATE_OK);
    CHECK(casemate_shared_read(&client, 0, bytes, 16), CASEMATE_OK);
    CHECK(memcmp(bytes, aes_block, 16), 0);

    metadata.id = 0x61;
    metadata.access = 0xFFFF;
    CHECK(casemate_dma_nvm_add(&client, &metadata, part(0, 16), 64), CASEMATE_OK);
    CHECK(casemate_dma_nvm_read(&client, 0x61, 4, part(128, 12)), CASEMATE_OK);
    CHECK(casemate_shared_read(&client, 128, bytes, 12), CASEMATE_OK);
    CHECK(memcmp(bytes, aes_block + 4, 12), 0);

    CHECK(casemate_shared_write(&client, 32, aes_key, 16), CASEMATE_OK);
    what.flags = CASEMATE_FLAG_ANY_USE;
    CHECK(casemate_label_set(what.label, "shared"), CASEMATE_OK);
    CHECK(casemate_dma_key_cache(&client, &what, part(32, 16), &id), CASEMATE_OK);
    CHECK(casemate_dma_key_export(&client, id, part(256, 64), &length, label), CASEMATE_OK);
    CHECK(length == 16 && strcmp((char *)label, "shared") == 0, 1);
    CHECK(casemate_dma_random(&client, part(512, 4096)), CASEMATE_OK);
    CHECK(casemate_dma_aes_ecb(&client, key(id), CASEMATE_ENCRYPT, part(0, 16), part(128, 16)), CASEMATE_OK);
    CHECK(casemate_shared_read(&client, 128, bytes, 16), CASEMATE_OK);
    CHECK(memcmp(bytes, aes_ecb, 16), 0);
    CHECK(casemate_dma_aes_cbc(&client, key(id), CASEMATE_ENCRYPT, iv, part(0, 16), part(128, 16)), CASEMATE_OK);
    CHECK(casemate_shared_read(&client, 128, bytes, 16), CASEMATE_OK);
    CHECK(memcmp(bytes, iv, 16), 0);
    CHECK(casemate_dma_aes_ctr(&client, key(id), &stream, part(0, 10), part(128, 10)), CASEMATE_OK);
    CHECK(stream.unused, 6);
    CHECK(casemate_dma_aes_gcm_encrypt(&client, key(id), iv, 12, part(0, 16), part(0, 16), part(128, 16), tag, 16),
          CASEMATE_OK);
    CHECK(casemate_dma_aes_gcm_decrypt(&client, key(id), iv, 12, part(0, 16), part(128, 16), part(160, 16), tag, 16),
          CASEMATE_OK);
    CHECK(casemate_shared_read(&client, 160, bytes, 16), CASEMATE_OK);
    CHECK(memcmp(bytes, aes_block, 16), 0);
    CHECK(casemate_dma_cmac(&client, key(id), part(0, 16), mac, 16), CASEMATE_OK);
    CHECK(memcmp(mac, aes_cmac, 16), 0);
    CHECK(casemate_dma_cmac_update(&client, key(id), &cmac, part(0, 16)), CASEMATE_OK);
    CHECK(casemate_cmac_finish(&client, key(id), &cmac, mac, 16), CASEMATE_OK);
    CHECK(memcmp(mac, aes_cmac, 16), 0);
    CHECK(casemate_hash_begin(&hash, CASEMATE_SHA256), CASEMATE_OK);
    CHECK(casemate_dma_hash_update(&client, &hash, part(512, 4096)), CASEMATE_OK);
    CHECK(casemate_hash_finish(&client, &hash, digest, &digest_length), CASEMATE_OK);
    CHECK(casemate_dma_hash_update(&client, &hash, part(512, 5)), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_hash_end(&hash), CASEMATE_OK);

    signer = pair(casemate_pair_ed25519(), use);
    CHECK(casemate_dma_ed25519_sign(&client, signer, CASEMATE_ED25519_PURE, NULL, 0, part(512, 4096), part(0, 64)),
          CASEMATE_OK);
    CHECK(casemate_dma_ed25519_verify(&client, signer, CASEMATE_ED25519_PURE, NULL, 0, part(512, 4096), part(0, 64)),
          CASEMATE_OK);
    CHECK(casemate_dma_ed25519_verify(&client, signer, CASEMATE_ED25519_PURE, NULL, 0, part(512, 4095), part(0, 64)),
          CASEMATE_SIGNATURE_INVALID);
    CHECK(casemate_dma_key_export_public(&client, signer, CASEMATE_KEY_ED25519, part(256, 64), &length, NULL),
          CASEMATE_OK);
    CHECK((long)length, 44);
    what.flags = use;
    CHECK(casemate_dma_ml_dsa_generate(&client, CASEMATE_ML_DSA_44, &what, part(512, 2000), &public_id, &length),
          CASEMATE_OK);
    CHECK((long)length, 1334);
    CHECK(casemate_dma_ml_dsa_sign(&client, public_id, CASEMATE_ML_DSA_44, NULL, 0, part(0, 64), part(4096, 2420)),
          CASEMATE_OK);
    CHECK(casemate_dma_ml_dsa_verify(&client, public_id, CASEMATE_ML_DSA_44, NULL, 0, part(0, 64), part(4096, 2420)),
          CASEMATE_OK);
    CHECK(casemate_key_evict(&client, public_id), CASEMATE_OK);
    what.flags = CASEMATE_FLAG_DERIVE;
    CHECK(casemate_dma_ml_kem_generate(&client, CASEMATE_ML_KEM_512, &what, part(512, 800), &public_id, &length),
          CASEMATE_OK);
    CHECK(casemate_dma_ml_kem_encapsulate(&client, public_id, CASEMATE_ML_KEM_512, part(512, 768), secret),
          CASEMATE_OK);
    CHECK(casemate_dma_ml_kem_decapsulate(&client, public_id, CASEMATE_ML_KEM_512, part(512, 768), other),
          CASEMATE_OK);
    CHECK(memcmp(secret, other, 32), 0);

    CHECK(casemate_certificate_add_dma(&client, &metadata, part(0, 64)), CASEMATE_OK);
    CHECK(casemate_certificate_read_dma(&client, 0x61, part(256, 64)), CASEMATE_OK);
    CHECK_NOT(casemate_certificate_verify_dma(&client, 0x61, part(0, 64), &leaf, &id), CASEMATE_OK);
    CHECK_NOT(casemate_certificate_verify_multi_root_dma(&client, roots, 1, part(0, 64), NULL, NULL), CASEMATE_OK);
    CHECK_NOT(casemate_certificate_verify_attribute_dma(&client, 0x61, part(0, 64)), CASEMATE_OK);
    CHECK(casemate_certificate_erase(&client, 0x61), CASEMATE_OK);
}

static void stateful(void)
{
    casemate_key_id id = 0, public_id = 0;
    uint8_t public_key[100];
    size_t public_length = 0, length = 0;
    int32_t left = 0;

    what.id = 0;
    what.flags = CASEMATE_FLAG_SIGN | CASEMATE_FLAG_VERIFY;
    CHECK(casemate_dma_lms_generate(&client, 1, 6, 8, &what, part(0, 60), &id, &public_length), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_dma_lms_generate(&client, 1, 5, 8, &what, part(0, 60), &id, &public_length), CASEMATE_OK);
    CHECK((long)public_length, 60);
    CHECK(casemate_stateful_remaining(&client, id, CASEMATE_LMS, &left), CASEMATE_OK);
    CHECK(left, 1);
    CHECK(casemate_shared_read(&client, 0, public_key, 60), CASEMATE_OK);
    CHECK(casemate_shared_write(&client, 128, aes_key, 16), CASEMATE_OK);
    CHECK(casemate_dma_stateful_sign(&client, id, CASEMATE_LMS, part(128, 16), part(256, 2000), &length), CASEMATE_OK);
    CHECK((long)length, 1296);
    what.flags = CASEMATE_FLAG_VERIFY;
    CHECK(casemate_lms_import_public(&client, 1, 5, 8, &what, public_key, 60, &public_id), CASEMATE_OK);
    CHECK(casemate_dma_stateful_verify(&client, public_id, CASEMATE_LMS, part(128, 16), part(256, 1296)), CASEMATE_OK);
    CHECK(casemate_dma_stateful_verify(&client, public_id, CASEMATE_LMS, part(128, 15), part(256, 1296)),
          CASEMATE_SIGNATURE_INVALID);
    CHECK(casemate_key_erase(&client, id), CASEMATE_OK);
    CHECK(casemate_key_evict(&client, public_id), CASEMATE_OK);
    CHECK(casemate_dma_xmss_generate(&client, "XMSS-NONE_10_256", &what, part(0, 68), &id, &length),
          CASEMATE_BAD_ARGUMENT);
    memset(public_key, 1, sizeof public_key);
    CHECK(casemate_xmss_import_public(&client, "XMSS-SHA2_10_256", &what, public_key, 67, &public_id),
          CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_xmss_import_public(&client, "XMSS-SHA2_10_256", &what, public_key, 68, &public_id), CASEMATE_OK);
    CHECK_NOT(casemate_dma_stateful_verify(&client, public_id, CASEMATE_XMSS, part(128, 16), part(256, 2500)),
              CASEMATE_OK);
}

static void no_shared_memory(void)
{
    static uint32_t memory[64];
    casemate_dma_buffer all;
    uint8_t bytes[8] = "copied", back[8];

    CHECK(casemate_shared_memory(&client, &all), CASEMATE_NO_SHARED_MEMORY);
    CHECK(casemate_set_shared_memory(&client, (uint8_t *)memory + 1, 16, 0), CASEMATE_BAD_ARGUMENT);
    CHECK(casemate_set_shared_memory(&client, memory, sizeof memory, 0x20000000), CASEMATE_OK);
    CHECK(casemate_shared_memory(&client, &all), CASEMATE_OK);
    CHECK(all.address == 0x20000000 && all.size == sizeof memory, 1);
    CHECK(casemate_shared_write(&client, 3, bytes, 7), CASEMATE_OK);
    CHECK(casemate_shared_read(&client, 3, back, 7), CASEMATE_OK);
    CHECK(memcmp(bytes, back, 7), 0);
    CHECK(memcmp((uint8_t *)memory + 3, "copied", 7), 0);
    /* The server knows nothing of it. */
    CHECK_NOT(casemate_dma_random(&client, all), CASEMATE_OK);
}

int main(int count, char **words)
{
    casemate_options options = { 0 };

    options.timeout_milliseconds = 600000;
    if (count < 2)
        return 2;
    library();
    CHECK(casemate_open(&client, sizeof client, packet, sizeof packet, &options, words[1]), CASEMATE_OK);
    connection();
    users();
    objects();
    keys();
    counters();
    ciphers();
    hashes();
    derivation();
    elliptic_curves();
    curve25519();
    rsa();
    lattices();
    certificates();
    if (count > 2 && strcmp(words[2], "shared") == 0)
        shared_memory(), stateful();
    else
        no_shared_memory();
    she();
    custom();
    CHECK(casemate_close(&client), CASEMATE_OK);
    CHECK(casemate_release(&client), CASEMATE_OK);
    printf("%d checks\n", checks);
    return 0;
}
