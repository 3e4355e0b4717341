#include "flood.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
  STEP = 64 * 1024,
  /* The contents repeat after this many bytes. A prime: whatever is lost, doubled or swapped shifts them. */
  PERIOD = 1000003,
  /* Bytes on their way at the most. Enough that the server always finds more to read; less than what any server keeps
   * for a client that does not read, for the client may be the slower one. */
  WINDOW = 4 * 1024 * 1024,
};

void flood_prepare(struct flood *f) {
  uint32_t x = 0x9e3779b9;
  *f = (struct flood){ .fd = -1, .bytes = malloc(PERIOD + STEP) };
  if (!f->bytes) abort();
  for (size_t i = 0; i < PERIOD; i++) {
    x = x * 1664525u + 1013904223u;
    f->bytes[i] = (unsigned char)(x >> 24);
  }
  memcpy(f->bytes + PERIOD, f->bytes, STEP); /* a step that begins near the end finds its bytes in one piece */
}

static bool may_send(const struct flood *f) { return f->writable && f->sent - f->received < WINDOW; }

bool flood_can_move(const struct flood *f) { return f->fd >= 0 && (f->readable || may_send(f)); }

enum flood_result flood_step(struct flood *f) {
  static unsigned char block[STEP];
  if (f->readable) {
    ssize_t got = recv(f->fd, block, sizeof block, 0);
    if (got == 0) {
      errno = 0;
      return FLOOD_LOST;
    }
    if (got < 0 && errno != EAGAIN && errno != EINTR) return FLOOD_LOST;
    if (got < 0 && errno == EAGAIN) f->readable = false;
    if (got > 0) {
      if (f->received + (uint64_t)got > f->sent || memcmp(block, f->bytes + f->received % PERIOD, (size_t)got) != 0) return FLOOD_CORRUPT;
      f->received += (uint64_t)got;
    }
  }
  if (may_send(f)) {
    ssize_t sent = send(f->fd, f->bytes + f->sent % PERIOD, STEP, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return FLOOD_LOST;
    if (sent < 0 && errno == EAGAIN) f->writable = false;
    if (sent > 0) f->sent += (uint64_t)sent;
  }
  return FLOOD_OK;
}
