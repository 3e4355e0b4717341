import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll } from '../index.js';
import { bytes, fault, refusal } from '../testing/protocol-cases.js';
import { hex, unhex } from '../testing/rechunk.js';
import { ber } from './index.js';

describe('ber', () => {
  it('elements come back, with tags and lengths of every size', () => {
    for (const tag of [0, 30, 31, 127, 128, 16384, 2 ** 28 - 1]) {
      for (const length of [0, 127, 128, 256, 65536]) {
        const element = { tagClass: tag % 4, constructed: length === 0, tag, value: Buffer.alloc(length, 7) };
        const [got] = decodeAll(ber(), encodeAll(ber(), [element]));
        expect({ ...got, value: hex(got!.value) }).toEqual({ ...element, value: hex(element.value) });
      }
    }
    expect(fault(ber(), unhex('1f80'))).toBe('BAD_VARINT');
    // Up to 30 a tag has no byte of its own (8.1.2.2).
    expect(fault(ber(), unhex('1f1e00'))).toBe('BAD_VARINT');
    expect(fault(ber(), unhex('1fffffffff7f'))).toBe('BAD_VARINT');
    expect(fault(ber(), unhex('30ff'))).toBe('BAD_LENGTH');
    expect(fault(ber(), unhex('30890000000000000000'))).toBe('BAD_LENGTH');
    expect(fault(ber(), unhex('3088ffffffffffffffff'))).toBe('BAD_LENGTH');
    expect(fault(ber(), unhex('30850100000000'))).toBe('FRAME_TOO_LONG');
    expect(refusal(ber(), { tagClass: 4, constructed: false, tag: 1, value: bytes('') })).toBe('BAD_VALUE');
  });
});
