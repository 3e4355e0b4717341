/** For the tests of other libraries, and for those libraries as oracles. In the tables streams are text: each character is a byte. */
import { type Codec, Framed, type FramingError } from '@fdset/framing';
import fc from 'fast-check';
import { expect, it } from 'vitest';

// biome-ignore lint/suspicious/noExplicitAny: codecs of any messages
type AnyCodec = Codec<any, any>;

/** What a stream gave, in order: messages as text, and `!CODE` for each error, skipped frames and the last one alike. */
export function events(codec: AnyCodec, chunks: readonly string[], end = true): string[] {
  const seen: string[] = [];
  const framer = new Framed<unknown>(codec, (message) => seen.push(shown(message)), {
    onError: ({ code }) => seen.push(`!${code}`),
  });
  try {
    for (const chunk of chunks) framer.push(Buffer.from(chunk, 'latin1'));
    if (end) framer.end();
  } catch (error) {
    seen.push(`!${(error as FramingError).code}`);
  }
  return seen;
}

/** After each chunk, what it gave. */
export function steps(codec: AnyCodec, chunks: readonly string[]): string[][] {
  let seen: string[] = [];
  const framer = new Framed<unknown>(codec, (message) => seen.push(shown(message)), {
    onError: ({ code }) => seen.push(`!${code}`),
  });
  return chunks.map((chunk) => {
    seen = [];
    try {
      framer.push(Buffer.from(chunk, 'latin1'));
    } catch (error) {
      seen.push(`!${(error as FramingError).code}`);
    }
    return seen;
  });
}

/** What `send` makes of the messages: the wire as text, or the code of the error. */
export function encoded(codec: AnyCodec, messages: readonly unknown[]): string {
  const framer = new Framed<unknown>(codec, () => {});
  try {
    for (const message of messages) framer.send(message);
  } catch (error) {
    return `!${(error as FramingError).code}`;
  }
  return Buffer.concat(framer.flush()).toString('latin1');
}

export function shown(message: unknown): string {
  return message instanceof Uint8Array ? Buffer.from(message).toString('latin1') : String(message);
}

/** A table of tests: what of the other library's applies here, by its name there, and why the rest does not. */
export interface Table {
  applies: Readonly<Record<string, () => void | Promise<void>>>;
  doesNot: Readonly<Record<string, string>>;
}

/** Runs it, and sees to it that every name of the other library's stands in exactly one half. */
export function runTable(names: string, { applies, doesNot }: Table): void {
  it('every test of theirs is here, or a reason why not', () => {
    const all = names.split(/\s+/).filter((name) => name !== '');
    expect([...Object.keys(applies), ...Object.keys(doesNot)].sort()).toEqual(all.sort());
  });
  for (const [name, run] of Object.entries(applies)) it(name, run);
}

/** Where a stream is cut: sizes of its pieces; the last one takes the rest. */
export const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 });

/** New memory for each piece: some of the peers write to what they are given. */
export function cut(bytes: Uint8Array, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    if (at < bytes.length) pieces.push(Buffer.from(bytes.slice(at, at + size)));
    at += size;
  }
  return pieces;
}
