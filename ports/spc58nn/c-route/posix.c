/* A program around the firmware for trying it on a POSIX system, whatever its byte order: one client over TCP on
 * 127.0.0.1, noise from /dev/urandom, reports on standard output. Usage: casemate-c-route PORT. Compiled with CASEMATE_CHECK,
 * for a module with the feature `conformance`, it runs the conformance suite without an argument. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "casemate_host.h"
#include "module.h"

static int listener = -1;
static int client = -1;
static FILE *noise;
static unsigned char incoming[4096], outgoing[4096];
static size_t incoming_at, incoming_end, outgoing_end;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* Sends what was taken. A client that is gone loses it. */
static void flush(void) {
  size_t at = 0;
  while (client >= 0 && at < outgoing_end) {
    ssize_t count = send(client, outgoing + at, outgoing_end - at, MSG_NOSIGNAL);
    if (count <= 0) {
      close(client);
      client = -1;
      break;
    }
    at += (size_t)count;
  }
  outgoing_end = 0;
}

/* Takes in bytes, or a client; waits for either for as long. */
static void look(int milliseconds) {
  struct pollfd wanted;
  flush();
  wanted.fd = client >= 0 ? client : listener;
  wanted.events = POLLIN;
  wanted.revents = 0;
  if (poll(&wanted, 1, milliseconds) <= 0) {
    return;
  }
  if (client < 0) {
    client = accept(listener, NULL, NULL);
    return;
  }
  {
    ssize_t count = recv(client, incoming, sizeof incoming, 0);
    incoming_at = 0;
    incoming_end = count > 0 ? (size_t)count : 0;
    if (count <= 0) {
      close(client);
      client = -1;
    }
  }
}

uint32_t Z_casemateZ_receive(struct Z_casemate_instance_t *host) {
  (void)host;
  if (incoming_at == incoming_end) {
    look(0);
  }
  return incoming_at < incoming_end ? incoming[incoming_at++] : UINT32_MAX;
}

uint32_t Z_casemateZ_send(struct Z_casemate_instance_t *host, uint32_t byte) {
  (void)host;
  if (outgoing_end == sizeof outgoing) {
    flush();
  }
  outgoing[outgoing_end++] = (unsigned char)byte;
  return 1;
}

uint32_t Z_casemateZ_noise(struct Z_casemate_instance_t *host) {
  uint32_t word;
  (void)host;
  if (fread(&word, sizeof word, 1, noise) != 1) {
    fail("/dev/urandom");
  }
  return word;
}

void Z_casemateZ_say(struct Z_casemate_instance_t *host, uint32_t byte) {
  (void)host;
  putchar((int)byte);
  if (byte == '\n') {
    fflush(stdout);
  }
}

void Z_casemateZ_wait(struct Z_casemate_instance_t *host) {
  (void)host;
  if (incoming_at == incoming_end) {
    look(1000);
  }
}

void casemate_trapped(int reason) {
  fprintf(stderr, "trap %d\n", reason);
  exit(2);
}

int main(int count, char **arguments) {
  static Z_module_instance_t module;
  struct sockaddr_in address = {0};
  int yes = 1;
  noise = fopen("/dev/urandom", "rb");
  if (noise == NULL) {
    fail("/dev/urandom");
  }
  wasm_rt_init();
  Z_module_init_module();
  Z_module_instantiate(&module, NULL);
#ifdef CASEMATE_CHECK
  if (count == 1) {
    return Z_moduleZ_casemate_check(&module) == 1 ? 0 : 1;
  }
#endif
  if (count != 2) {
    fprintf(stderr, "usage: %s PORT\n", arguments[0]);
    return 1;
  }
  listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  address.sin_family = AF_INET;
  address.sin_port = htons((uint16_t)atoi(arguments[1]));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1) != 0) {
    fail("listen");
  }
  Z_moduleZ_casemate_run(&module);
  return 3;
}
