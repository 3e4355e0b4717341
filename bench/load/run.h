/* One run of the load generator: its phase, its clock, what it has counted, and how it ends. */
#ifndef FDSET_BENCH_RUN_H
#define FDSET_BENCH_RUN_H

#include <signal.h>

#include "load.h"

enum phase { OPENING_PHASE, WARMUP, MEASURE, DONE };

extern struct load_options options;
extern struct load_result result;
extern enum phase phase;
extern volatile sig_atomic_t interrupted; /* by this signal */
extern unsigned open_count;
extern uint64_t last_progress; /* ns: a run without any for --stall seconds has stalled */

void run_begin(void);
uint64_t now_ns(void);

/* Ends the run; what comes after it changes nothing. */
__attribute__((format(printf, 2, 3))) void finish(const char *how, const char *format, ...);

/* So many messages that were sent at `started` have come back now; they are counted while the clock runs. */
void count_answered(uint64_t now, uint64_t started, uint64_t count);

/* When the next progress line is due, and the line, the stall and the signal, once the time has come. */
uint64_t next_look(void);
void look_at_clock(uint64_t now);

/* The two ends of the measured interval; the second one is given what the first one returned. The counters stand still while
 * the server is sampled; at both ends it works off what is in flight meanwhile, so that the two errors cancel out. */
struct beginning {
  uint64_t at;
  double client_cpu;
};
struct beginning begin_measuring(void);
uint64_t end_measuring(struct beginning beginning); /* when the clock stopped */

#endif
