/* What a server has used, read from outside: CPU time and memory of processes, their threads and their descendants. */
#ifndef FDSET_BENCH_SERVER_STATS_H
#define FDSET_BENCH_SERVER_STATS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

struct server_stats {
  double cpu_seconds;
  unsigned processes, threads;
  uint64_t pss_bytes;
};

/* What the whole machine did, in seconds of CPU and in TCP's counters: tells whether something else disturbed. */
struct machine_stats {
  double busy_seconds, steal_seconds;
  uint64_t listen_overflows, retransmits;
};

/* Sums over the given processes and all their descendants; memory, which takes milliseconds to read, only when asked for. */
struct server_stats read_server(const pid_t *roots, size_t root_count, int with_memory);
struct machine_stats read_machine(void);

#endif
