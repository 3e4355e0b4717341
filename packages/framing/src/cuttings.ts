/** The ways in which a stream may arrive. */

/** Options of {@link checkCodec}. */
export interface CuttingOptions {
  /** Random cuts of each stream. Default 20. */
  randomCuts?: number;
  /** Streams of up to so many bytes are cut in two at every byte as well. Default 512. */
  cutEverywhereUpTo?: number;
  /** Of the random cuts: the same seed gives the same. Default 1. */
  seed?: number;
}

/** Every way that is tried, with its name. The pieces are copies. */
export function* cuttings(
  bytes: Uint8Array,
  { randomCuts = 20, cutEverywhereUpTo = 512, seed = 1 }: CuttingOptions = {},
): Generator<[name: string, chunks: Uint8Array[]]> {
  yield ['whole', [bytes.slice()]];
  yield ['byte by byte', inPieces(bytes, 1)];
  yield ['in twos', inPieces(bytes, 2)];
  yield ['in threes', inPieces(bytes, 3)];
  const random = randomFrom(seed);
  for (let i = 0; i < randomCuts; i += 1) yield [`cut at random, number ${i}`, cutAtRandom(bytes, random)];
  if (bytes.length > cutEverywhereUpTo) return;
  for (let at = 1; at < bytes.length; at += 1) yield [`cut at ${at}`, [bytes.slice(0, at), bytes.slice(at)]];
}

export function inPieces(bytes: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
  return pieces;
}

/** Short pieces more often than long ones, and empty ones among them. */
function cutAtRandom(bytes: Uint8Array, random: () => number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = Math.floor(random() ** 2 * (bytes.length + 2));
    pieces.push(bytes.slice(at, at + size));
    at += size;
  }
  return pieces;
}

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000;
  };
}
