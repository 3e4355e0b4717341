/* What the files of the load generator share: the options, and the result that is printed at the end. */
#ifndef FDSET_BENCH_LOAD_H
#define FDSET_BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>

#include "histogram.h"
#include "server-stats.h"

enum { LOAD_MAX_SERVERS = 16 };

enum load_shape { SESSIONS, ARRIVALS, IDLE, FLOOD, DATAGRAMS, HOLD, SHAPE_COUNT };
extern const char *const load_shape_names[SHAPE_COUNT];

struct load_options {
  enum load_shape shape;
  struct sockaddr_in address;
  unsigned connections, idle, size, pipeline;
  unsigned prefix; /* bytes before each payload: 0, or 4 for a u32 length */
  double warmup, duration, longest, settle, stall;
  double interval; /* seconds from one message of a quiet connection to its next */
  double lost_after; /* seconds without a reply after which a datagram counts as lost */
  unsigned at_least; /* messages: until then the clock goes on, up to `longest` */
  bool collect;
  pid_t servers[LOAD_MAX_SERVERS];
  size_t server_count;
};

struct load_result {
  const char *outcome; /* ok, failed, corrupt, stalled, interrupted */
  char reason[256];
  double startup, elapsed, client_cpu; /* seconds */
  uint64_t messages;                   /* answered while the clock ran */
  uint64_t flood_bytes;                /* echoed to the connection that floods, meanwhile */
  uint64_t lost_datagrams;             /* not answered in time, meanwhile */
  uint64_t early_closes, errors_by_number[256];
  struct histogram latency; /* ns */
  uint64_t oldest_pending;  /* ns: how long the oldest unanswered batch had waited at the end */
  uint64_t least_per_connection, most_per_connection;
  struct server_stats before, after, end;
  struct machine_stats machine_before, machine_after;
};

/* Reads the command line; on a mistake says what is wanted and exits with 1. */
struct load_options load_parse_options(int argc, char **argv);
__attribute__((format(printf, 1, 2), noreturn)) void load_usage(const char *format, ...);

/* Prints the result as one line of JSON on stdout. */
void load_print_result(const struct load_options *options, const struct load_result *r);

#endif
