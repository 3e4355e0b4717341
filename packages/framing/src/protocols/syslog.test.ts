import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll, type FramingError } from '../index.js';
import { bytes, fault, refusal } from '../testing/protocol-cases.js';
import { hex } from '../testing/rechunk.js';
import { formatSyslog, parseSyslog, syslog } from './index.js';

describe('syslog', () => {
  it('the examples of RFC 5424 6.5 and RFC 3164 5.4 are read', () => {
    expect(
      parseSyslog(
        Buffer.from("<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed"),
      ),
    ).toEqual({
      facility: 4,
      severity: 2,
      version: 1,
      timestamp: '2003-10-11T22:14:15.003Z',
      hostname: 'mymachine.example.com',
      appName: 'su',
      msgId: 'ID47',
      message: "'su root' failed",
    });
    const sd = '[exampleSDID@32473 iut="3" eventSource="a \\"b\\" \\] \\\\"][examplePriority@32473 class="high"]';
    expect(parseSyslog(Buffer.from(`<165>1 - - - - - ${sd}`))).toEqual({
      facility: 20,
      severity: 5,
      version: 1,
      structuredData: [
        {
          id: 'exampleSDID@32473',
          params: [
            ['iut', '3'],
            ['eventSource', 'a "b" ] \\'],
          ],
        },
        { id: 'examplePriority@32473', params: [['class', 'high']] },
      ],
      message: '',
    });
    expect(parseSyslog(Buffer.from("<34>Oct 11 22:14:15 mymachine su[77]: 'su root' failed"))).toEqual({
      facility: 4,
      severity: 2,
      timestamp: 'Oct 11 22:14:15',
      hostname: 'mymachine',
      appName: 'su',
      procId: '77',
      message: "'su root' failed",
    });
    expect(parseSyslog(Buffer.from('<0>Use the BFG!'))).toEqual({ facility: 0, severity: 0, message: 'Use the BFG!' });
  });

  it('messages come back in both framings, and a malformed one does not disturb the next', () => {
    const messages = [
      {
        facility: 23,
        severity: 7,
        version: 1,
        timestamp: 't',
        structuredData: [{ id: 'a', params: [['b', '"\\]'] as [string, string]] }],
        message: 'é',
      },
      { facility: 1, severity: 5, timestamp: 'Oct  1 22:14:15', hostname: 'h', appName: 'a', message: 'x: y' },
      { facility: 1, severity: 5, message: 'plain' },
    ];
    for (const framing of ['lf', 'octet-counting', 'auto'] as const) {
      const codec = syslog({ framing });
      expect(decodeAll(codec, encodeAll(codec, messages))).toEqual(messages);
    }
    const errors: FramingError[] = [];
    const got = decodeAll(syslog(), bytes('3 abc6 <1>two<2>three\n'), { onError: (error) => errors.push(error) });
    expect(got.map(({ message }) => message)).toEqual(['two', 'three']);
    expect(errors.map(({ code, offset }) => [code, offset])).toEqual([['BAD_HEADER', 0]]);
    expect(fault(syslog(), '0 ')).toBe('BAD_DIGIT');
    expect(fault(syslog(), '1x')).toBe('BAD_DIGIT');
    expect(fault(syslog(), '99999999999')).toBe('FRAME_TOO_LONG');
  });

  it('a header of RFC 5424 that is wrong is refused with the name of the field', () => {
    const wrong: [string, RegExp][] = [
      ['2 - - - - - -', /version 2 is unknown/],
      ['1 ', /malformed timestamp: ""/],
      ['1 - - - -', /malformed msgId: undefined/],
      [`1 ${'t'.repeat(33)} - - - - -`, /malformed timestamp/],
      ['1 - \x7f - - - -', /malformed hostname/],
      ['1 -  - - - -', /malformed hostname: ""/],
      [`1 - - ${'a'.repeat(49)} - - -`, /malformed appName/],
      ['1 - - - - -', /malformed structured data/],
      ['1 - - - - - x', /malformed structured data/],
      ['1 - - - - - [a b]', /malformed structured data/],
      ['1 - - - - - -x', /no space behind the structured data/],
      ['1 - - - - - [a]x', /no space behind the structured data/],
    ];
    for (const [header, message] of wrong) expect(() => parseSyslog(bytes(`<1>${header}`)), header).toThrow(message);
    // What is not UTF-8 ends no stream.
    const [kept] = decodeAll(syslog(), bytes('<1>1 - - - - - - \xff\n'));
    expect(kept!.message).toBe('\ufffd');
  });

  it('what would be read as something else is refused', () => {
    const base = { facility: 1, severity: 1, message: 'm' };
    const wrong: [object, string][] = [
      [{ facility: 24 }, 'BAD_VALUE'],
      [{ severity: 8 }, 'BAD_VALUE'],
      [{ version: 2 }, 'BAD_VALUE'],
      [{ version: 1, hostname: 'a b' }, 'BAD_VALUE'],
      [{ version: 1, structuredData: [{ id: 'a]', params: [] }] }, 'BAD_VALUE'],
      [{ message: '1 looks like a version' }, 'BAD_VALUE'],
      [{ message: 'Oct 11 22:14:15 host x' }, 'BAD_VALUE'],
      [{ appName: 'a' }, 'BAD_VALUE'],
    ];
    for (const [change, code] of wrong)
      expect(refusal(syslog(), { ...base, ...change }), JSON.stringify(change)).toBe(code);
    expect(refusal(syslog({ framing: 'lf' }), { ...base, message: 'a\n<0>b' })).toBe('BAD_DELIMITER');
    expect(hex(formatSyslog(base))).toBe(hex(bytes('<9>m')));
  });
});
