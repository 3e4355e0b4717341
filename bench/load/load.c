/*
 * The load generator of the benchmark: one thread, epoll, no dependencies; the same client for every target.
 *
 *   load sessions --port P --connections N [--idle M]   N connections held open, each opened and answered once before the
 *                                                       clock starts; then each sends a batch of messages in one send,
 *                                                       waits until all are echoed, and sends the next (closed loop)
 *   load arrivals --port P --connections N              connect, one message, its echo, close; N in flight all the time
 *   load idle     --port P --connections N              N connections opened and never used: what each costs the server
 *   load flood    --port P --connections N              N quiet connections, each a message every --interval, beside one
 *                                                       that writes as fast as the server takes it and reads its echo;
 *                                                       messages and times are those of the quiet ones
 *   load datagrams --port P --connections N             N datagrams in flight over one UDP socket; a reply's place is filled at
 *                                                       once, that of a lost one after --lost-after
 *   load hold     --port P --connections N              N connections opened, "held N" printed, and all held until SIGTERM:
 *                                                       a crowd beside the sessions of other processes
 *
 *   --host A            IPv4 address (127.0.0.1)          --size S       payload bytes of a message (64)
 *   --pipeline P        messages of a batch (1)           --frame u32    a 4-byte big-endian length before each payload
 *   --warmup S          seconds before the clock (0.5)    --duration S   seconds measured (1)
 *   --at-least N        messages until which the clock    --longest S    seconds beyond which it does not (= --duration)
 *                       goes on (0)
 *   --settle S          idle: rest before memory is read  --stall S      give up after S seconds without progress (5)
 *   --interval S        flood: between two messages of a quiet connection (0.003)
 *   --lost-after S      datagrams: without a reply for so long, one counts as lost (0.2)
 *   --server-pid PID    measure this process, its threads and descendants (repeatable)
 *   --collect           idle: send the server SIGUSR2 (run the garbage collector) before memory is read
 *
 * Every reply is compared byte by byte with what was sent; contents differ by connection and by sequence number, so that a
 * reply to somebody else, an old one or a lost byte is found. Result: one JSON object on stdout. Progress: a JSON object a
 * line on stderr, four a second. Exit: 0 ok, 1 usage, 2 failed, 3 corrupt, 4 stalled.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "contents.h"
#include "datagrams.h"
#include "flood.h"
#include "run.h"

enum {
  BLOCK = 256 * 1024,       /* bytes read at once */
  EVENTS = 512,             /* events taken in one wait */
  OPENING = 128,            /* connections being opened at a time: below every target's backlog of 511 */
  SOURCES = 250,            /* source addresses 127.0.0.2 .. 127.0.0.251 of `arrivals` and of many connections */
  PORTS_PER_SOURCE = 20000, /* of the 28,232 ephemeral ports of a source, how many are used at a time */
  WARM_CONNECTIONS = 200,   /* `idle`: opened, answered and closed before the first reading of memory */
};
#define REPORT_NS 250000000ull /* between two looks whether enough was answered */
#define RETRY_NS 10000000ull /* an arrival that could not connect is tried again after this */
#define OPENING_LIMIT_NS 60000000000ull

enum state { CLOSED, CONNECTING, OPEN, RETRY };

struct connection {
  int fd;
  enum state state;
  bool answered;     /* its first message came back */
  uint64_t key;      /* what the contents of its messages are made from */
  uint64_t sequence; /* messages composed so far */
  uint64_t started;  /* ns: when its batch was sent; in `arrivals`, when connect was called */
  uint64_t retry_at;
  bool resting;      /* a quiet connection that has its reply: its next message is due at `due` */
  uint64_t due;
  uint64_t measured; /* messages answered while the clock ran */
  size_t batch, sent, received; /* bytes */
  unsigned char *bytes; /* the batch as it was sent: replies are compared with it */
};

static int epoll_fd;
static struct connection *connections, *probe;
static struct flood flood;
static struct datagrams datagrams;
static unsigned answered_count, retry_count;
static unsigned next_source;
static struct contents contents;
static size_t message_bytes;
static uint64_t interval_ns;
static unsigned char block[BLOCK];

/* Makes the next batch. */
static void compose(struct connection *c, unsigned count) {
  contents_renew(contents, c->key, &c->sequence, c->bytes, count);
  c->batch = count * message_bytes;
  c->sent = c->received = 0;
}

/* ---- connections ---------------------------------------------------------------------------------------------- */

static void open_connection(struct connection *c);

static void discard(struct connection *c) {
  if (c->state == OPEN) open_count--;
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
  c->state = CLOSED;
}

/* A connection failed with `number`, or (0) the server closed it before its replies were complete. */
static void lose(struct connection *c, int number, const char *syscall) {
  discard(c);
  if (number) result.errors_by_number[number & 255]++;
  else result.early_closes++;
  if (phase == OPENING_PHASE || (options.shape != ARRIVALS && open_count == 0)) {
    finish("failed", "%s: %s", syscall, number ? strerror(number) : "the server closed the connection before its reply");
  } else if (options.shape == ARRIVALS) {
    c->state = RETRY;
    c->retry_at = now_ns() + RETRY_NS;
    retry_count++;
  }
}

static void send_batch(struct connection *c) {
  while (c->sent < c->batch) {
    ssize_t sent = send(c->fd, c->bytes + c->sent, c->batch - c->sent, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) lose(c, errno, "send");
      return; /* the next edge of EPOLLOUT goes on; replies are read meanwhile */
    }
    c->sent += (size_t)sent;
  }
}

static void start_batch(struct connection *c, unsigned count) {
  compose(c, count);
  c->started = now_ns();
  send_batch(c);
}

/* The next message of a quiet connection, whose time is counted from `since`. */
static void start_quiet(struct connection *c, uint64_t since, uint64_t next_due) {
  c->resting = false;
  c->due = next_due;
  start_batch(c, 1);
  c->started = since;
}

/* A message that the server's own lateness has kept back counts from when it was due: else a stall would be one slow
 * message among the many that were never asked (coordinated omission). */
static void quiet_answered(struct connection *c) {
  if (c->due <= now_ns()) start_quiet(c, c->due, c->due + interval_ns);
  else c->resting = true;
}

/* What is late here is late by the client's own fault, and counts from now. Returns when the next one is due. */
static uint64_t start_due(void) {
  uint64_t next = UINT64_MAX;
  for (unsigned i = 0; i < options.connections && phase != DONE; i++) {
    struct connection *c = &connections[i];
    uint64_t now = now_ns();
    if (c->state != OPEN || !c->resting) continue;
    if (c->due <= now) start_quiet(c, now, now + interval_ns);
    else if (c->due < next) next = c->due;
  }
  return next;
}

static void move_flood(void) {
  uint64_t before = flood.received;
  switch (flood_step(&flood)) {
    case FLOOD_OK:
      if (phase == MEASURE) result.flood_bytes += flood.received - before;
      break;
    case FLOOD_CORRUPT:
      finish("corrupt", "the connection that floods: something else than was sent came back after byte %llu", (unsigned long long)flood.received);
      break;
    case FLOOD_LOST:
      result.early_closes += errno == 0;
      if (errno) result.errors_by_number[errno & 255]++;
      finish("failed", "the connection that floods: %s", errno ? strerror(errno) : "closed by the server");
      break;
  }
}

static void batch_answered(struct connection *c) {
  if (!c->answered) {
    c->answered = true;
    answered_count++;
  }
  if (options.shape == ARRIVALS && phase != OPENING_PHASE) {
    discard(c);
    open_connection(c);
  } else if (options.shape == FLOOD && phase != DONE) {
    quiet_answered(c);
  } else if (phase == WARMUP || phase == MEASURE) {
    start_batch(c, options.pipeline);
  }
}

static void report_mismatch(struct connection *c, size_t got) {
  long index = (long)(c - connections);
  size_t at = 0;
  if (c->received + got > c->sent)
    return finish("corrupt", "connection %ld: %zu bytes came back where %zu were sent", index, c->received + got, c->sent);
  while (block[at] == c->bytes[c->received + at]) at++;
  size_t place = c->received + at;
  unsigned long long message = c->sequence - c->batch / message_bytes + place / message_bytes + 1;
  finish("corrupt", "connection %ld: byte %zu of message %llu came back as 0x%02x where 0x%02x was sent", index, place % message_bytes, message,
         block[at], c->bytes[place]);
}

static void read_replies(struct connection *c) {
  while (c->state == OPEN && phase != DONE) {
    ssize_t got = recv(c->fd, block, sizeof block, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return lose(c, got < 0 ? errno : 0, "recv");
    size_t received = c->received + (size_t)got;
    if (received > c->sent || memcmp(block, c->bytes + c->received, (size_t)got) != 0) return report_mismatch(c, (size_t)got);
    uint64_t now = now_ns(), complete = received / message_bytes - c->received / message_bytes;
    c->received = received;
    last_progress = now;
    if (complete) {
      count_answered(now, c->started, complete);
      if (phase == MEASURE) c->measured += complete;
    }
    bool short_read = (size_t)got < sizeof block;
    if (c->received == c->batch) {
      batch_answered(c);
      return; /* nothing can be waiting: all that was sent has come back, or the connection is another one now */
    }
    if (short_read) return; /* more will raise another edge: epoll(7), question 9 */
  }
}

static void pick_source(int fd) {
  struct sockaddr_in source = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + next_source) };
  /* Without IP_BIND_ADDRESS_NO_PORT bind would take the port at once, without knowing the destination. */
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
  if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0) result.errors_by_number[errno & 255]++;
}

/* Starts a connect; rotates the source address on loopback, because a port of one source rests in TIME_WAIT for a minute. */
static int start_connect(bool rotate) {
  bool loopback = (ntohl(options.address.sin_addr.s_addr) >> 24) == 127;
  for (unsigned attempt = 0;; attempt++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    if (rotate && loopback) {
      next_source = (next_source + 1) % SOURCES;
      pick_source(fd);
    }
    if (connect(fd, (struct sockaddr *)&options.address, sizeof options.address) == 0 || errno == EINPROGRESS) return fd;
    int number = errno;
    close(fd);
    /* EADDRNOTAVAIL: all ports of this source rest in TIME_WAIT; the next source is taken. */
    if (number != EADDRNOTAVAIL || !rotate || !loopback || attempt == 8) return -number;
  }
}

static void open_connection(struct connection *c) {
  if (options.shape == ARRIVALS && phase != OPENING_PHASE) c->started = now_ns();
  c->answered = false;
  c->state = CONNECTING;
  c->fd = start_connect(options.shape == ARRIVALS || options.connections + options.idle > PORTS_PER_SOURCE);
  if (c->fd < 0) {
    int number = -c->fd;
    c->fd = -1;
    return lose(c, number, "connect");
  }
  /* Edge-triggered, both directions, once: no epoll_ctl per message, and this process is as cheap as it can be. */
  struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0) lose(c, errno, "epoll_ctl");
}

static void on_event(struct connection *c, uint32_t events) {
  if (c->state == CONNECTING) {
    int number = 0;
    if (events & (EPOLLERR | EPOLLHUP)) getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &number, &(socklen_t){ sizeof number });
    if (number) return lose(c, number, "connect");
    if (!(events & EPOLLOUT)) return;
    c->state = OPEN;
    open_count++;
    uint64_t began = c->started;
    start_batch(c, 1);
    if (options.shape == ARRIVALS && phase != OPENING_PHASE) c->started = began; /* its time runs from connect */
    return;
  }
  if (c->state != OPEN) return;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) read_replies(c);
  if (c->state == OPEN && (events & EPOLLOUT) && c->sent < c->batch) send_batch(c);
}

/* ---- the loop ------------------------------------------------------------------------------------------------- */

static void retry(uint64_t now) {
  for (unsigned i = 0; retry_count && i < options.connections; i++) {
    if (connections[i].state != RETRY || connections[i].retry_at > now) continue;
    retry_count--;
    open_connection(&connections[i]);
  }
}

/* One wait and what came of it. Looks at the clock: progress lines, stalls, retries. */
static void turn(uint64_t until) {
  static struct epoll_event events[EVENTS];
  uint64_t now = now_ns(), wake = next_look() < until ? next_look() : until;
  if (retry_count && wake > now + RETRY_NS) wake = now + RETRY_NS;
  if (flood.fd >= 0) {
    uint64_t due = start_due();
    if (wake > due) wake = due;
    if (flood_can_move(&flood)) wake = now;
  }
  if (datagrams.fd >= 0 && wake > datagrams_due(&datagrams)) wake = datagrams_due(&datagrams);
  int count = epoll_wait(epoll_fd, events, EVENTS, wake > now ? (int)((wake - now + 999999) / 1000000) : 0);
  for (int i = 0; i < count && phase != DONE; i++) {
    if (events[i].data.ptr == &flood) {
      flood.readable |= (events[i].events & ~(uint32_t)EPOLLOUT) != 0;
      flood.writable |= (events[i].events & EPOLLOUT) != 0;
    } else if (events[i].data.ptr == &datagrams) {
      datagrams.readable |= (events[i].events & ~(uint32_t)EPOLLOUT) != 0;
      datagrams.writable |= (events[i].events & EPOLLOUT) != 0;
    } else if (events[i].data.ptr) on_event(events[i].data.ptr, events[i].events);
    else result.early_closes++; /* an idle connection: only its end is listened for, once */
  }
  if (phase != DONE && flood_can_move(&flood)) move_flood(); /* after the quiet ones, which it must not keep waiting here */
  if (phase != DONE && datagrams.fd >= 0) datagrams_step(&datagrams);
  now = now_ns();
  if (retry_count) retry(now);
  look_at_clock(now);
}

static void run_until(uint64_t deadline) {
  while (phase != DONE && now_ns() < deadline) turn(deadline);
}

/* The measured interval. A server that starts a process for each connection answers few of them: there the clock goes on
 * until there are enough to speak of. */
static void run_measured(uint64_t begun) {
  uint64_t limit = begun + (uint64_t)(options.longest * 1e9);
  run_until(begun + (uint64_t)(options.duration * 1e9));
  while (phase != DONE && result.messages < options.at_least && now_ns() < limit) run_until(now_ns() + REPORT_NS);
}

/* Opens `count` connections, at most OPENING at a time, and waits until each was answered once. */
static void open_and_answer(unsigned count) {
  uint64_t limit = now_ns() + OPENING_LIMIT_NS;
  unsigned begun = 0, base = answered_count;
  while (phase != DONE && answered_count - base < count) {
    while (phase != DONE && begun < count && begun - (answered_count - base) < OPENING) open_connection(&connections[begun++]);
    if (phase == DONE) return;
    turn(limit);
    if (now_ns() >= limit)
      finish("stalled", "opening took more than %llu s: %u of %u answered", OPENING_LIMIT_NS / 1000000000ull, answered_count - base, count);
  }
}

/* Opens one more connection, has it answered and closes it. Accept queues are first in, first out: its reply shows that
 * the server has accepted every connection opened before it. */
static void probe_server(void) {
  uint64_t limit = now_ns() + OPENING_LIMIT_NS;
  open_connection(probe);
  while (phase != DONE && !probe->answered) turn(limit);
  discard(probe);
}

/* Opens connections that are never used. The kernel establishes them whether the server accepts or not, until its queue is
 * full and SYNs are dropped for a second: so every OPENING of them are followed by a probe. */
static void open_idle(unsigned count) {
  int fds[OPENING];
  int poll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (poll_fd < 0) return finish("failed", "epoll_create1: %s", strerror(errno));
  for (unsigned opened = 0; opened < count && phase != DONE;) {
    unsigned group = count - opened < OPENING ? count - opened : OPENING, established = 0;
    for (unsigned i = 0; i < group; i++) {
      fds[i] = start_connect(count > PORTS_PER_SOURCE);
      struct epoll_event event = { .events = EPOLLOUT | EPOLLONESHOT, .data.fd = fds[i] };
      if (fds[i] < 0) return finish("failed", "idle connection %u: connect: %s", opened + i, strerror(-fds[i]));
      epoll_ctl(poll_fd, EPOLL_CTL_ADD, fds[i], &event);
    }
    while (established < group) {
      struct epoll_event events[OPENING];
      int ready = epoll_wait(poll_fd, events, OPENING, 100);
      for (int i = 0; i < ready; i++, established++) {
        int number = 0;
        getsockopt(events[i].data.fd, SOL_SOCKET, SO_ERROR, &number, &(socklen_t){ sizeof number });
        if (number) return finish("failed", "idle connection: connect: %s", strerror(number));
        last_progress = now_ns();
      }
      if (interrupted) return finish("interrupted", "signal %d", (int)interrupted);
      if ((double)(now_ns() - last_progress) > options.stall * 1e9)
        return finish("stalled", "%u of %u idle connections established, then none for %g s", opened + established, count, options.stall);
    }
    for (unsigned i = 0; i < group; i++) {
      struct epoll_event closed = { .events = EPOLLRDHUP | EPOLLET, .data.ptr = NULL };
      epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &closed);
    }
    opened += group;
    probe_server();
  }
  close(poll_fd);
}

/* ---- shapes --------------------------------------------------------------------------------------------------- */

/* What each connection got, and whether all are still there. A batch still waiting has waited at least so long: without
 * this a starved connection would leave no trace. */
static void account(uint64_t ended) {
  result.least_per_connection = UINT64_MAX;
  for (unsigned i = 0; i < options.connections; i++) {
    struct connection *c = &connections[i];
    if (c->measured < result.least_per_connection) result.least_per_connection = c->measured;
    if (c->measured > result.most_per_connection) result.most_per_connection = c->measured;
    if ((c->state != OPEN && c->state != CONNECTING) || c->resting) continue;
    if (ended - c->started > result.oldest_pending) result.oldest_pending = ended - c->started;
  }
  if (options.shape == FLOOD && result.flood_bytes == 0) finish("stalled", "nothing came back to the connection that floods");
  if (options.shape != ARRIVALS && open_count < options.connections)
    finish("failed", "the server lost %u of %u sessions", options.connections - open_count, options.connections);
}

/* Warm-up, then the measured interval. */
static void warm_up_and_measure(void) {
  phase = WARMUP;
  for (unsigned i = 0; i < options.connections && phase != DONE; i++) {
    if (options.shape == SESSIONS) start_batch(&connections[i], options.pipeline);
    else if (options.shape == ARRIVALS) open_connection(&connections[i]);
  }
  run_until(now_ns() + (uint64_t)(options.warmup * 1e9));
  if (phase == DONE) return;
  struct beginning beginning = begin_measuring();
  run_measured(beginning.at);
  uint64_t ended = end_measuring(beginning);
  if (options.shape == DATAGRAMS) result.oldest_pending = datagrams_oldest(&datagrams, ended);
  else account(ended);
}

static void run_sessions(void) {
  uint64_t begun = now_ns();
  open_and_answer(options.connections);
  result.startup = (double)(now_ns() - begun) / 1e9;
  if (phase != DONE && options.idle) open_idle(options.idle);
  if (phase != DONE) warm_up_and_measure();
  result.end = read_server(options.servers, options.server_count, 1); /* every connection is still open */
}

static void run_arrivals(void) {
  uint64_t begun = now_ns();
  open_and_answer(1);
  result.startup = (double)(now_ns() - begun) / 1e9;
  discard(&connections[0]);
  if (phase != DONE) warm_up_and_measure();
  result.end = read_server(options.servers, options.server_count, 1);
}

/* Opens the connection that floods, waits until the first of it came back, and spreads what the quiet ones will send evenly
 * over the interval. */
static void open_flood(void) {
  flood.fd = start_connect(false);
  struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = &flood };
  if (flood.fd < 0) return finish("failed", "the connection that floods: connect: %s", strerror(-flood.fd));
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, flood.fd, &event) < 0) return finish("failed", "epoll_ctl: %s", strerror(errno));
  last_progress = now_ns();
  while (phase != DONE && flood.received == 0) turn(now_ns() + REPORT_NS);
  uint64_t now = now_ns();
  for (unsigned i = 0; i < options.connections; i++) connections[i].due = now + (i + 1) * interval_ns / options.connections;
}

static void run_flood(void) {
  uint64_t begun = now_ns();
  for (unsigned i = 0; i < options.connections; i++) connections[i].due = UINT64_MAX;
  open_and_answer(options.connections);
  if (phase != DONE) open_flood();
  result.startup = (double)(now_ns() - begun) / 1e9;
  if (phase != DONE) warm_up_and_measure();
  result.end = read_server(options.servers, options.server_count, 1);
}

/* The window is full before the clock starts, and the start-up is over when the first of it came back. */
static void run_datagrams(void) {
  uint64_t begun = now_ns();
  datagrams_open(&datagrams, epoll_fd);
  while (phase != DONE && datagrams.answered == 0) turn(now_ns() + REPORT_NS);
  result.startup = (double)(now_ns() - begun) / 1e9;
  if (phase != DONE) warm_up_and_measure();
  result.end = read_server(options.servers, options.server_count, 1);
}

static void rest_and_collect(double seconds) {
  for (size_t i = 0; options.collect && i < options.server_count; i++) kill(options.servers[i], SIGUSR2);
  last_progress = now_ns() + (uint64_t)(seconds * 1e9);
  run_until(last_progress);
}

/* What N unused connections add to a server that has already served as many as `warm`, so that its code is compiled and
 * its tables have grown once: memory after a collection before, and after another one with the connections held. */
static void run_idle(void) {
  unsigned idle = options.connections, warm = idle < WARM_CONNECTIONS ? idle : WARM_CONNECTIONS;
  options.connections = warm;
  open_and_answer(warm);
  for (unsigned i = 0; i < warm; i++) discard(&connections[i]);
  if (phase != DONE) rest_and_collect(options.settle);
  result.before = read_server(options.servers, options.server_count, 1);
  uint64_t begun = now_ns();
  if (phase != DONE) open_idle(idle);
  result.startup = (double)(now_ns() - begun) / 1e9;
  if (phase != DONE) rest_and_collect(options.settle);
  result.after = result.end = read_server(options.servers, options.server_count, 1);
  if (result.early_closes) finish("failed", "the server closed %llu idle connections", (unsigned long long)result.early_closes);
  options.connections = idle;
}

/* Sleeps until the signal that ends it, or until a connection ends: nothing of it may be seen in what others measure. */
static void run_hold(void) {
  unsigned count = options.connections;
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGINT);
  open_idle(count);
  sigprocmask(SIG_BLOCK, &blocked, &before); /* so that it is met in the wait, not before it */
  if (result.early_closes) finish("failed", "the server closed a connection that was held");
  if (phase != DONE) printf("held %u\n", count);
  fflush(stdout);
  while (phase != DONE) {
    struct epoll_event event;
    int ended = epoll_pwait(epoll_fd, &event, 1, interrupted ? 0 : -1, &before);
    if (ended > 0) finish("failed", "the server closed a connection that was held");
    if (ended == 0) break;
  }
}

static void require_descriptors(void) {
  struct rlimit files;
  unsigned all = options.connections + options.idle;
  unsigned long long wanted = (unsigned long long)all + 64;
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_max < wanted && setrlimit(RLIMIT_NOFILE, &(struct rlimit){ wanted, wanted }) == 0) return; /* privileged */
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_max < wanted)
    load_usage("%u connections need %llu descriptors; the hard limit (ulimit -Hn) is %llu", all, wanted, (unsigned long long)files.rlim_max);
}

static void on_signal(int number) { interrupted = number; }

int main(int argc, char **argv) {
  options = load_parse_options(argc, argv);
  contents = (struct contents){ options.size, options.prefix };
  message_bytes = options.prefix + options.size;
  interval_ns = (uint64_t)(options.interval * 1e9);
  flood.fd = datagrams.fd = -1;
  if (options.shape == FLOOD) flood_prepare(&flood);
  require_descriptors();
  prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlives the harness */
  struct sigaction action = { .sa_handler = on_signal };
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  connections = calloc(options.connections + 1, sizeof *connections);
  if (epoll_fd < 0 || !connections) load_usage("cannot start: %s", strerror(errno));
  run_begin();
  unsigned used = options.connections;
  if (options.shape == IDLE && used > WARM_CONNECTIONS) used = WARM_CONNECTIONS;
  if (options.shape == DATAGRAMS || options.shape == HOLD) used = 0;
  for (unsigned i = 0; i <= used; i++) {
    connections[i] = (struct connection){ .fd = -1, .key = mix(last_progress ^ mix(i)) };
    connections[i].bytes = malloc(message_bytes * options.pipeline);
    if (!connections[i].bytes) abort();
    contents_prepare(contents, connections[i].key, connections[i].bytes, options.pipeline);
  }
  probe = &connections[used];
  if (options.shape == SESSIONS) run_sessions();
  else if (options.shape == ARRIVALS) run_arrivals();
  else if (options.shape == FLOOD) run_flood();
  else if (options.shape == DATAGRAMS) run_datagrams();
  else if (options.shape == HOLD) run_hold();
  else run_idle();
  load_print_result(&options, &result);
  if (strcmp(result.outcome, "ok") == 0) return 0;
  return strcmp(result.outcome, "corrupt") == 0 ? 3 : strcmp(result.outcome, "stalled") == 0 ? 4 : 2;
}
