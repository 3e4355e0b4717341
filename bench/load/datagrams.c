/*
 * A datagram is the index of its place in the window and its sequence number (the low half), four bytes each, and then
 * contents that follow from the two: so every reply can be checked byte by byte, also one that comes when its place has
 * been given to another, because it was taken for lost. There are never more late replies than lost datagrams: more are
 * copies that nobody sent.
 *
 * Sending a datagram through the whole stack costs as much as the server's reply to it, so that a client which did that for
 * each would be what limits a good server. The kernel is given up to 64 at once, to be cut apart where they arrive
 * (UDP_SEGMENT, udp(7)); the server sees 64 datagrams all the same.
 */
#define _GNU_SOURCE
#include "datagrams.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contents.h"
#include "run.h"

enum {
  HEAD = 8,
  SEGMENTS = 64,         /* UDP_MAX_SEGMENTS of Linux 4.18 */
  SEGMENTED_BYTES = 65000, /* below the most that one send takes */
};
#define SEARCH_NS 20000000ull /* between two looks for lost ones */

struct flight {
  uint64_t key;      /* what its contents are made from */
  uint64_t sequence; /* of the datagram that stands in `bytes` */
  uint64_t started;  /* ns: when it was sent */
  bool waiting;      /* to be sent */
  unsigned char bytes[DATAGRAMS_MOST_BYTES];
};

static struct mmsghdr out[DATAGRAMS_MOST], in[DATAGRAMS_MOST];
static struct iovec out_vectors[DATAGRAMS_MOST], in_vectors[DATAGRAMS_MOST];
static unsigned char *replies;
static unsigned segments; /* datagrams that are given to the kernel as one; 1 where it cannot cut them */
static unsigned waiting[DATAGRAMS_MOST], waiting_count; /* places whose datagrams are to be sent, in that order */

static struct contents contents_of(void) { return (struct contents){ options.size - HEAD, HEAD }; }

/* Makes the datagram of the place that follows `sequence`. */
static void compose(uint32_t place, uint64_t key, uint64_t sequence, unsigned char *bytes) {
  contents_renew(contents_of(), key, &sequence, bytes, 1);
  uint32_t head[2] = { place, (uint32_t)sequence };
  memcpy(bytes, head, HEAD);
}

static void renew(struct datagrams *d, uint32_t place) {
  struct flight *f = &d->flights[place];
  compose(place, f->key, f->sequence++, f->bytes);
  f->waiting = true;
  waiting[waiting_count++] = place;
}

void datagrams_open(struct datagrams *d, int epoll_fd) {
  unsigned window = options.connections;
  *d = (struct datagrams){ .flights = calloc(window, sizeof *d->flights) };
  replies = malloc((size_t)window * options.size);
  if (!d->flights || !replies) abort();
  for (uint32_t i = 0; i < window; i++) {
    struct flight *f = &d->flights[i];
    f->key = mix(now_ns() ^ mix(i));
    contents_prepare(contents_of(), f->key, f->bytes, 1);
    in_vectors[i] = (struct iovec){ replies + (size_t)i * options.size, options.size };
    in[i].msg_hdr = (struct msghdr){ .msg_iov = &in_vectors[i], .msg_iovlen = 1 };
    renew(d, i);
  }
  d->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (d->fd < 0) return finish("failed", "socket: %s", strerror(errno));
  struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = d };
  if (connect(d->fd, (const struct sockaddr *)&options.address, sizeof options.address) < 0) return finish("failed", "connect: %s", strerror(errno));
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, d->fd, &event) < 0) return finish("failed", "epoll_ctl: %s", strerror(errno));
  segments = SEGMENTED_BYTES / options.size < SEGMENTS ? SEGMENTED_BYTES / options.size : SEGMENTS;
  if (setsockopt(d->fd, IPPROTO_UDP, UDP_SEGMENT, &(int){ (int)options.size }, sizeof(int)) < 0) segments = 1;
  open_count = window;
}

uint64_t datagrams_due(const struct datagrams *d) { return d->readable || (d->writable && waiting_count) ? 0 : d->next_search; }

static void failed(const char *syscall) {
  result.errors_by_number[errno & 255]++;
  finish("failed", "%s: %s", syscall, strerror(errno));
}

static void report_mismatch(uint32_t place, const unsigned char *reply, const unsigned char *sent) {
  unsigned at = 0;
  while (reply[at] == sent[at]) at++;
  finish("corrupt", "datagram %u: byte %u came back as 0x%02x where 0x%02x was sent", place, at, reply[at], sent[at]);
}

/* A reply to one that was sent before what stands in the place now. */
static void check_late(struct datagrams *d, uint32_t place, uint32_t sequence, const unsigned char *reply) {
  static unsigned char expected[DATAGRAMS_MOST_BYTES];
  const struct flight *f = &d->flights[place];
  uint64_t older = f->sequence - (uint32_t)(f->sequence - sequence);
  memcpy(expected, f->bytes, options.size);
  compose(place, f->key, older - 1, expected);
  if (memcmp(reply, expected, options.size) != 0) return report_mismatch(place, reply, expected);
  if (d->late++ == d->lost) finish("corrupt", "datagram %u came back twice", place);
}

static void check(struct datagrams *d, const struct mmsghdr *message, uint64_t now) {
  const unsigned char *reply = message->msg_hdr.msg_iov->iov_base;
  uint32_t head[2];
  if (message->msg_len != options.size || (message->msg_hdr.msg_flags & MSG_TRUNC))
    return finish("corrupt", "a datagram of %u bytes%s came back where %u were sent", message->msg_len,
                  message->msg_hdr.msg_flags & MSG_TRUNC ? " and more" : "", options.size);
  memcpy(head, reply, HEAD);
  uint32_t place = head[0], sequence = head[1];
  if (place >= options.connections) return finish("corrupt", "a datagram came back that names place %u of %u", place, options.connections);
  struct flight *f = &d->flights[place];
  if (f->waiting || sequence != (uint32_t)f->sequence) return check_late(d, place, sequence, reply);
  if (memcmp(reply, f->bytes, options.size) != 0) return report_mismatch(place, reply, f->bytes);
  d->answered++;
  count_answered(now, f->started, 1);
  renew(d, place);
}

static void receive(struct datagrams *d) {
  int count = recvmmsg(d->fd, in, options.connections, MSG_DONTWAIT, NULL);
  if (count < 0) {
    if (errno == EAGAIN) d->readable = false;
    else if (errno != EINTR) failed("recvmmsg");
    return;
  }
  d->readable = (unsigned)count == options.connections; /* what comes after fewer raises another edge */
  uint64_t now = now_ns();
  last_progress = now;
  for (int i = 0; i < count && phase != DONE; i++) check(d, &in[i], now);
}

/* Of those whose reply had not come by `now`: what has come since this process looked last is received before. */
static void give_up_lost(struct datagrams *d, uint64_t now) {
  uint64_t lost_ns = (uint64_t)(options.lost_after * 1e9);
  for (uint32_t i = 0; i < options.connections; i++) {
    struct flight *f = &d->flights[i];
    if (f->waiting || now - f->started < lost_ns) continue;
    d->lost++;
    if (phase == MEASURE) result.lost_datagrams++;
    renew(d, i);
  }
  d->next_search = now + SEARCH_NS;
}

static void send_waiting(struct datagrams *d) {
  uint64_t now = now_ns();
  for (unsigned i = 0; i < waiting_count; i++) {
    struct flight *f = &d->flights[waiting[i]];
    f->started = now; /* the server may answer the first one while the last one is being sent */
    f->waiting = false;
    out_vectors[i] = (struct iovec){ f->bytes, options.size };
  }
  unsigned groups = 0;
  for (unsigned i = 0; i < waiting_count; i += segments) {
    unsigned length = waiting_count - i < segments ? waiting_count - i : segments;
    out[groups++].msg_hdr = (struct msghdr){ .msg_iov = &out_vectors[i], .msg_iovlen = length };
  }
  int count = sendmmsg(d->fd, out, groups, 0);
  if (count < 0 && errno != EAGAIN && errno != EINTR) return failed("sendmmsg");
  if (count < 0 && errno == EAGAIN) d->writable = false;
  unsigned sent = count < 0 ? 0 : (unsigned)count == groups ? waiting_count : (unsigned)count * segments;
  for (unsigned i = sent; i < waiting_count; i++) d->flights[waiting[i]].waiting = true;
  memmove(waiting, waiting + sent, (waiting_count - sent) * sizeof *waiting);
  waiting_count -= sent;
}

void datagrams_step(struct datagrams *d) {
  uint64_t now = now_ns();
  bool search = now >= d->next_search;
  if (d->readable || search) receive(d);
  if (phase == DONE) return;
  if (search) give_up_lost(d, now);
  if (d->writable && waiting_count) send_waiting(d);
}

uint64_t datagrams_oldest(const struct datagrams *d, uint64_t now) {
  uint64_t oldest = 0;
  for (uint32_t i = 0; i < options.connections; i++) {
    const struct flight *f = &d->flights[i];
    if (!f->waiting && now - f->started > oldest) oldest = now - f->started;
  }
  return oldest;
}
