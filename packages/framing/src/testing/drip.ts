import { Framed } from '../index.js';
import type { AnyCodec } from './properties.js';
import { retainedBytes } from './retained-bytes.js';

/** A codec, the beginning of a frame, and what goes on in it for as long as one likes. Both are Latin-1. */
export type DripCase = readonly [codec: AnyCodec, begin: string, more: string];

/** What a peer costs that sends `bytes` of it, each in a chunk of its own. */
export interface DripCost {
  /** Most bytes that were held beyond four times those that had come. */
  readonly excess: number;
  /** Messages that came of what goes on. */
  readonly messages: number;
}

export function drip([codec, begin, more]: DripCase, bytes: number): DripCost {
  let messages = 0;
  const framer = new Framed(codec, () => messages++);
  framer.push(Buffer.from(begin, 'latin1'));
  const before = messages;
  const cycle = Buffer.from(more, 'latin1');
  let excess = 0;
  for (let i = 0; i < bytes; i++) {
    framer.push(Uint8Array.of(cycle[i % cycle.length]!));
    if (i % 1000 === 0) excess = Math.max(excess, retainedBytes(framer) - 4 * (i + 1 + begin.length));
  }
  return { excess, messages: messages - before };
}
