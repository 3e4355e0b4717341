/** What the suites of decoders have in common: a stream in chunks, and each decoder fed with it in a circle. */
import { createRequire } from 'node:module';
import type { SuiteCase } from './micro-suite.js';

export const CHUNK = 64 * 1024;
/** Chunks of one stream: the cuts fall differently in each. */
const CHUNKS = 64;

/** Packages of others: loaded when a suite runs, so that its program is built without them. */
// biome-ignore lint/suspicious/noExplicitAny: what they give has no types, or types of internals that are not exported
export const peer: (name: string) => any = createRequire(import.meta.url);

/** Takes a chunk, and hands each payload to the sink. */
export type Push = (chunk: Uint8Array) => void;
export type Sink = (payload: Uint8Array) => void;

export interface Contender {
  name: string;
  /** Makes the decoder. `'reference'` is the first contender: the loop that is written by hand. */
  make(sink: Sink): Push;
}

/** `frame(payload)`, end to end, as chunks; the last frame ends with the last chunk, so that the stream can be fed in a circle. */
function chunksOf(frame: (payload: Uint8Array) => Uint8Array, size: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let length = 0, i = 0; length < CHUNK * CHUNKS; i++) {
    const one = frame(new Uint8Array(size).fill(i & 255));
    frames.push(one);
    length += one.length;
  }
  const stream = Buffer.concat(frames);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += CHUNK) chunks.push(Buffer.from(stream.subarray(at, at + CHUNK)));
  return chunks;
}

/**
 * The cases for payloads of 32 bytes and of 1 KiB. All contenders decode the same stream, each its own copy of it
 * (some write to what they are given), and every payload's length, first and last byte go into the result.
 */
export function frameCases(frame: (payload: Uint8Array) => Uint8Array, contenders: readonly Contender[]): SuiteCase[] {
  return [32, 1024].flatMap((size) => {
    const label = size === 32 ? '32 B' : '1 KiB';
    const reference = `${label}: ${contenders[0]!.name}`;
    return contenders.map(({ name, make }, i): SuiteCase => {
      const chunks = chunksOf(frame, size);
      let seen = 0;
      let payloads = 0;
      const push = make((payload) => {
        payloads++;
        seen = (seen + payload.length + payload[0]! + payload[payload.length - 1]!) | 0;
      });
      let next = 0;
      const run = () => {
        push(chunks[next]!);
        next = (next + 1) % chunks.length;
        return seen;
      };
      // Once around: a decoder that delivers nothing would be the fastest.
      for (let n = 0; n < chunks.length; n++) run();
      const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      const expected = total / frame(new Uint8Array(size)).length;
      if (payloads !== expected) throw new Error(`${label}: ${name} delivers ${payloads} payloads of ${expected}`);
      return { name: `${label}: ${name}`, ...(i === 0 ? {} : { reference }), bytesPerOperation: CHUNK, run };
    });
  });
}

/**
 * What a loop written by hand does with what a chunk leaves over: joins it with the next. `decode` takes all frames out
 * of `bytes` and returns how many bytes it has used.
 */
export function joining(decode: (bytes: Uint8Array) => number): Push {
  let rest: Uint8Array | undefined;
  return (chunk) => {
    let bytes = chunk;
    if (rest !== undefined) {
      bytes = Buffer.allocUnsafe(rest.length + chunk.length);
      bytes.set(rest);
      bytes.set(chunk, rest.length);
      rest = undefined;
    }
    const used = decode(bytes);
    if (used < bytes.length) rest = bytes.subarray(used);
  };
}

/** The class of views that `Buffer` itself makes: `subarray` costs three times as much. */
export const View = (
  Buffer as unknown as { [Symbol.species]: new (b: ArrayBufferLike, at: number, n: number) => Buffer }
)[Symbol.species];
