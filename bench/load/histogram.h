/*
 * A log-linear histogram of nanoseconds, as HdrHistogram: every power of two is cut into 128 buckets, so that a value
 * is told with an error below 1/128 (0.79 %), at a fixed cost and in fixed memory. bench/src/load/histogram.ts is its twin.
 */
#ifndef FDSET_BENCH_HISTOGRAM_H
#define FDSET_BENCH_HISTOGRAM_H

#include <stdint.h>

enum { SUB_BITS = 7, SUB_COUNT = 1 << SUB_BITS, BUCKET_COUNT = (64 - SUB_BITS + 1) << SUB_BITS };

struct histogram {
  uint64_t count, least, most;
  double sum;
  uint64_t buckets[BUCKET_COUNT];
};

static inline unsigned bucket_of(uint64_t value) {
  if (value < SUB_COUNT) return (unsigned)value;
  unsigned shift = 63u - (unsigned)__builtin_clzll(value) - SUB_BITS;
  return ((shift + 1) << SUB_BITS) + (unsigned)((value >> shift) - SUB_COUNT);
}

/* The smallest value that falls into the bucket. */
static inline uint64_t bucket_low(unsigned bucket) {
  if (bucket < SUB_COUNT) return bucket;
  unsigned shift = (bucket >> SUB_BITS) - 1;
  return (uint64_t)((bucket & (SUB_COUNT - 1)) + SUB_COUNT) << shift;
}

/* The largest value that falls into the bucket. */
static inline uint64_t bucket_high(unsigned bucket) {
  return bucket + 1 < BUCKET_COUNT ? bucket_low(bucket + 1) - 1 : UINT64_MAX;
}

static inline void histogram_record(struct histogram *h, uint64_t value, uint64_t times) {
  h->buckets[bucket_of(value)] += times;
  if (h->count == 0 || value < h->least) h->least = value;
  if (value > h->most) h->most = value;
  h->count += times;
  h->sum += (double)value * (double)times;
}

/* The value at or below which the share `p` (0 to 1) of all values lies: the upper edge of its bucket, never more than the
 * largest value seen. */
static inline uint64_t histogram_percentile(const struct histogram *h, double p) {
  if (h->count == 0) return 0;
  double exact = p * (double)h->count;
  uint64_t rank = (uint64_t)exact;
  if ((double)rank < exact) rank++;
  if (rank == 0) rank = 1;
  uint64_t seen = 0;
  for (unsigned i = 0; i < BUCKET_COUNT; i++) {
    seen += h->buckets[i];
    if (seen >= rank) return bucket_high(i) < h->most ? bucket_high(i) : h->most;
  }
  return h->most;
}

#endif
