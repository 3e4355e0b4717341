/**
 * What the suites that decode frames have in common: a stream of frames of a size in chunks of 64 KiB, cut where they fall. An operation is a
 * chunk; a call decodes all of them. Every case delivers each message to the same sink, which looks at its length, its first and its last byte,
 * and has to find as many messages as there are.
 */
import { createRequire } from 'node:module';
import { type BytesLike, type Codec, encodeAll, Framed } from '@fdset/framing';
import type { SuiteCase } from './micro-suite.js';

const CHUNK = 64 * 1024;
/** The cuts fall differently in each, and all of them stay in the processor's cache: a chunk that was just received does. */
const CHUNKS = 8;

export type OnBytes = (frame: Uint8Array) => void;
export type OnText = (line: string) => void;
type Push = (chunk: Buffer) => void;

/** Packages of others: loaded when a suite runs, so that its program is built without them. */
// biome-ignore lint/suspicious/noExplicitAny: what they give has no types, or types of internals that are not exported
export const peer: (name: string) => any = createRequire(import.meta.url);

/** The class of views that `Buffer` itself makes, and that all sides deliver: `subarray` costs three times as much. */
export const View = (
  Buffer as unknown as { [Symbol.species]: new (b: ArrayBufferLike, at: number, n: number) => Buffer }
)[Symbol.species];

/** A payload without any byte that means something to one of the codecs. */
export function plainPayload(length: number, seed: number): Buffer {
  return Buffer.alloc(length, 97 + (seed % 26));
}

export class FrameStream {
  readonly chunks: Buffer[] = [];
  private readonly frames: number;
  private readonly sizes: { bytesPerOperation: number; operations: number };
  private sum = 0;
  private count = 0;

  /** `frameOf` gives the frames, one after the other, and always of the same length. */
  constructor(frameOf: (i: number) => Uint8Array) {
    const { length } = frameOf(0);
    this.frames = Math.floor((CHUNK * CHUNKS) / length);
    const stream = Buffer.concat(Array.from({ length: this.frames }, (_, i) => frameOf(i)));
    // Each in memory of its own, as sockets give them.
    for (let at = 0; at < stream.length; at += CHUNK) this.chunks.push(Buffer.from(stream.subarray(at, at + CHUNK)));
    this.sizes = { bytesPerOperation: CHUNK, operations: stream.length / CHUNK };
  }

  /** A case whose messages are bytes; `start` makes a decoder once, and is given where they go. */
  bytes(name: string, reference: string | undefined, start: (onFrame: OnBytes) => Push): SuiteCase {
    return this.synchronous(name, reference, start(this.onBytes));
  }

  /** The same with text. */
  text(name: string, reference: string | undefined, start: (onLine: OnText) => Push): SuiteCase {
    return this.synchronous(name, reference, start(this.onText));
  }

  /** A case that takes all chunks at once. */
  all(name: string, reference: string, decode: (chunks: readonly Buffer[], onFrame: OnBytes) => void): SuiteCase {
    const run = () => {
      decode(this.chunks, this.onBytes);
      return this.checked();
    };
    return { name, reference, ...this.sizes, run };
  }

  /** A case that delivers later than it is given the chunks, as streams do: it is waited for. */
  flowing(
    name: string,
    reference: string,
    start: (onBytes: OnBytes, onText: OnText) => (chunk: Buffer) => void,
  ): SuiteCase {
    let complete = () => {};
    const counted =
      <M>(deliver: (message: M) => void) =>
      (message: M) => {
        deliver(message);
        if (this.count === this.frames) complete();
      };
    const push = start(counted(this.onBytes), counted(this.onText));
    const run = async () => {
      await new Promise<void>((resolve) => {
        complete = resolve;
        for (const chunk of this.chunks) push(chunk);
      });
      return this.checked();
    };
    return { name, reference, ...this.sizes, asynchronous: true, run };
  }

  private synchronous(name: string, reference: string | undefined, push: Push): SuiteCase {
    const run = () => {
      for (const chunk of this.chunks) push(chunk);
      return this.checked();
    };
    return { name, ...(reference === undefined ? {} : { reference }), ...this.sizes, run };
  }

  private readonly onBytes = (frame: Uint8Array): void => {
    const { length } = frame;
    this.sum = (this.sum + length + frame[0]! + frame[length - 1]!) | 0;
    this.count++;
  };

  private readonly onText = (line: string): void => {
    const { length } = line;
    this.sum = (this.sum + length + line.charCodeAt(0) + line.charCodeAt(length - 1)) | 0;
    this.count++;
  };

  private checked(): number {
    if (this.count !== this.frames) throw new Error(`${this.count} messages of ${this.frames} were found`);
    this.count = 0;
    return this.sum;
  }
}

/** So much of a chunk is put behind what the last one left over: more than most frames lack, and a fraction of it. */
const JOINED = 4096;

/**
 * What a careful programmer writes around a loop for one format: what a chunk leaves over is kept, and put before the
 * beginning of the next, or before all of it if that is not enough. `scan` delivers the frames in `bytes` and returns where
 * the first incomplete one begins.
 */
export function joining(scan: (bytes: Buffer) => number): Push {
  let rest: Buffer | undefined;
  return (chunk) => {
    let bytes = chunk;
    if (rest !== undefined) {
      const used = scan(Buffer.concat([rest, chunk.subarray(0, JOINED)]));
      bytes = used > 0 ? chunk.subarray(used - rest.length) : Buffer.concat([rest, chunk]);
    }
    const at = scan(bytes);
    rest = at < bytes.length ? bytes.subarray(at) : undefined;
  };
}

/** The same as a class, whose subclasses are the loops. */
export abstract class HandWritten {
  readonly push = joining((bytes) => this.scan(bytes));

  constructor(protected readonly onFrame: OnBytes) {}

  protected abstract scan(bytes: Buffer): number;

  protected deliver(bytes: Buffer, at: number, length: number): void {
    this.onFrame(new View(bytes.buffer, bytes.byteOffset + at, length));
  }
}

/** Two cases: a loop written by hand, and `Framed` with `codec` against it. */
export function handAndFramed(
  label: string,
  codec: Codec<Uint8Array, BytesLike>,
  messageOf: (i: number) => Uint8Array,
  byHand: (onFrame: OnBytes) => HandWritten,
): SuiteCase[] {
  const stream = new FrameStream((i) => encodeAll(codec, [messageOf(i)]));
  const hand = `${label}: loop written by hand`;
  return [
    stream.bytes(hand, undefined, (onFrame) => {
      const written = byHand(onFrame);
      return (chunk) => written.push(chunk);
    }),
    stream.bytes(`${label}: Framed`, hand, (onFrame) => {
      const framed = new Framed(codec, onFrame);
      return (chunk) => framed.push(chunk);
    }),
  ];
}

/** The sizes of payload that all suites take. */
export const SIZES = [
  ['32 B', 32],
  ['1 KiB', 1024],
] as const;

export interface Contender {
  name: string;
  /** Makes the decoder, which hands each payload to `onFrame`. */
  make(onFrame: OnBytes): Push;
}

/** The last message that was an object: otherwise the compiler would leave out those that it sees through, of the loops by hand. */
export let latest: unknown;

/** For messages that are objects: keeps each for a moment, and hands its payload on. */
export function payloadsTo<M, P = Uint8Array>(
  sink: (payload: P) => void,
  payloadOf: (message: M) => P,
): (message: M) => void {
  return (message) => {
    latest = message;
    sink(payloadOf(message));
  };
}

/** The cases for payloads of all sizes; the first contender is the reference, the loop that is written by hand. */
export function frameCases(frame: (payload: Uint8Array) => Uint8Array, contenders: readonly Contender[]): SuiteCase[] {
  return SIZES.flatMap(([label, size]) =>
    contenders.map(({ name, make }, i) => {
      // Each has its own copy: some write to what they are given.
      const stream = new FrameStream((seed) => frame(new Uint8Array(size).fill(seed)));
      return stream.bytes(`${label}: ${name}`, i === 0 ? undefined : `${label}: ${contenders[0]!.name}`, make);
    }),
  );
}
