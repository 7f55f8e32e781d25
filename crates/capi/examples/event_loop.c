/* Calls that do not wait, in an event loop: two clients, each of which has one call under way while the other's is.
 *
 * A client that does not block sends the request and returns CASEMATE_PENDING. The same call with the same arguments is
 * made again until it returns something else: no second set of functions, and nothing to keep besides the arguments.
 *
 *     event_loop ADDRESS
 */
#include <casemate.h>

#include <stdio.h>
#include <string.h>

#define ROUNDS 20

/* What one client does: hash numbers again and again, and count. */
struct worker {
    casemate_client client;
    uint8_t packet[CASEMATE_PACKET_SIZE(CASEMATE_DEFAULT_DATA_LENGTH)];
    int step;
    int round;
    uint8_t key_id;
    uint8_t data[64], mac[16];
    casemate_key_id key;
    casemate_new_key what;
    unsigned long pending;
};

/* One turn: makes the call of the present step, once. */
static casemate_status turn(struct worker *worker)
{
    switch (worker->step) {
    case 0:
        return casemate_key_cache_random(&worker->client, &worker->what, 16, &worker->key);
    case 1:
        return casemate_random(&worker->client, worker->data, sizeof worker->data);
    case 2:
        return casemate_cmac(&worker->client, casemate_key_named(worker->key), worker->data, sizeof worker->data,
                             worker->mac, sizeof worker->mac);
    case 3:
        return casemate_cmac_verify(&worker->client, casemate_key_named(worker->key), worker->data,
                                    sizeof worker->data, worker->mac, sizeof worker->mac);
    default:
        return casemate_close(&worker->client);
    }
}

/* What comes after a step. Returns 0 at the end. */
static int advance(struct worker *worker)
{
    if (worker->step == 3 && ++worker->round < ROUNDS)
        worker->step = 1;
    else
        worker->step++;
    return worker->step <= 4;
}

int main(int count, char **arguments)
{
    static struct worker workers[2];
    const char *address = count > 1 ? arguments[1] : "tcp://127.0.0.1:23456";
    int running = 0, index;

    for (index = 0; index < 2; index++) {
        struct worker *worker = &workers[index];
        casemate_status status = casemate_open(&worker->client, sizeof worker->client, worker->packet,
                                               sizeof worker->packet, NULL, address);

        if (status == CASEMATE_OK)
            status = casemate_init(&worker->client, (uint32_t)(3 + index), NULL);
        if (status == CASEMATE_OK)
            status = casemate_set_blocking(&worker->client, 0);
        if (status != CASEMATE_OK) {
            fprintf(stderr, "%s: %s\n", address, casemate_status_text(status));
            return 1;
        }
        worker->what.flags = CASEMATE_FLAG_SIGN | CASEMATE_FLAG_VERIFY;
        running++;
    }
    while (running > 0) {
        for (index = 0; index < 2; index++) {
            struct worker *worker = &workers[index];
            casemate_status status;

            if (worker->step > 4)
                continue;
            status = turn(worker);
            if (status == CASEMATE_PENDING) {
                worker->pending++;
            } else if (status != CASEMATE_OK) {
                fprintf(stderr, "step %d: %s\n", worker->step, casemate_status_text(status));
                return 1;
            } else if (!advance(worker)) {
                running--;
                casemate_release(&worker->client);
            }
        }
        /* Other work of the program goes here; this one would rather sleep until a socket is ready. */
    }
    printf("%d rounds with each of two clients, %s\n", ROUNDS,
           workers[0].pending >= ROUNDS * 3 && workers[1].pending >= ROUNDS * 3 ? "none of which waited" : "too fast?");
    return 0;
}
