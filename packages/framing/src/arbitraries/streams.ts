import { concat } from '../bytes.js';
import type { Codec } from '../codec.js';
import { encodeAll } from '../decode-all.js';
import { Framed, type FramedOptions } from '../framed.js';
import { sameMessage } from '../same-message.js';
import type { ArbitraryLike, FastCheck } from './fast-check.js';

/** Messages, the stream that they make, and a way in which it may arrive. */
export interface FramedStream<M> {
  readonly messages: M[];
  readonly bytes: Uint8Array;
  readonly chunks: Uint8Array[];
}

/** Options of {@link payloads}. */
export interface PayloadOptions {
  /** Default 0. */
  minLength?: number;
  /** Default 64. */
  maxLength?: number;
  /** Byte strings that no payload contains: the delimiters of a codec without escapes. */
  without?: readonly Uint8Array[];
}

/** Payloads: bytes, now and then those that codecs stumble over (CR, LF, NUL, 0x7d, 0xc0, 0xff, digits). */
export function payloads(fc: FastCheck, options: PayloadOptions = {}): ArbitraryLike<Uint8Array> {
  const { minLength = 0, maxLength = 64, without = [] } = options;
  const awkward = fc.constantFrom(0x00, 0x0a, 0x0d, 0x2e, 0x30, 0x39, 0x3a, 0x7d, 0x7e, 0x7f, 0x80, 0xc0, 0xdb, 0xff);
  const bytes = fc
    .tuple(fc.uint8Array({ minLength, maxLength }), fc.array(fc.tuple(fc.nat(0xffff), awkward), { maxLength: 8 }))
    .map(([plain, changes]) => {
      const bytes = plain.slice();
      for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return bytes;
    });
  return without.length === 0 ? bytes : bytes.filter((payload) => !without.some((needle) => contains(payload, needle)));
}

/** Messages of `codec` and the stream that they make, cut anywhere, empty chunks among the pieces. */
export function streams<I, O>(
  fc: FastCheck,
  codec: Codec<I, O>,
  messages: ArbitraryLike<O>,
  options: { maxMessages?: number } = {},
): ArbitraryLike<FramedStream<O>> {
  return streamsOf(fc, codec, fc.array(messages, { maxLength: options.maxMessages ?? 6 }));
}

/** The same where what may follow what is not for one message to say: `lists` gives all the messages of a stream. */
export function streamsOf<I, O>(
  fc: FastCheck,
  codec: Codec<I, O>,
  lists: ArbitraryLike<O[]>,
): ArbitraryLike<FramedStream<O>> {
  return fc.tuple(lists, cuts(fc)).map(([messages, places]) => {
    const bytes = encodeAll(codec, messages);
    return { messages, bytes, chunks: cutAt(bytes, places) };
  });
}

/** A stream of a hostile peer. */
export interface HostileStream {
  readonly bytes: Uint8Array;
  readonly chunks: Uint8Array[];
}

/**
 * Bytes that are no stream of the codec, or hardly: random ones, and streams of it with bytes changed, lost, added, said
 * twice, or cut off. What belongs there more often than chance would have it are the bytes that mean something in text and
 * the lengths at the edges. Whatever comes of them must be the same in any chunking.
 */
export function hostileStreams<I, O>(
  fc: FastCheck,
  codec: Codec<I, O>,
  lists: ArbitraryLike<O[]>,
): ArbitraryLike<HostileStream> {
  const random = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc
      .array(fc.oneof(fc.nat(0xff), fc.constantFrom(...TELLING)), { maxLength: 80 })
      .map((list) => Uint8Array.from(list)),
  );
  const spoilt = fc
    .tuple(
      lists,
      fc.array(fc.tuple(fc.nat(0x7fffffff), fc.constantFrom(...EDITS), piece(fc)), { minLength: 1, maxLength: 4 }),
    )
    .map(([messages, edits]) => {
      let bytes = encodeAll(codec, messages);
      for (const [at, edit, piece] of edits) bytes = edited(bytes, at % (bytes.length + 1), edit, piece);
      return bytes;
    });
  return fc
    .tuple(fc.oneof(random, spoilt, spoilt), cuts(fc))
    .map(([bytes, places]) => ({ bytes, chunks: cutAt(bytes, places) }));
}

/** What is put into a stream. */
function piece(fc: FastCheck): ArbitraryLike<Uint8Array> {
  const text = (digits: string) => Uint8Array.from(digits, (character) => character.charCodeAt(0));
  return fc.oneof(
    fc.oneof(fc.nat(0xff), fc.constantFrom(...TELLING)).map((byte) => Uint8Array.of(byte)),
    fc.constantFrom(
      ...['0', '-1', '65536', '2147483648', '9007199254740993', '1'.repeat(30), 'ffffffffff', '\r\n\r\n'].map(text),
    ),
    fc.tuple(fc.constantFrom(0x00, 0x7f, 0x80, 0xff), fc.nat(9)).map(([byte, size]) => new Uint8Array(size).fill(byte)),
  );
}

const TELLING = [...'\r\n\0 \t:;,.=-+0159aAf$*%<>[]"\\#_~|!()\x7f\x80\xc0\xff'].map((character) =>
  character.charCodeAt(0),
);
const EDITS = ['change', 'change', 'add', 'lose', 'repeat', 'cut'] as const;

function edited(bytes: Uint8Array, at: number, edit: (typeof EDITS)[number], piece: Uint8Array): Uint8Array {
  switch (edit) {
    case 'change':
      return concat([bytes.subarray(0, at), piece, bytes.subarray(at + piece.length)]);
    case 'add':
      return concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
    case 'lose':
      return concat([bytes.subarray(0, at), bytes.subarray(at + piece.length)]);
    case 'repeat':
      return concat([bytes, bytes.subarray(at)]);
    case 'cut':
      return bytes.slice(0, at);
  }
}

/** What `chunks` decode to; a fatal error is thrown. */
export function decodeChunks<I>(codec: Codec<I, never>, chunks: Iterable<Uint8Array>, options?: FramedOptions): I[] {
  const messages: I[] = [];
  const framer = new Framed(codec, (message) => messages.push(message), options);
  for (const chunk of chunks) framer.push(chunk);
  framer.end();
  return messages;
}

/**
 * A predicate for `fc.property(streams(…), roundTrips(codec))`: what was sent comes back, whatever the cuts. Throws with both
 * where it does not. `received` says what a message that was sent is when it comes back, where that is another one.
 */
export function roundTrips<I, O = I>(
  codec: Codec<I, O>,
  received: (message: O) => unknown = (message) => message,
): (stream: FramedStream<O>) => void {
  return ({ messages, chunks, bytes }) => {
    const wanted = messages.map(received);
    const got = decodeChunks(codec as unknown as Codec<I, never>, chunks);
    if (!sameMessage(got, wanted))
      throw new Error(`${wanted.length} messages in ${bytes.length} bytes came back as ${got.length} others`);
  };
}

function cuts(fc: FastCheck): ArbitraryLike<number[]> {
  return fc.array(fc.nat(0x7fffffff), { maxLength: 12 });
}

function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((one, other) => one - other);
  return [0, ...places].map((from, i) => bytes.slice(from, places[i] ?? bytes.length));
}

function contains(bytes: Uint8Array, needle: Uint8Array): boolean {
  for (let at = 0; at + needle.length <= bytes.length; at += 1)
    if (needle.every((byte, i) => bytes[at + i] === byte)) return true;
  return false;
}
