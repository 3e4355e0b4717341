import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll } from '../index.js';
import { bytes, fault, refusal, text } from '../testing/protocol-cases.js';
import { memcache, memcacheReply } from './index.js';

describe('memcache and memcacheReply', () => {
  it('requests with and without data come back, their byte counts being those of the data', () => {
    const requests = [
      { command: 'set', args: ['k', '5', '0'], data: bytes('a\r\nb') },
      { command: 'cas', args: ['k', '0', '0', '77', 'noreply'], data: bytes('') },
      { command: 'ms', args: ['k', 'T0'], data: bytes('hi') },
      { command: 'get', args: ['a', 'b'] },
      { command: 'version', args: [] },
    ];
    expect(text(memcache(), requests[0]!)).toBe('set k 5 0 4\r\na\r\nb\r\n');
    expect(text(memcache(), requests[1]!)).toBe('cas k 0 0 0 77 noreply\r\n\r\n');
    expect(decodeAll(memcache(), encodeAll(memcache(), requests))).toEqual(requests);
  });

  it('requests that would become others are refused, both ways', () => {
    const wrong: [unknown, string][] = [
      [{ command: 'get', args: ['a b'] }, 'BAD_DELIMITER'],
      [{ command: 'get', args: ['a\r\nflush_all'] }, 'BAD_DELIMITER'],
      [{ command: 'get', args: ['k'.repeat(251)] }, 'BAD_HEADER'],
      [{ command: 'get', args: [] }, 'BAD_HEADER'],
      [{ command: 'get', args: ['a'], data: 'x' }, 'BAD_VALUE'],
      [{ command: 'set', args: ['a', '0', '0'] }, 'BAD_VALUE'],
      [{ command: 'set', args: ['a'], data: 'x' }, 'BAD_VALUE'],
    ];
    for (const [request, code] of wrong) expect(refusal(memcache(), request), JSON.stringify(request)).toBe(code);
    const faults: [string, string][] = [
      ['get a\n', 'BARE_LF'],
      ['set k 0 0 x\r\n', 'BAD_DIGIT'],
      ['set k 0 0 -1\r\n', 'BAD_DIGIT'],
      ['set k 0 0\r\n', 'BAD_DIGIT'],
      ['set k 0 0 1\r\nabc', 'BAD_TRAILER'],
      ['set k 0 0 99999999999\r\n', 'FRAME_TOO_LONG'],
      [`get ${'k'.repeat(251)}\r\n`, 'BAD_HEADER'],
      ['\r\n', 'BAD_TYPE'],
      ['g'.repeat(70000), 'FRAME_TOO_LONG'],
    ];
    for (const [stream, code] of faults) expect(fault(memcache(), stream), stream.slice(0, 30)).toBe(code);
  });

  it('a reply is all its lines', () => {
    const replies = [
      {
        status: 'END',
        text: '',
        values: [
          { args: ['k', '0'], data: bytes('END\r\n') },
          { args: ['l', '1', '9'], data: bytes('') },
        ],
        stats: [],
      },
      { status: 'STORED', text: '', values: [], stats: [] },
      { status: '17', text: '', values: [], stats: [] },
      { status: 'SERVER_ERROR', text: 'out of memory', values: [], stats: [] },
      { status: 'VA', text: '', values: [{ args: ['t1'], data: bytes('hi') }], stats: [] },
      { status: 'HD', text: 'f1 t2', values: [], stats: [] },
      {
        status: 'END',
        text: '',
        values: [],
        stats: [
          ['pid', '1'],
          ['a', 'b  c '],
        ] as [string, string][],
      },
    ];
    expect(decodeAll(memcacheReply(), encodeAll(memcacheReply(), replies))).toEqual(replies);
    const faults: [string, string][] = [
      ['HELLO\r\n', 'BAD_REPLY'],
      [' STORED\r\n', 'BAD_REPLY'],
      ['VALUE k 0 1\r\na\r\nSTORED\r\n', 'BAD_REPLY'],
      ['VALUE k 0 x\r\n', 'BAD_DIGIT'],
      ['VALUE k 0 1\r\nabc', 'BAD_TRAILER'],
      ['STORED\n', 'BARE_LF'],
    ];
    for (const [stream, code] of faults) expect(fault(memcacheReply(), stream), stream).toBe(code);
    expect(refusal(memcacheReply(), { status: 'ERROR', text: 'a\r\nSTORED', values: [], stats: [] })).toBe(
      'BAD_DELIMITER',
    );
    expect(refusal(memcacheReply(), { status: 'END', text: '', values: [], stats: [['a b', 'c']] })).toBe(
      'BAD_DELIMITER',
    );
    expect(refusal(memcacheReply(), { status: 'HELLO', text: '', values: [], stats: [] })).toBe('BAD_REPLY');
  });

  it('the limit holds for all items and lines of a reply together: no server sends without an end', () => {
    const codec = memcacheReply({ maxFrameLength: 30 });
    expect(decodeAll(codec, bytes(`VALUE k 0 30\r\n${'x'.repeat(30)}\r\nEND\r\n`))).toHaveLength(1);
    expect(fault(codec, 'VALUE k 0 31\r\n')).toBe('FRAME_TOO_LONG');
    // Behind the first line: 2 and its line end, the next line, and what it announces.
    expect(fault(codec, 'VALUE k 0 2\r\nab\r\nVALUE l 0 12\r\n')).toBeUndefined();
    expect(fault(codec, 'VALUE k 0 2\r\nab\r\nVALUE l 0 13\r\n')).toBe('FRAME_TOO_LONG');
    expect(fault(memcacheReply({ maxFrameLength: 1000 }), 'VALUE k 0 0\r\n\r\n'.repeat(100))).toBe('FRAME_TOO_LONG');
    expect(fault(memcacheReply({ maxFrameLength: 1000 }), 'STAT\r\n'.repeat(200))).toBe('FRAME_TOO_LONG');
  });

  it('a reply is refused where a decoder with the same limits refuses it, and nowhere else', () => {
    const items = [
      { args: ['k', '0'], data: bytes('ab') },
      { args: ['l', '0', '7'], data: bytes('x'.repeat(12)) },
    ];
    const messages = [
      { status: 'END', text: '', values: items, stats: [] },
      {
        status: 'END',
        text: 'of all',
        values: [],
        stats: [['pid', '1'] as [string, string], ['version', '1.6.21'] as [string, string]],
      },
      { status: 'VA', text: '', values: [{ args: ['t0'], data: bytes('abc') }], stats: [] },
      { status: 'CLIENT_ERROR', text: 'bad line', values: [], stats: [] },
    ];
    const outcomes = new Set<string>();
    for (const message of messages) {
      const stream = text(memcacheReply(), message);
      for (const limit of ['maxFrameLength', 'maxHeaderLength']) {
        for (let most = 1; most < 50; most++) {
          const codec = memcacheReply({ [limit]: most });
          const decoded = fault(codec, stream) ?? 'fine';
          expect(refusal(codec, message) ?? 'fine', `${stream} ${limit} ${most}`).toBe(decoded);
          outcomes.add(decoded);
        }
      }
    }
    expect([...outcomes].sort()).toEqual(['FRAME_TOO_LONG', 'fine']);
  });
});
