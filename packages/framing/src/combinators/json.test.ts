import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { type Codec, decodeAll, encodeAll, json, lines, netstring } from '../index.js';
import { cut, cuts, fails, makerOf } from '../testing/properties.js';

describe('json', () => {
  it('newline-delimited JSON is json over lines', () => {
    const stream = '{"a":[1,"é"]}\nnull\n"\\n"\n';
    expect(decodeAll(json(lines()), Buffer.from(stream))).toEqual([{ a: [1, 'é'] }, null, '\n']);
    expect(String(encodeAll(json(lines()), [{ a: [1, 'é'] }, null, '\n']))).toBe(stream);
    expectTypeOf(json<{ id: number }>(lines())).toEqualTypeOf<Codec<{ id: number }>>();
  });

  it('what is no JSON is BAD_VALUE with its cause, at its frame', () => {
    for (const bad of ['{"a":', '', 'undefined', 'NaN', '{} {}', "{'a':1}"]) {
      expect(() => decodeAll(json(lines()), Buffer.from(`1\n${bad}\n`)), bad).toThrow(
        fails('BAD_VALUE', { offset: 2, cause: expect.any(SyntaxError) }),
      );
    }
    expect(() => decodeAll(json(lines()), Buffer.from('"\xff"\n', 'latin1'))).toThrow(fails('BAD_UTF8'));
  });

  it('what has no JSON is BAD_VALUE, and nothing of it is written', () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    for (const bad of [undefined, () => {}, Symbol('s'), 1n, cycle]) {
      expect(() => encodeAll(json(lines()), [bad])).toThrow(fails('BAD_VALUE', { offset: 0 }));
    }
  });

  it('"__proto__" in a message is a member like others', () => {
    const [message] = decodeAll(json<object>(lines()), Buffer.from('{"__proto__":{"admin":true}}\n'));
    expect((message as { admin?: boolean }).admin).toBeUndefined();
  });

  it('any value comes back in any chunking', () => {
    const values = fc.array(
      fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value))),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(fc.constantFrom(json(lines()), json(netstring())), values, cuts, (codec, sent, sizes) => {
        const got: unknown[] = [];
        const framer = makerOf(codec)(
          (message) => got.push(message),
          () => {},
        );
        for (const chunk of cut(encodeAll(codec, sent), sizes)) framer.push(chunk);
        framer.end();
        expect(got).toEqual(sent);
      }),
      { numRuns: 300 },
    );
  });
});
