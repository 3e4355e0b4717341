import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll, fixed } from '../index.js';

describe('fixed', () => {
  it('A|BC|DEFG|HI is ABC DEF GHI', () => {
    expect(decodeAll(fixed({ length: 3 }), Buffer.from('ABCDEFGHI')).map(String)).toEqual(['ABC', 'DEF', 'GHI']);
  });

  it('the encoder refuses a payload of another length', () => {
    expect(String(encodeAll(fixed({ length: 3 }), ['abc', Buffer.from('def')]))).toBe('abcdef');
    for (const wrong of ['ab', 'abcd', '']) {
      expect(() => encodeAll(fixed({ length: 3 }), [wrong])).toThrow(expect.objectContaining({ code: 'BAD_LENGTH' }));
    }
  });
});
