import { describe, expect, it } from 'vitest';
import { formatTraceEvent } from './format.js';
import type { TraceEvent } from './trace-event.js';

function line(event: Partial<TraceEvent>): string {
  return formatTraceEvent({ sequence: 1, time: 12.3454, socket: 4, call: 'recv', args: [], ...event });
}

function base64(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64');
}

describe('formatTraceEvent', () => {
  it('a verb is told as strace tells a call', () => {
    expect(line({ args: [64], result: 64, bytes: 64 })).toBe('  12.345 #4 recv(64) = 64');
    expect(line({ args: [64, 'MSG_PEEK'], result: -1 })).toBe('  12.345 #4 recv(64, MSG_PEEK) = WOULD_BLOCK');
    expect(line({ call: 'recvSync', args: [64], result: -2 })).toBe('  12.345 #4 recvSync(64) = INTERRUPTED');
    expect(line({ call: 'close' })).toBe('  12.345 #4 close()');
    expect(line({ call: 'send', args: [5], error: 'EPIPE' })).toBe('  12.345 #4 send(5) throws EPIPE');
  });

  it('sockets that a call gives are told by their numbers', () => {
    expect(line({ call: 'accept', result: 9 })).toBe('  12.345 #4 accept() = #9');
    expect(line({ call: 'accept', result: null })).toBe('  12.345 #4 accept() = null');
  });

  it('what is negative by right stays a number', () => {
    expect(line({ call: 'getOption', args: ['ttl'], result: -1 })).toBe('  12.345 #4 getOption(ttl) = -1');
  });

  it('the reactor itself has no number', () => {
    expect(
      line({
        socket: 0,
        call: 'wait',
        args: [1024],
        result: 2,
        ready: [
          [4, 1],
          [7, 10],
        ],
      }),
    ).toBe('  12.345 wait(1024) = 2 [#4 READABLE] [#7 WRITABLE|HANGUP]');
    expect(line({ socket: 0, call: 'turn', args: [7], result: 2, elapsedMs: 0.1049 })).toBe(
      '  12.345 turn(7) = 2 <0.105 ms>',
    );
  });

  it('payloads are quoted and cut, and nothing in them reaches the terminal', () => {
    expect(line({ args: [9], result: 3, bytes: 3, payload: base64('a"\\') })).toBe(
      '  12.345 #4 recv(9) = 3 "a\\"\\\\"',
    );
    expect(line({ args: [9], result: 6, bytes: 6, payload: base64('\r\n\0\t\x1b\xff') })).toBe(
      '  12.345 #4 recv(9) = 6 "\\r\\n\\0\\t\\x1b\\xff"',
    );
    const long = line({ args: [99], result: 33, bytes: 33, payload: base64('x'.repeat(33)) });
    expect(long).toBe(`  12.345 #4 recv(99) = 33 "${'x'.repeat(32)}"...`);
    expect(line({ call: 'bind', args: ['@evil\x1b[2J'] })).toBe('  12.345 #4 bind(@evil\\x1b[2J)');
  });
});
