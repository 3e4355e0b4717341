/* Prints the result of the load generator: one JSON object, its fields named in bench/src/load/result.ts. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "load.h"

static void print_text(const char *text) {
  putchar('"');
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') putchar('\\');
    if ((unsigned char)*text >= ' ') putchar(*text);
  }
  putchar('"');
}

static void print_errors(const struct load_result *r) {
  static const struct {
    int number;
    const char *name;
  } names[] = {
    { ECONNREFUSED, "ECONNREFUSED" }, { ECONNRESET, "ECONNRESET" },     { EPIPE, "EPIPE" },
    { ETIMEDOUT, "ETIMEDOUT" },       { EADDRNOTAVAIL, "EADDRNOTAVAIL" }, { EMFILE, "EMFILE" },
    { ENFILE, "ENFILE" },             { ENOBUFS, "ENOBUFS" },           { ENETUNREACH, "ENETUNREACH" },
  };
  const char *comma = "";
  printf("\"errors\":{");
  if (r->early_closes) {
    printf("\"EOF\":%llu", (unsigned long long)r->early_closes);
    comma = ",";
  }
  for (int number = 0; number < 256; number++) {
    if (!r->errors_by_number[number]) continue;
    char other[16];
    const char *name = other;
    snprintf(other, sizeof other, "E%d", number);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
      if (names[i].number == number) name = names[i].name;
    printf("%s\"%s\":%llu", comma, name, (unsigned long long)r->errors_by_number[number]);
    comma = ",";
  }
  printf("},");
}

static void print_latency(const struct load_result *r) {
  static const struct {
    const char *name;
    double share;
  } percentiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 } };
  const struct histogram *h = &r->latency;
  printf("\"latency\":{\"unit\":\"us\",\"count\":%llu,", (unsigned long long)h->count);
  printf("\"mean\":%.3f,", h->count ? h->sum / (double)h->count / 1e3 : 0);
  for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++)
    printf("\"%s\":%.3f,", percentiles[i].name, (double)histogram_percentile(h, percentiles[i].share) / 1e3);
  printf("\"max\":%.3f,", (double)(h->most > r->oldest_pending ? h->most : r->oldest_pending) / 1e3);
  printf("\"oldestPending\":%.3f,\"histogramNs\":[", (double)r->oldest_pending / 1e3);
  const char *comma = "";
  for (unsigned i = 0; i < BUCKET_COUNT; i++) {
    if (!h->buckets[i]) continue;
    printf("%s[%llu,%llu]", comma, (unsigned long long)bucket_low(i), (unsigned long long)h->buckets[i]);
    comma = ",";
  }
  printf("]},");
}

static void print_server(const struct load_result *r) {
  printf("\"server\":{\"cpuSeconds\":%.6f,", r->after.cpu_seconds - r->before.cpu_seconds);
  printf("\"pssBytes\":%llu,", (unsigned long long)r->end.pss_bytes);
  printf("\"pssBytesBefore\":%llu,", (unsigned long long)r->before.pss_bytes);
  printf("\"processes\":%u,\"threads\":%u},", r->end.processes, r->end.threads);
}

static void print_machine(const struct machine_stats *before, const struct machine_stats *after) {
  printf("\"machine\":{\"busySeconds\":%.3f,", after->busy_seconds - before->busy_seconds);
  printf("\"stealSeconds\":%.3f,", after->steal_seconds - before->steal_seconds);
  printf("\"listenOverflows\":%llu,", (unsigned long long)(after->listen_overflows - before->listen_overflows));
  printf("\"retransmits\":%llu}", (unsigned long long)(after->retransmits - before->retransmits));
}

void load_print_result(const struct load_options *options, const struct load_result *r) {
  printf("{\"schema\":2,\"client\":\"c\",\"shape\":\"%s\",\"outcome\":\"%s\",", load_shape_names[options->shape], r->outcome);
  if (*r->reason) {
    printf("\"reason\":");
    print_text(r->reason);
    printf(",");
  }
  printf("\"options\":{\"connections\":%u,\"idle\":%u,\"size\":%u,", options->connections, options->idle, options->size);
  printf("\"pipeline\":%u,\"frame\":%s,", options->pipeline, options->prefix ? "\"u32\"" : "null");
  printf("\"warmup\":%g,\"duration\":%g},", options->warmup, options->duration);
  printf("\"startupSeconds\":%.6f,\"elapsedSeconds\":%.6f,", r->startup, r->elapsed);
  printf("\"messages\":%llu,\"messageBytes\":%zu,", (unsigned long long)r->messages, (size_t)options->prefix + options->size);
  print_errors(r);
  print_latency(r);
  if (options->shape == FLOOD) printf("\"floodBytes\":%llu,", (unsigned long long)r->flood_bytes);
  if (options->shape == DATAGRAMS) printf("\"lostDatagrams\":%llu,", (unsigned long long)r->lost_datagrams);
  if ((options->shape == SESSIONS || options->shape == FLOOD) && r->elapsed > 0) {
    printf("\"perConnection\":{\"least\":%llu,", (unsigned long long)r->least_per_connection);
    printf("\"most\":%llu},", (unsigned long long)r->most_per_connection);
  }
  printf("\"clientCpuSeconds\":%.6f,", r->client_cpu);
  printf("\"clientShare\":%.4f,", r->elapsed > 0 ? r->client_cpu / r->elapsed : 0);
  if (options->server_count) print_server(r);
  else printf("\"server\":null,");
  print_machine(&r->machine_before, &r->machine_after);
  printf("}\n");
}
