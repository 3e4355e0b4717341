/** For authors of codecs: whether a codec keeps the law, the same messages and the same error in any chunking. */
import { concat, utf8Bytes } from './bytes.js';
import type { Codec, Decoder } from './codec.js';
import { type CuttingOptions, cuttings } from './cuttings.js';
import { FramingError, type FramingErrorCode, shown, wrongType } from './errors.js';
import { checkDecoder, Framed } from './framed.js';
import { hexOf, unhex } from './hex.js';
import { sameMessage } from './same-message.js';

/** What a stream must give. Bytes may stand as hex, as in the JSON lines of `vectors/decode.jsonl`. */
export interface DecodeVector {
  name?: string;
  /** The stream as it came: hex or bytes. Or `bytes`, in one piece. */
  chunks?: readonly (string | Uint8Array)[];
  bytes?: string | Uint8Array;
  /** The messages before the error, if any, as bytes: a message that is text counts as its UTF-8. */
  frames?: readonly (string | Uint8Array)[];
  /** Or as they are, compared by value: numbers, strings, arrays, Maps, objects of such. */
  messages?: readonly unknown[];
  /** The code of the fatal error. */
  error?: FramingErrorCode;
  /** Where the fatal error is, if that is to be checked: in any chunking it is at one place anyway. */
  offset?: number;
  /** How many recoverable errors are reported. Default 0. */
  errors?: number;
  /** `false`: the stream does not end. Default `true`. */
  end?: boolean;
}

/** What messages must give, or how they are refused. */
export interface EncodeVector {
  name?: string;
  /** Payloads, in hex or as bytes, as in `vectors/encode.jsonl`. */
  encode?: readonly (string | Uint8Array)[];
  /** Or messages as they are. */
  send?: readonly unknown[];
  bytes?: string | Uint8Array;
  error?: FramingErrorCode;
}

/** One broken promise. */
export interface CodecFailure {
  /** The name of the vector, or its number. */
  vector: string;
  /** How the stream was cut: 'whole', 'byte by byte', 'cut at 7', … */
  cut: string;
  wanted: string;
  got: string;
}

/** What {@link checkCodec} has found. */
export interface CodecReport {
  readonly ok: boolean;
  readonly vectors: number;
  /** Streams decoded and messages encoded. */
  readonly runs: number;
  /** At most one for each vector: the first. */
  readonly failures: readonly CodecFailure[];
  /** For people, and for `expect(report.ok, String(report))`. */
  toString(): string;
}

/**
 * Runs every vector through `codec`, whole, as its chunks stand, byte by byte, in twos and threes, cut at random and at every
 * byte, and two streams at a time through the one codec object, which must keep nothing of a stream. What comes out must be
 * what the vector says, and the same in every cut: messages, recoverable errors, and the fatal error with its place.
 *
 * Where the codec encodes and the vector has no error, its messages are encoded again, and the bytes must decode to the same
 * messages (not every byte string is the one that the encoder writes).
 *
 * It throws only for misuse (`ERR_FRAMING_CODEC`, `ERR_FRAMING_OPTION`): what the codec does wrong, any exception of its own
 * included, is in the report.
 */
export function checkCodec<I, O = I>(
  codec: Codec<I, O> | Decoder<I>,
  vectors: Iterable<DecodeVector | EncodeVector>,
  options: CuttingOptions = {},
): CodecReport {
  checkDecoder(codec);
  if (typeof vectors?.[Symbol.iterator] !== 'function')
    throw wrongType('ERR_FRAMING_OPTION', `checkCodec wants a list of vectors, got ${shown(vectors)}`);
  const failures: CodecFailure[] = [];
  const check = new Check(codec as Codec<unknown, unknown>, options);
  let count = 0;
  for (const vector of vectors) {
    const failure = 'encode' in vector || 'send' in vector ? check.encoding(vector) : check.decoding(vector);
    if (failure !== undefined) failures.push({ vector: vector.name ?? `#${count}`, ...failure });
    count += 1;
  }
  return {
    ok: failures.length === 0,
    vectors: count,
    runs: check.runs,
    failures,
    toString: () =>
      failures.length === 0
        ? `${count} vectors hold in ${check.runs} runs`
        : failures
            .map(({ vector, cut, wanted, got }) => `${vector}, ${cut}:\n  wanted ${wanted}\n  got    ${got}`)
            .join('\n'),
  };
}

type Failure = Omit<CodecFailure, 'vector'>;

/** What a stream has given, its error with the place. */
interface Outcome {
  messages: unknown[];
  skipped: string[];
  error: string | undefined;
}

/** One stream on its way through the codec. */
class Run {
  readonly outcome: Outcome = { messages: [], skipped: [], error: undefined };
  private readonly framer: Framed<unknown, unknown>;

  constructor(codec: Codec<unknown, unknown>) {
    const { messages, skipped } = this.outcome;
    this.framer = new Framed(codec, (message) => messages.push(message), {
      onError: (error) => skipped.push(`${error.code} at ${error.offset}`),
    });
  }

  push(chunk: Uint8Array): void {
    this.guard(() => this.framer.push(chunk));
  }

  end(): void {
    this.guard(() => this.framer.end());
  }

  private guard(step: () => void): void {
    if (this.outcome.error !== undefined) return;
    try {
      step();
    } catch (error) {
      this.outcome.error = error instanceof FramingError ? `${error.code} at ${error.offset}` : String(error);
    }
  }
}

class Check {
  runs = 0;
  private readonly codec: Codec<unknown, unknown>;
  private readonly options: CuttingOptions;

  constructor(codec: Codec<unknown, unknown>, options: CuttingOptions) {
    this.codec = codec;
    this.options = options;
  }

  decoding(vector: DecodeVector): Failure | undefined {
    const given = (vector.chunks ?? [vector.bytes ?? '']).map(bytesOf);
    const ends = vector.end !== false;
    const first = this.outcomeOf(given, ends);
    const wrong = mismatch(vector, first);
    if (wrong !== undefined) return { cut: 'as given', ...wrong };
    const whole = concat(given);
    for (const [cut, chunks] of cuttings(whole, this.options)) {
      const outcome = this.outcomeOf(chunks, ends);
      if (!sameOutcome(outcome, first)) return { cut, wanted: described(first), got: described(outcome) };
    }
    const [one, other] = this.twoAtOnce(whole, ends);
    for (const outcome of [one, other])
      if (!sameOutcome(outcome, first))
        return { cut: 'two streams at once', wanted: described(first), got: described(outcome) };
    return first.error === undefined && first.skipped.length === 0 ? this.returning(first.messages) : undefined;
  }

  encoding(vector: EncodeVector): Failure | undefined {
    const messages = vector.send ?? (vector.encode ?? []).map(bytesOf);
    const wanted = vector.error ?? hexOf(bytesOf(vector.bytes ?? ''));
    const got = this.encoded(messages);
    const shownGot = typeof got === 'string' ? got : hexOf(got);
    return shownGot === wanted ? undefined : { cut: 'encoded', wanted, got: shownGot };
  }

  private outcomeOf(chunks: readonly Uint8Array[], ends: boolean): Outcome {
    this.runs += 1;
    const run = new Run(this.codec);
    for (const chunk of chunks) run.push(chunk);
    if (ends) run.end();
    return run.outcome;
  }

  private twoAtOnce(bytes: Uint8Array, ends: boolean): [Outcome, Outcome] {
    this.runs += 2;
    const runs: [Run, Run] = [new Run(this.codec), new Run(this.codec)];
    for (const byte of bytes) for (const run of runs) run.push(Uint8Array.of(byte));
    if (ends) for (const run of runs) run.end();
    return [runs[0].outcome, runs[1].outcome];
  }

  /** The messages encoded come back. */
  private returning(messages: readonly unknown[]): Failure | undefined {
    if (typeof this.codec.encode !== 'function' || messages.length === 0) return undefined;
    const bytes = this.encoded(messages);
    if (typeof bytes === 'string') return undefined;
    const outcome = this.outcomeOf([bytes], true);
    const wanted: Outcome = { messages: [...messages], skipped: [], error: undefined };
    if (sameOutcome(outcome, wanted)) return undefined;
    return { cut: 'encoded again', wanted: described(wanted), got: described(outcome) };
  }

  /** The bytes, or the code of the error. */
  private encoded(messages: readonly unknown[]): Uint8Array | string {
    this.runs += 1;
    const framer = new Framed(this.codec, () => {});
    try {
      for (const message of messages) framer.send(message);
    } catch (error) {
      return error instanceof FramingError ? error.code : String(error);
    }
    return concat(framer.flush());
  }
}

function mismatch(vector: DecodeVector, { messages, skipped, error }: Outcome): Omit<Failure, 'cut'> | undefined {
  const wanted = vector.messages ?? vector.frames?.map(bytesOf);
  const got = vector.messages !== undefined ? messages : messages.map(asBytes);
  if (wanted !== undefined && !sameMessage(got, wanted)) return { wanted: list(wanted), got: list(got) };
  const placed = vector.offset !== undefined;
  const wantedError =
    vector.error === undefined ? 'no error' : `${vector.error}${placed ? ` at ${vector.offset}` : ''}`;
  const gotError = error ?? 'no error';
  if ((placed ? gotError : gotError.replace(/ at -?\d+$/, '')) !== wantedError)
    return { wanted: wantedError, got: gotError };
  const errors = vector.errors ?? 0;
  if (skipped.length === errors) return undefined;
  return { wanted: `${errors} recoverable errors`, got: skipped.length === 0 ? 'none' : skipped.join(', ') };
}

function sameOutcome(one: Outcome, other: Outcome): boolean {
  return (
    one.error === other.error && sameMessage(one.skipped, other.skipped) && sameMessage(one.messages, other.messages)
  );
}

function described({ messages, skipped, error }: Outcome): string {
  return [list(messages), ...skipped.map((text) => `(${text})`), ...(error === undefined ? [] : [error])].join(' ');
}

const MOST_SHOWN = 8;

function list(messages: readonly unknown[]): string {
  const texts = messages.slice(0, MOST_SHOWN).map(text);
  if (messages.length > MOST_SHOWN) texts.push(`… ${messages.length} in all`);
  return `[${texts.join(' ')}]`;
}

function text(message: unknown): string {
  if (message instanceof Uint8Array) return message.length === 0 ? "''" : hexOf(message.subarray(0, 64));
  if (typeof message === 'object' && message !== null && !Array.isArray(message) && !(message instanceof Map))
    return `{${Object.entries(message)
      .map(([key, value]) => `${key}: ${text(value)}`)
      .join(', ')}}`;
  return Array.isArray(message) ? list(message) : shown(message);
}

function bytesOf(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? unhex(value) : value;
}

function asBytes(message: unknown): unknown {
  return typeof message === 'string' ? utf8Bytes(message) : message;
}
