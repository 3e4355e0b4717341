/** `pack`, `unpack` and `calcsize` against CPython's `struct`, on random formats and values. */
import { spawnSync } from 'node:child_process';
import { calcsize, type Packable, pack, type Unpacked, unpack } from '@fdset/framing';
import fc from 'fast-check';
import { expect, it } from 'vitest';

/** Reads a JSON array of cases, writes a JSON array of what `struct` makes of them. */
const PROGRAM = `
import json, struct, sys, math

def given(v):
    kind, value = v
    return {'i': lambda: int(value), 'f': lambda: float(value), 'b': lambda: bytes.fromhex(value), '?': lambda: value}[kind]()

def told(v):
    if isinstance(v, bytes): return ['b', v.hex()]
    if isinstance(v, bool): return ['?', v]
    if isinstance(v, int): return ['i', str(v)]
    return ['f', struct.pack('>d', v).hex() if not math.isnan(v) else 'nan']

def run(case):
    try:
        size = struct.calcsize(case['format'])
    except struct.error:
        return {'format': True}
    answer = {'size': size}
    try:
        answer['packed'] = struct.pack(case['format'], *map(given, case['values'])).hex()
    except (struct.error, OverflowError):
        answer['packed'] = None
    raw = bytes.fromhex(case['raw'])
    if len(raw) >= size:
        answer['unpacked'] = [told(v) for v in struct.unpack(case['format'], raw[:size])]
    return answer

json.dump([run(case) for case in json.load(sys.stdin)], sys.stdout)
`;

const python = spawnSync('python3', ['-c', 'import struct, sys; print(sys.byteorder, struct.calcsize("@l"))'], {
  encoding: 'utf8',
});
/** The native sizes of this package are those of LP64, and its native order is that of the machine. */
const reason =
  python.status !== 0 ? 'no python3' : python.stdout.trim().endsWith(' 8') ? undefined : 'python3 is not LP64';

type Told = ['i' | 'f' | 'b', string] | ['?', boolean];
interface Case {
  format: string;
  values: Told[];
  raw: string;
}

const LETTERS = 'xcbB?hHiIlLqQnNPefdsp';

/** Integers around all the borders, and of all sizes. */
const integers = fc.oneof(
  fc
    .tuple(fc.constantFrom(7n, 8n, 15n, 16n, 31n, 32n, 63n, 64n), fc.integer({ min: -2, max: 2 }), fc.boolean())
    .map(([width, offset, negative]) => (negative ? -(2n ** width) : 2n ** width) + BigInt(offset)),
  fc.bigInt({ min: -200n, max: 200n }),
);
const floats = fc.oneof(
  fc.double(),
  fc.float(),
  fc.constantFrom(0, -0, 1, 65504, 65519.99, 65520, 3.4028235e38, 3.4028235677973366e38, 2 ** -24, 2 ** -25, 2 ** -149),
  fc.integer({ min: -70000, max: 70000 }).map((value) => value / 1024),
);

function valueFor(letter: string): fc.Arbitrary<Told> {
  if (letter === '?') return fc.boolean().map((value) => ['?', value]);
  // Native ones that are too large become infinite in CPython, without a word; here they are refused, too.
  const some = letter === 'f' ? floats.filter((value) => Number.isFinite(Math.fround(value))) : floats;
  if ('efd'.includes(letter)) return some.map((value) => ['f', String(value).replace('Infinity', 'inf')]);
  if ('csp'.includes(letter)) {
    return fc.uint8Array({ minLength: 1, maxLength: letter === 'c' ? 1 : 300 }).map((all) => ['b', hexOf(all)]);
  }
  // CPython takes any 64 bits for a pointer, negative ones too (PyLong_AsVoidPtr); here it is an unsigned integer.
  const longs = letter === 'P' ? fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) : integers;
  return longs.map((value) => ['i', String(value)]);
}

const items = fc
  .tuple(fc.constantFrom(...LETTERS), fc.option(fc.nat(4), { nil: undefined }), fc.constantFrom('', ' ', '\t', '\n'))
  .chain(([letter, count, space]) => {
    const values = letter === 'x' ? 0 : 'sp'.includes(letter) ? 1 : (count ?? 1);
    // CPython 3.11 fails to unpack its own 0p.
    const digits = letter === 'p' && count === 0 ? '' : (count ?? '');
    return fc
      .array(valueFor(letter), { minLength: values, maxLength: values })
      .map((all) => ({ text: `${space}${digits}${letter}`, values: all }));
  });
const cases: fc.Arbitrary<Case> = fc
  .tuple(
    fc.constantFrom('', '@', '=', '<', '>', '!'),
    fc.array(items, { maxLength: 6 }),
    fc.uint8Array({ minLength: 200, maxLength: 200 }),
    fc.integer({ min: -1, max: 20 }),
  )
  .map(([prefix, all, raw, missing]) => ({
    format: prefix + all.map((item) => item.text).join(''),
    // Now and then a value too few.
    values: all.flatMap((item) => item.values).slice(missing === -1 ? 1 : 0),
    raw: hexOf(raw),
  }));

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function given([kind, value]: Told): Packable {
  if (kind === '?') return value as boolean;
  if (kind === 'b') return Uint8Array.from(Buffer.from(value as string, 'hex'));
  return kind === 'i' ? BigInt(value as string) : Number((value as string).replace('inf', 'Infinity'));
}

/** What Python told, in the types of this package: it has two kinds of integers where Python has one. */
function told(value: Unpacked): Told {
  if (value instanceof Uint8Array) return ['b', hexOf(value)];
  if (typeof value === 'boolean') return ['?', value];
  if (typeof value === 'bigint') return ['i', String(value)];
  return ['f', Number.isNaN(value) ? 'nan' : hexOf(pack('>d', value))];
}

it.skipIf(reason !== undefined)(
  `the same sizes, bytes, values and refusals as CPython, on 3000 random formats${reason ? ` (${reason})` : ''}`,
  { timeout: 60_000 },
  () => {
    const sample = fc.sample(cases, 3000);
    const answer = spawnSync('python3', ['-c', PROGRAM], { input: JSON.stringify(sample), maxBuffer: 1 << 28 });
    expect(String(answer.stderr)).toBe('');
    const theirs = JSON.parse(String(answer.stdout)) as {
      format?: true;
      size: number;
      packed: string | null;
      unpacked?: Told[];
    }[];
    const seen = { format: 0, packed: 0, refused: 0, unpacked: 0 };
    for (const [i, { format, values, raw }] of sample.entries()) {
      const their = theirs[i]!;
      const name = JSON.stringify(sample[i]);
      if (their.format) {
        seen.format++;
        expect(() => calcsize(format), name).toThrow(expect.objectContaining({ code: 'ERR_FRAMING_FORMAT' }));
        continue;
      }
      expect(calcsize(format), name).toBe(their.size);
      if (their.packed === null) {
        seen.refused++;
        expect(() => pack(format, ...values.map(given)), name).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
      } else {
        seen.packed++;
        expect(hexOf(pack(format, ...values.map(given))), name).toBe(their.packed);
      }
      if (their.unpacked === undefined) continue;
      seen.unpacked++;
      const ours = unpack(format, Buffer.from(raw, 'hex').subarray(0, their.size)).map(told);
      const integersAsFloats = their.unpacked.map(
        (value, at): Told =>
          value[0] === 'i' && ours[at]?.[0] === 'f' ? ['f', hexOf(pack('>d', Number(value[1])))] : value,
      );
      expect(ours, name).toEqual(integersAsFloats);
    }
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(100);
  },
);
