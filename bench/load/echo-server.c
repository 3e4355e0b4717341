#define _GNU_SOURCE
#include "echo-server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

void fail(const char *what) {
  fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
  exit(1);
}

struct sockaddr_in begin_server(int argc, char **argv) {
  static const struct option names[] = {
    { "host", required_argument, 0, 'h' },
    { "port", required_argument, 0, 'p' },
    { 0, 0, 0, 0 },
  };
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (option == 'p') address.sin_port = htons((uint16_t)atoi(optarg));
    else if (option != 'h' || inet_pton(AF_INET, optarg, &address.sin_addr) != 1) {
      fprintf(stderr, "usage: %s [--host IPv4 address] [--port n]\n", program_invocation_short_name);
      exit(1);
    }
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  signal(SIGUSR2, SIG_IGN); /* the harness asks servers that have a garbage collector to run it */
  return address;
}

void bind_server(int fd, struct sockaddr_in *address) {
  if (bind(fd, (struct sockaddr *)address, sizeof *address) < 0) fail("bind");
  getsockname(fd, (struct sockaddr *)address, &(socklen_t){ sizeof *address });
}

void ready(const struct sockaddr_in *address) {
  printf("ready %d\n", ntohs(address->sin_port));
  fflush(stdout);
}
