/* A window of datagrams in flight to one UDP server: each reply is checked, and its place filled with a new datagram. */
#ifndef FDSET_BENCH_DATAGRAMS_H
#define FDSET_BENCH_DATAGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  DATAGRAMS_LEAST_BYTES = 16,  /* of one: eight say which one it is */
  DATAGRAMS_MOST_BYTES = 2048, /* the room that the servers have */
  DATAGRAMS_MOST = 1024,       /* UIO_MAXIOV: what one sendmmsg looks at */
};

struct datagrams {
  int fd; /* -1 while closed */
  bool readable, writable; /* as the last edge told, until it was not */
  uint64_t answered, lost, late;
  struct flight *flights;
  uint64_t next_search; /* for lost ones */
};

/* Opens the socket of options.connections datagrams and makes all of them wait to be sent. Ends the run where it fails. */
void datagrams_open(struct datagrams *d, int epoll_fd);
/* When datagrams_step has something to do, whatever the socket says: a time, or 0 for now. */
uint64_t datagrams_due(const struct datagrams *d);
/* Receives once, and sends once what is to be sent. Counts what was answered, and ends the run if a reply is wrong. */
void datagrams_step(struct datagrams *d);
/* For how long the oldest one in flight has waited, in ns. */
uint64_t datagrams_oldest(const struct datagrams *d, uint64_t now);

#endif
