/** Medians and paired ratios: the only statistics that the tables show. */

/** The middle value, or the mean of the two middle ones; `undefined` of nothing. The order of the input does not matter and is kept. */
export function median(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value below which the share `p` (0 to 1) of the values lies, interpolated between neighbours (Hyndman and Fan's type 7); `undefined` of nothing. */
export function quantile(values: readonly number[], p: number): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const place = p * (sorted.length - 1);
  const below = sorted[Math.floor(place)]!;
  return below + (sorted[Math.ceil(place)]! - below) * (place % 1);
}

export interface Spread {
  median: number;
  /** The middle half of the pairs lies between them. */
  quartiles: readonly [lower: number, upper: number];
  least: number;
  most: number;
  /** How many pairs. */
  count: number;
}

export function spread(values: readonly number[]): Spread | undefined {
  const middle = median(values);
  if (middle === undefined) return undefined;
  const quartiles = [quantile(values, 0.25)!, quantile(values, 0.75)!] as const;
  return { median: middle, quartiles, least: Math.min(...values), most: Math.max(...values), count: values.length };
}

/**
 * The ratios `value / baseline` of the slices, or rounds, that have both, never across them: what disturbs one, disturbs both of its
 * measurements and cancels out. The maps are keyed by slice or by round.
 */
export function pairedRatios<K>(values: ReadonlyMap<K, number>, baseline: ReadonlyMap<K, number>): number[] {
  const ratios: number[] = [];
  for (const [key, value] of values) {
    const base = baseline.get(key);
    if (base !== undefined && base > 0) ratios.push(value / base);
  }
  return ratios;
}

/** A small seeded generator (mulberry32): the same seed gives the same order of targets. Returns numbers from 0 up to, not including, 1. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** A shuffled copy (Fisher-Yates). */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}
