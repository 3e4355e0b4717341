/** Random lines, cut at random: the same as split2 finds. */
import { once } from 'node:events';
import { Framed, utf8Lines } from '@fdset/framing';
import fc from 'fast-check';
// @ts-expect-error it has no types of its own
import split2 from 'split2';
import { describe, expect, it } from 'vitest';

const pieces = fc.array(fc.constantFrom('\n', '\r\n', '\r', 'a', 'bc', 'é', '€', '\u{1f4a9}', '\n\n'), {
  maxLength: 40,
});
const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 20 });

function cut(bytes: Buffer, each: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = each[i % each.length]!;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

async function theirs(chunks: readonly Buffer[], matcher?: RegExp): Promise<string[]> {
  const stream = split2(matcher);
  const lines: string[] = [];
  stream.on('data', (line: string) => lines.push(line));
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await once(stream, 'end');
  return lines;
}

function ours(chunks: readonly Buffer[], options: Parameters<typeof utf8Lines>[0] = {}): string[] {
  const lines: string[] = [];
  const framer = new Framed(utf8Lines(options), (line) => lines.push(line));
  for (const chunk of chunks) framer.push(chunk);
  framer.end();
  return lines;
}

describe('lines are those of split2', () => {
  it('that end with LF or CR LF, whichever way they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, sizes, async (text, each) => {
        // split2 leaves a CR at the end of the stream on the last line, and takes a CR alone for one: tokio and we do not.
        const stream = text.join('').replace(/\r+$/, '');
        const chunks = cut(Buffer.from(stream), each);
        expect(ours(chunks)).toEqual(await theirs(chunks));
      }),
      { numRuns: 500 },
    );
  });

  it('with any line end only in one piece: cut between CR and LF, split2 finds a line that is not there', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, async (text) => {
        const whole = [Buffer.from(text.join(''))].filter((chunk) => chunk.length > 0);
        const expected = await theirs(whole, /\r\n|\r|\n/);
        expect(ours(whole, { eol: 'any' })).toEqual(expected);
      }),
      { numRuns: 300 },
    );
    const cutInTwo = [Buffer.from('a\r'), Buffer.from('\nb')];
    expect(await theirs(cutInTwo, /\r\n|\r|\n/)).toEqual(['a', '', 'b']);
    expect(ours(cutInTwo, { eol: 'any' })).toEqual(['a', 'b']);
  });
});
