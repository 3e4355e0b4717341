import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll } from '../index.js';
import { bytes, fault, refusal } from '../testing/protocol-cases.js';
import { unhex } from '../testing/rechunk.js';
import { POSTGRES_SSL_REQUEST, postgres } from './index.js';

describe('postgres', () => {
  it('a server reads startup packets, as many as the client begins anew, then messages', () => {
    const codec = postgres({ startup: true });
    const ssl = Buffer.alloc(4);
    ssl.writeUInt32BE(POSTGRES_SSL_REQUEST);
    const sent = [
      { type: 0, body: ssl },
      { type: 0, body: bytes('\0\x03\0\0user\0me\0\0') },
      { type: 0x51, body: bytes('select 1\0') },
    ];
    expect(decodeAll(codec, encodeAll(codec, sent))).toEqual(sent);
    expect(fault(codec, unhex('00000007000000'))).toBe('BAD_LENGTH');
    expect(fault(codec, unhex('00010000'))).toBe('FRAME_TOO_LONG');
    expect(refusal(codec, { type: 0, body: bytes('abc') })).toBe('BAD_LENGTH');
    expect(refusal(codec, { type: 0, body: Buffer.alloc(10_001) })).toBe('FRAME_TOO_LONG');
  });

  it('a length that does not even count itself is refused (trap 10)', () => {
    for (const length of ['00000000', '00000003']) expect(fault(postgres(), unhex(`5a${length}`))).toBe('BAD_LENGTH');
    expect(fault(postgres(), unhex('5affffffff'))).toBe('FRAME_TOO_LONG');
    expect(refusal(postgres(), { type: 256, body: bytes('') })).toBe('BAD_VALUE');
    expect(refusal(postgres(), { type: 1, body: 'x' })).toBe('ERR_FRAMING_MESSAGE');
  });
});
