import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll } from '../index.js';
import { fault, refusal } from '../testing/protocol-cases.js';
import { hex, unhex } from '../testing/rechunk.js';
import { websocket } from './index.js';

describe('websocket', () => {
  const frames = (...parts: string[]) => unhex(parts.join(''));

  it('a client masks what it sends, each frame anew, and a server takes nothing else (5.1)', () => {
    const [client, server] = [websocket({ role: 'client' }), websocket({ role: 'server' })];
    for (const size of [0, 1, 47, 48, 49, 125, 126, 1000, 3000, 65535, 65536]) {
      const payload = Uint8Array.from({ length: size }, (_, i) => i * 7);
      const sent = encodeAll(client, [
        { opcode: 2, payload },
        { opcode: 1, payload: 'é' },
      ]);
      const got = decodeAll(server, sent);
      expect(got.map((frame) => hex(frame.payload))).toEqual([hex(payload), 'c3a9']);
      const back = encodeAll(server, got);
      expect(decodeAll(client, back).map((frame) => hex(frame.payload))).toEqual([hex(payload), 'c3a9']);
      expect(fault(server, back)).toBe('BAD_HEADER');
      expect(fault(client, sent)).toBe('BAD_HEADER');
    }
    const masks = new Set(Array.from({ length: 50 }, () => hex(encodeAll(client, [{ opcode: 9 }])).slice(4)));
    expect(masks.size).toBeGreaterThan(45);
  });

  it('unmasking leaves the chunk as it is (trap 30)', () => {
    const chunk = frames('8185', '01020304', '69676f686e');
    const before = hex(chunk);
    expect(String(decodeAll(websocket({ role: 'server' }), chunk)[0]!.payload)).toBe('hello');
    expect(hex(chunk)).toBe(before);
  });

  it('what the sections forbid is refused, from the first byte that shows it', () => {
    const faults: [string, string][] = [
      ['c100', 'BAD_HEADER'], // 5.2: a reserved bit
      ['8300', 'BAD_TYPE'], // 5.2: a reserved opcode
      ['8b00', 'BAD_TYPE'],
      ['0900', 'BAD_HEADER'], // 5.5: a fragmented control frame
      ['897e', 'BAD_HEADER'], // 5.5: a long control frame
      ['8000', 'BAD_HEADER'], // 5.4: a continuation of nothing
      ['01008100', 'BAD_HEADER'], // 5.4: a message within a message
      ['827e007d', 'BAD_LENGTH'], // 5.2: not the shortest length
      ['827f000000000000ffff', 'BAD_LENGTH'],
      ['827f0020000000000000', 'BAD_LENGTH'], // above 2^53-1
      ['827fffffffffffffffff', 'BAD_LENGTH'], // 5.2: the most significant bit must be 0
      ['827f0000000001000001', 'FRAME_TOO_LONG'],
      ['880103', 'BAD_LENGTH'], // 5.5.1
      ['880203ed', 'BAD_VALUE'], // 7.4.1: 1005 is never sent
      ['880203e7', 'BAD_VALUE'],
      ['880303e8ff', 'BAD_UTF8'],
    ];
    for (const [stream, code] of faults) expect(fault(websocket({ masked: false }), unhex(stream)), stream).toBe(code);
  });

  it('control frames may stand between fragments, which are delivered one by one (5.4)', () => {
    const got = decodeAll(websocket(), frames('010161', '8900', '000162', '800163'));
    expect(got.map(({ fin, opcode, payload }) => [fin, opcode, String(payload)])).toEqual([
      [false, 1, 'a'],
      [true, 9, ''],
      [false, 0, 'b'],
      [true, 0, 'c'],
    ]);
  });

  it('the encoder keeps the same rules', () => {
    expect(refusal(websocket(), { opcode: 9, payload: Buffer.alloc(126) })).toBe('BAD_HEADER');
    expect(refusal(websocket(), { opcode: 8, fin: false })).toBe('BAD_HEADER');
    expect(refusal(websocket(), { opcode: 3 })).toBe('BAD_TYPE');
    expect(refusal(websocket(), { opcode: 8, payload: unhex('03ee') })).toBe('BAD_VALUE');
    expect(refusal(websocket({ maxFrameLength: 1 }), { opcode: 2, payload: 'ab' })).toBe('FRAME_TOO_LONG');
    expect(refusal(websocket(), { opcode: 1, payload: 5 })).toBe('ERR_FRAMING_MESSAGE');
    expect(() => websocket({ role: 'client', masked: true })).toThrow(/exclude/);
  });
});
