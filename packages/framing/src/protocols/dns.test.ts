import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll } from '../index.js';
import { sameMessage } from '../same-message.js';
import { bytes, refusal } from '../testing/protocol-cases.js';
import { unhex } from '../testing/rechunk.js';
import { decodeDns, dns, encodeDns } from './index.js';

describe('dns', () => {
  const message = {
    id: 0xbeef,
    response: true,
    opcode: 0,
    authoritative: true,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: true,
    checkingDisabled: false,
    rcode: 3,
    questions: [{ name: 'www.Example.org', type: 1, class: 1 }],
    answers: [
      { name: 'www.Example.org', type: 5, class: 1, ttl: 4294967295, data: 'a\\.b.\\000\\255.Example.org' },
      { name: 'Example.org', type: 1, class: 1, ttl: 0, data: '127.0.0.1' },
      { name: 'Example.org', type: 28, class: 1, ttl: 0, data: '2001:db8::1:0:0:1' },
      { name: '.', type: 16, class: 1, ttl: 0, data: [bytes('x'), bytes('')] },
      { name: 'Example.org', type: 15, class: 1, ttl: 0, data: { preference: 10, exchange: 'mx.Example.org' } },
      {
        name: 'Example.org',
        type: 33,
        class: 1,
        ttl: 0,
        data: { priority: 1, weight: 2, port: 3, target: 'mx.Example.org' },
      },
      { name: 'Example.org', type: 257, class: 1, ttl: 0, data: { flags: 0, tag: 'issue', value: bytes('ca') } },
    ],
    authorities: [
      {
        name: 'Example.org',
        type: 6,
        class: 1,
        ttl: 5,
        data: {
          primary: 'ns.Example.org',
          mailbox: 'me.Example.org',
          serial: 1,
          refresh: 2,
          retry: 3,
          expire: 4,
          minimum: 5,
        },
      },
    ],
    additionals: [{ name: '.', type: 41, class: 1232, ttl: 0, data: bytes('\0\x0a\0\0') }],
  };

  it('messages come back, over TCP and as datagrams, names compressed', () => {
    const encoded = encodeDns(message);
    expect(decodeDns(encoded)).toEqual(message);
    expect(decodeAll(dns(), encodeAll(dns(), [message, message]))).toEqual([message, message]);
    expect(Buffer.from(encoded).toString('latin1').split('Example').length - 1).toBe(1 + 1);
  });

  it('hostile names and lengths end', () => {
    const head = '000000000001000000000000';
    expect(() => decodeDns(unhex(`${head}c00c00010001`))).toThrow(/does not go back/);
    expect(() => decodeDns(unhex(`${head}c01000010001`))).toThrow(/does not go back/);
    expect(() => decodeDns(unhex(`${head}0161c00c00010001`))).toThrow(/does not go back/);
    expect(() => decodeDns(unhex(`${head}4061`))).toThrow(/unknown type/);
    expect(() => decodeDns(unhex(`${head}05`))).toThrow(/beyond the end/);
    expect(() => decodeDns(unhex(`${head}${'3f'.concat('61'.repeat(63)).repeat(5)}0000010001`))).toThrow(/255/);
    expect(() => decodeDns(unhex('00000000ffffffffffffffff'))).toThrow(/beyond the end/);
    expect(() => decodeDns(unhex('0000000000000000000000'))).toThrow(/header/);
    const encoded = encodeDns(message);
    for (let size = 0; size < encoded.length; size++) {
      expect(() => decodeDns(encoded.subarray(0, size)), String(size)).toThrow(/.*/);
    }
  });

  it('records that point to the name asked for have it, and only where a question stands there', () => {
    const question = '0377777704746573740000010001';
    const record = 'c00cff000001000000050001aa';
    const { answers, authorities } = decodeDns(unhex(`000080000001000100010000${question}${record}${record}`));
    expect([...answers!, ...authorities!].map(({ name }) => name)).toEqual(['www.test', 'www.test']);
    // Without a question the first record stands there, and cannot point to itself.
    expect(() => decodeDns(unhex(`000080000000000100000000${record}`))).toThrow(/does not go back/);
    expect(() => decodeDns(unhex(`000080000001000100000000${question}c0`))).toThrow(/beyond the end/);
    expect(() => decodeDns(unhex(`000080000001000100000000${question}c00cff`))).toThrow(/a record is cut off/);
  });

  it('a name of pointers that lead to pointers is refused: 12 bytes a record would have it followed again', () => {
    const hex = (value: number) => value.toString(16).padStart(4, '0');
    const record = (name: string, data: string) => `${name}000a000100000000${hex(data.length / 2)}${data}`;
    /** A record with the pointers for its data, the first one to the root, and one whose name they are. */
    const chain = (pointers: number) => {
      const [root, data] = [12, 23];
      const list = Array.from({ length: pointers }, (_, i) => hex(0xc000 | (i === 0 ? root : data + 2 * (i - 1))));
      const last = hex(0xc000 | (data + 2 * (pointers - 1)));
      return unhex(`00000000000000020000 0000${record('00', list.join(''))}${record(last, '')}`.replace(' ', ''));
    };
    expect(decodeDns(chain(126)).answers![1]!.name).toBe('.');
    expect(() => decodeDns(chain(127))).toThrow(/more than 127 pieces/);
  });

  it('a message of any size is written whole, wherever its memory must grow', () => {
    const codec = dns();
    for (let size = 0; size < 1500; size++) {
      const filler = { name: 'a', type: 99, class: 1, ttl: 1, data: new Uint8Array(size) };
      const sent = { ...message, additionals: [filler, ...message.answers] };
      const [got] = decodeAll(codec, encodeAll(codec, [sent]));
      expect(sameMessage(got, sent), `size ${size}`).toBe(true);
    }
  });

  it('an update asks about records, and deletes them, without data (RFC 2136 2.4, 2.5)', () => {
    const nothing = bytes('');
    const records = [1, 28, 15, 33, 257, 6, 2, 255].flatMap((type) =>
      [254, 255].map((each) => ({ name: 'a.example', type, class: each, ttl: 0, data: nothing })),
    );
    const deleted = { name: 'a.example', type: 1, class: 254, ttl: 0, data: '127.0.0.1' };
    const texts = { name: 'a.example', type: 16, class: 255, ttl: 0, data: [] };
    const update = {
      ...message,
      opcode: 5,
      answers: records,
      authorities: [...records, deleted, texts],
      additionals: [],
    };
    expect(decodeAll(dns(), encodeAll(dns(), [update]))).toEqual([update]);
    expect(refusal(dns(), { id: 1, answers: [{ ...records[0]!, class: 1 }] })).toBe('BAD_VALUE');
    // As another implementation writes it: of "a.example" no A record must be there, and its MX records are deleted.
    const wire = unhex(
      '00012800000100010001000007657861' +
        '6d706c650000060001' +
        '0161c00c000100fe000000000000' +
        'c019000f00ff000000000000',
    );
    const { answers, authorities } = decodeDns(wire);
    expect(answers).toEqual([{ name: 'a.example', type: 1, class: 254, ttl: 0, data: nothing }]);
    expect(authorities).toEqual([{ name: 'a.example', type: 15, class: 255, ttl: 0, data: nothing }]);
    // Of the class IN it must have an address.
    wire[32] = 1;
    expect(() => decodeDns(wire)).toThrow(/type 1/);
  });

  it('what cannot be written is refused', () => {
    const wrong: unknown[] = [
      { id: 65536 },
      { id: 1, rcode: 16 },
      { id: 1, questions: [{ name: 'a..b', type: 1 }] },
      { id: 1, questions: [{ name: 'x'.repeat(64), type: 1 }] },
      { id: 1, questions: [{ name: 'é€', type: 1 }] },
      { id: 1, answers: [{ name: 'a', type: 1, data: '1.2.3' }] },
      { id: 1, answers: [{ name: 'a', type: 1, data: bytes('12345') }] },
      { id: 1, answers: [{ name: 'a', type: 99, data: 'text' }] },
      { id: 1, answers: [{ name: 'a', type: 16, data: [Buffer.alloc(256)] }] },
    ];
    for (const each of wrong) expect(refusal(dns(), each), JSON.stringify(each).slice(0, 60)).toBe('BAD_VALUE');
    expect(refusal(dns(), { id: 1, answers: [{ name: 'a', type: 99, data: Buffer.alloc(65536) }] })).toBe(
      'FRAME_TOO_LONG',
    );
  });
});
