/**
 * A log-linear histogram of nanoseconds, as HdrHistogram: every power of two is cut into 128 buckets, so that a value is told with an
 * error below 1/128 (0.79 %). The twin of load/histogram.h: both clients report the same percentiles for the same times.
 */

const SUB_BITS = 7;
const SUB_COUNT = 1 << SUB_BITS;
/** Values from 2^53 on are clamped: 104 days. */
const BUCKETS = (53 - SUB_BITS + 1) << SUB_BITS;

/** The position of the highest set bit of a non-negative safe integer. */
function highestBit(value: number): number {
  const high = Math.floor(value / 0x1_0000_0000);
  return high > 0 ? 63 - Math.clz32(high) : 31 - Math.clz32(value);
}

export function bucketOf(value: number): number {
  if (value < SUB_COUNT) return value;
  const shift = highestBit(value) - SUB_BITS;
  return ((shift + 1) << SUB_BITS) + Math.floor(value / 2 ** shift) - SUB_COUNT;
}

/** The smallest value that falls into the bucket. */
export function bucketLow(bucket: number): number {
  if (bucket < SUB_COUNT) return bucket;
  const shift = (bucket >> SUB_BITS) - 1;
  return ((bucket & (SUB_COUNT - 1)) + SUB_COUNT) * 2 ** shift;
}

/** The largest value that falls into the bucket. */
export function bucketHigh(bucket: number): number {
  return bucketLow(bucket + 1) - 1;
}

export class Histogram {
  count = 0;
  most = 0;
  #sum = 0;
  readonly #buckets = new Float64Array(BUCKETS);

  /** Counts `value`, in nanoseconds, `times` times. */
  record(value: number, times = 1): void {
    const ns = Math.min(Math.max(0, Math.round(value)), Number.MAX_SAFE_INTEGER);
    const bucket = bucketOf(ns);
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + times;
    this.count += times;
    this.#sum += ns * times;
    if (ns > this.most) this.most = ns;
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.#sum / this.count;
  }

  /** The value at or below which the share `p` (0 to 1) lies: the upper edge of its bucket, never more than the largest value seen; 0 when empty. */
  percentile(p: number): number {
    const rank = Math.max(1, Math.ceil(p * this.count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#buckets[bucket] ?? 0;
      if (seen >= rank) return Math.min(bucketHigh(bucket), this.most);
    }
    return this.most;
  }

  /** Adds what another one's `entries()` told. Percentiles are as if both had counted everything; the mean is not kept, and `most` is to be given. */
  merge(entries: readonly (readonly [number, number])[], most: number): void {
    for (const [value, count] of entries) {
      const bucket = bucketOf(value);
      this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + count;
      this.count += count;
    }
    this.most = Math.max(this.most, most);
  }

  /** [smallest value of the bucket, count], empty buckets left out. */
  entries(): [number, number][] {
    const entries: [number, number][] = [];
    this.#buckets.forEach((count, bucket) => {
      if (count > 0) entries.push([bucketLow(bucket), count]);
    });
    return entries;
  }
}
