import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WOULD_BLOCK } from '../readiness.js';
import type { Socket } from '../socket.js';
import { WriteQueue } from './write-queue.js';

/** A socket that takes what `appetite` says, call by call: the logic above send is what is tested here. */
function eater(appetite: (call: number, offered: number) => number) {
  const taken: number[] = [];
  let calls = 0;
  const most: number[] = [];
  const eat = (chunks: readonly Uint8Array[]): number => {
    most.push(chunks.length);
    const bytes = chunks.flatMap((chunk) => [...chunk]);
    calls += 1;
    const count = Math.min(bytes.length, appetite(calls, bytes.length));
    if (count > 0) taken.push(...bytes.slice(0, count));
    return count;
  };
  const socket = {
    send: (chunk: Uint8Array, offset = 0) => eat([chunk.subarray(offset)]),
    sendv: (chunks: readonly Uint8Array[]) => eat(chunks),
  } as unknown as Socket;
  return { socket, taken, most, calls: () => calls };
}

describe('the write queue', () => {
  it('sends one chunk with one call', () => {
    const { socket, taken, calls } = eater((_call, offered) => offered);
    const queue = new WriteQueue();
    queue.push(Uint8Array.of(1, 2, 3));
    expect(queue.flush(socket)).toBe(true);
    expect(taken).toEqual([1, 2, 3]);
    expect(calls()).toBe(1);
    expect(queue.bytes).toBe(0);
  });

  it('gathers several chunks into one call', () => {
    const { socket, taken, calls } = eater((_call, offered) => offered);
    const queue = new WriteQueue();
    for (let i = 0; i < 10; i += 1) queue.push(Uint8Array.of(i));
    expect(queue.flush(socket)).toBe(true);
    expect(taken).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(calls()).toBe(1);
  });

  it('cuts more chunks than IOV_MAX into several calls and keeps their order', () => {
    const { socket, taken, most } = eater((_call, offered) => offered);
    const queue = new WriteQueue();
    for (let i = 0; i < 5000; i += 1) queue.push(Uint8Array.of(i % 251));
    expect(queue.flush(socket)).toBe(true);
    expect(taken).toEqual(Array.from({ length: 5000 }, (_, i) => i % 251));
    expect(Math.max(...most)).toBeLessThanOrEqual(1024);
  });

  it('does not ask again after a short send of a single chunk: the buffer is full', () => {
    const { socket, calls } = eater(() => 2);
    const queue = new WriteQueue();
    queue.push(Uint8Array.of(1, 2, 3));
    expect(queue.flush(socket)).toBe(false);
    expect(calls()).toBe(1);
    expect(queue.bytes).toBe(1);
  });

  it('sends every byte once and in order, whatever each call takes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 40 }),
        fc.array(fc.integer({ min: -1, max: 60 }), { minLength: 1, maxLength: 30 }),
        (chunks, appetites) => {
          const { socket, taken } = eater((call) => appetites[call % appetites.length] || WOULD_BLOCK);
          const queue = new WriteQueue();
          const expected: number[] = [];
          chunks.forEach((chunk, i) => {
            queue.push(chunk);
            expected.push(...chunk);
            if (i % 3 === 0) queue.flush(socket);
          });
          const full = eater((_call, offered) => offered);
          queue.flush(full.socket);
          expect([...taken, ...full.taken]).toEqual(expected);
          expect(queue.bytes).toBe(0);
        },
      ),
    );
  });
});
