#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "run.h"

#define REPORT_NS 250000000ull /* between two progress lines */

static const char *const phase_names[] = { "open", "warmup", "measure", "done" };

struct load_options options;
struct load_result result = { .outcome = "ok" };
enum phase phase = OPENING_PHASE;
volatile sig_atomic_t interrupted;
unsigned open_count;
uint64_t last_progress;

static uint64_t begun, next_report;
static uint64_t total_messages; /* of all phases */

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

void run_begin(void) { begun = last_progress = now_ns(); }

void finish(const char *how, const char *format, ...) {
  if (phase == DONE) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(result.reason, sizeof result.reason, format, arguments);
  va_end(arguments);
  result.outcome = how;
  phase = DONE;
}

void count_answered(uint64_t now, uint64_t started, uint64_t count) {
  total_messages += count;
  if (phase != MEASURE) return;
  result.messages += count;
  histogram_record(&result.latency, now - started, count);
}

uint64_t next_look(void) { return next_report; }

void look_at_clock(uint64_t now) {
  if (now >= next_report) {
    fprintf(stderr, "{\"seconds\":%.3f,\"phase\":\"%s\",\"connections\":%u,\"messages\":%llu}\n", (double)(now - begun) / 1e9,
            phase_names[phase], open_count, (unsigned long long)total_messages);
    next_report = now + REPORT_NS;
  }
  if (interrupted) finish("interrupted", "signal %d", (int)interrupted);
  else if (now > last_progress && (double)(now - last_progress) > options.stall * 1e9)
    finish("stalled", "no reply for %g s in phase %s: %u of %u %s, %llu messages before", options.stall, phase_names[phase], open_count,
           options.connections, options.shape == DATAGRAMS ? "datagrams in flight" : "connections open", (unsigned long long)total_messages);
}

static double client_cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct beginning begin_measuring(void) {
  result.machine_before = read_machine();
  result.before = read_server(options.servers, options.server_count, 0);
  struct beginning beginning = { .client_cpu = client_cpu(), .at = now_ns() };
  phase = MEASURE;
  return beginning;
}

uint64_t end_measuring(struct beginning beginning) {
  uint64_t ended = now_ns();
  result.client_cpu = client_cpu() - beginning.client_cpu;
  result.after = read_server(options.servers, options.server_count, 0);
  result.machine_after = read_machine();
  result.elapsed = (double)(ended - beginning.at) / 1e9;
  if (result.messages == 0) finish("stalled", "nothing was answered in the %.2g s that were measured", result.elapsed);
  return ended;
}
