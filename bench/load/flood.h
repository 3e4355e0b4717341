/* The connection that floods: it writes as fast as the server takes it, and compares what comes back. */
#ifndef FDSET_BENCH_FLOOD_H
#define FDSET_BENCH_FLOOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flood {
  int fd; /* -1 while closed */
  bool readable, writable; /* as the last edge told, until EAGAIN */
  uint64_t sent, received; /* bytes since it was opened */
  unsigned char *bytes;    /* what it sends, over and over */
};

enum flood_result { FLOOD_OK, FLOOD_LOST, FLOOD_CORRUPT };

void flood_prepare(struct flood *f);
/* Whether flood_step would move anything. */
bool flood_can_move(const struct flood *f);
/* Reads and writes once each, so that the caller is soon back to its other connections. FLOOD_LOST leaves the cause in
 * errno, 0 at the end of the stream. */
enum flood_result flood_step(struct flood *f);

#endif
