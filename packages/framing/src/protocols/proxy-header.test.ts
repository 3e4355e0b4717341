import { describe, expect, it } from 'vitest';
import { crc32c } from '../combinators/checksums.js';
import { decodeAll, encodeAll, Framed } from '../index.js';
import { bytes, fault, one, refusal, text } from '../testing/protocol-cases.js';
import { unhex } from '../testing/rechunk.js';
import { proxyHeader } from './index.js';

describe('proxyHeader', () => {
  const tcp4 = {
    version: 1,
    command: 'proxy',
    family: 'inet',
    protocol: 'stream',
    source: { address: '192.168.0.1', port: 56324 },
    destination: { address: '192.168.0.11', port: 443 },
  } as const;

  it('version 1 and 2 come back, and the rest stays in leftover', () => {
    const line = 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n';
    expect(text(proxyHeader(), tcp4)).toBe(line);
    const got: unknown[] = [];
    const framer = new Framed(proxyHeader(), (header) => got.push(header));
    framer.push(bytes(`${line}GET /\r\n`));
    framer.push(bytes('more'));
    expect(got).toEqual([tcp4]);
    expect(String(framer.leftover)).toBe('GET /\r\nmore');
    const second = [
      { ...tcp4, version: 2, tlvs: [{ type: 1, value: bytes('h2') }] },
      {
        version: 2,
        command: 'proxy',
        family: 'inet6',
        protocol: 'dgram',
        source: { address: '2001:db8::1', port: 1 },
        destination: { address: '::ffff:1.2.3.4', port: 2 },
        tlvs: [],
      },
      {
        version: 2,
        command: 'proxy',
        family: 'unix',
        protocol: 'stream',
        source: { address: '/run/a', port: 0 },
        destination: { address: '\0abstract', port: 0 },
        tlvs: [],
      },
      { version: 2, command: 'local', family: 'unknown', protocol: 'unknown', tlvs: [] },
    ] as const;
    for (const header of second)
      expect(decodeAll(proxyHeader(), encodeAll(proxyHeader(), [header as never]))).toEqual([header]);
    expect(one(proxyHeader(), 'PROXY UNKNOWN ffff::1 whatever\r\n')).toMatchObject({ family: 'unknown' });
  });

  it('the checksum of version 2 is written and checked (2.2.3)', () => {
    const sealed = encodeAll(proxyHeader(), [{ ...tcp4, version: 2, tlvs: [{ type: 3, value: Buffer.alloc(4) }] }]);
    expect(decodeAll(proxyHeader(), sealed)).toHaveLength(1);
    sealed[20]! ^= 1;
    expect(fault(proxyHeader(), sealed)).toBe('BAD_CHECKSUM');
  });

  it('malformed headers are refused, those of the tests of netty among them', () => {
    const faults: [string, string][] = [
      ['GET / HTTP/1.1\r\n', 'BAD_HEADER'],
      ['PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\n', 'BAD_HEADER'],
      ['PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n', 'BAD_HEADER'],
      ['PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 123\r\n', 'BAD_HEADER'],
      ['PROXY TCP4 192.168.0.1 192.168.0.11 80000 443\r\n', 'BAD_HEADER'],
      ['PROXY TCP4 299.168.0.1 192.168.0.11 56324 443\r\n', 'BAD_HEADER'],
      ['PROXY TCP4 192.168.00.1 192.168.0.11 56324 443\r\n', 'BAD_HEADER'],
      ['PROXY TCP6 r001:0db8:: 1050::3 56324 443\r\n', 'BAD_HEADER'],
      ['PROXY TCP7 192.168.0.1 192.168.0.11 56324 443\r\n', 'BAD_HEADER'],
      ['PING TCP4 192.168.0.1 192.168.0.11 56324 443\r\n', 'BAD_HEADER'],
      [`PROXY TCP4 ${'1'.repeat(200)}`, 'FRAME_TOO_LONG'],
      ['\r\n\r\n\0\r\nQUIT\nX', 'BAD_HEADER'],
    ];
    for (const [stream, code] of faults.slice(0, -1)) expect(fault(proxyHeader(), stream), stream).toBe(code);
    const signature = '0d0a0d0a000d0a515549540a';
    expect(fault(proxyHeader(), unhex(`${signature}11110000`))).toBe('BAD_HEADER');
    expect(fault(proxyHeader(), unhex(`${signature}21410000`))).toBe('BAD_HEADER');
    expect(fault(proxyHeader(), unhex(`${signature}2111000400000000`))).toBe('BAD_HEADER');
    expect(fault(proxyHeader(), unhex(`${signature}2111ffff`))).toBe('FRAME_TOO_LONG');
    expect(fault(proxyHeader(), unhex(`${signature}2111000e${'00'.repeat(12)}0105`))).toBe('BAD_HEADER');
    expect(fault(proxyHeader({ version: 2 }), 'PROXY UNKNOWN\r\n')).toBe('BAD_HEADER');
  });

  it('addresses that are none are not written', () => {
    expect(refusal(proxyHeader(), { ...tcp4, source: { address: '1.2.3.4\r\nX', port: 1 } })).toBe('BAD_VALUE');
    expect(refusal(proxyHeader(), { ...tcp4, source: { address: '1.2.3.4', port: 65536 } })).toBe('BAD_VALUE');
    expect(refusal(proxyHeader(), { ...tcp4, source: undefined })).toBe('BAD_VALUE');
    expect(refusal(proxyHeader(), { ...tcp4, version: 2, family: 'inet6' })).toBe('BAD_VALUE');
    // They would come back as a stream, and not at all.
    expect(refusal(proxyHeader(), { ...tcp4, protocol: 'dgram' })).toBe('BAD_VALUE');
    expect(refusal(proxyHeader(), { ...tcp4, tlvs: [{ type: 1, value: new Uint8Array(1) }] })).toBe('BAD_VALUE');
    const long = { address: '0000:0000:0000:0000:0000:ffff:255.255.255.255', port: 65535 };
    const tcp6 = { ...tcp4, family: 'inet6', source: long, destination: long };
    expect(refusal(proxyHeader(), tcp6)).toBe('FRAME_TOO_LONG');
    for (const address of ['/tmp\0/a', '\0', '\0name\0', 'x'.repeat(109)]) {
      const end = { address, port: 0 };
      const unix = { version: 2, command: 'proxy', family: 'unix', protocol: 'stream', source: end, destination: end };
      expect(refusal(proxyHeader(), unix), JSON.stringify(address)).toBe('BAD_VALUE');
    }
  });

  it('one checksum is taken and written, and a header that its own limit refuses is not written', () => {
    const [sum, text] = [
      { type: 3, value: new Uint8Array(4) },
      { type: 2, value: new Uint8Array(20) },
    ];
    const two = { ...tcp4, version: 2 } as const;
    expect(refusal(proxyHeader(), { ...two, tlvs: [sum, sum] })).toBe('BAD_VALUE');
    // 260 is 4 in its lower byte.
    for (const length of [3, 5, 260]) {
      expect(refusal(proxyHeader(), { ...two, tlvs: [{ type: 3, value: new Uint8Array(length) }] })).toBe('BAD_VALUE');
    }
    // Both are in the header, and the first one, which is checked before the second is seen, is right.
    const bytes = encodeAll(proxyHeader(), [{ ...two, tlvs: [sum, { type: 4, value: new Uint8Array(4) }] }]).slice();
    bytes[bytes.length - 7] = 3;
    const at = bytes.length - 11;
    new DataView(bytes.buffer).setUint32(at, crc32c(bytes.fill(0, at, at + 4)));
    expect(fault(proxyHeader(), bytes)).toBe('BAD_HEADER');
    const small = proxyHeader({ maxFrameLength: 34 });
    expect(refusal(small, { ...two, tlvs: [text] })).toBe('FRAME_TOO_LONG');
    expect(
      decodeAll(small, encodeAll(small, [{ ...two, tlvs: [{ ...text, value: new Uint8Array(19) }] }])),
    ).toHaveLength(1);
  });
});
