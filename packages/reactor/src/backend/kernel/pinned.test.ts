import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadCore } from '../../native.js';
import { Reactor } from '../../reactor.js';
import { WOULD_BLOCK } from '../../readiness.js';
import type { Socket } from '../../socket.js';

/** The verbs over a buffer that is used again and again take a shorter way: it must not be told from the long one. */
describe.skipIf(typeof loadCore() === 'string')('a buffer that is used again and again', () => {
  let reactor: Reactor;
  let near: Socket;
  let far: Socket;

  beforeEach(() => {
    reactor = new Reactor({ backend: 'kernel' });
    [near, far] = reactor.socketPair();
  });

  afterEach(() => {
    near.close();
    far.close();
    reactor.close();
  });

  it('receives what was sent, wherever the range lies', () => {
    const buffer = Buffer.alloc(16);
    for (let i = 0; i < 5; i += 1) {
      far.send(Buffer.from(`round ${i}`));
      expect(near.recv(buffer, i, 8)).toBe(7);
      expect(buffer.toString('latin1', i, i + 7)).toBe(`round ${i}`);
    }
    expect(near.recv(buffer)).toBe(WOULD_BLOCK);
  });

  it('sends the range that was asked for', () => {
    const buffer = Buffer.from('0123456789');
    const into = Buffer.alloc(16);
    for (let i = 0; i < 5; i += 1) {
      expect(near.send(buffer, i, 3)).toBe(3);
      expect(far.recv(into)).toBe(3);
      expect(into.toString('latin1', 0, 3)).toBe('0123456789'.slice(i, i + 3));
    }
  });

  it('is refused with a range outside it, as every buffer is', () => {
    const buffer = Buffer.alloc(8);
    for (let i = 0; i < 3; i += 1) expect(near.recv(buffer)).toBe(WOULD_BLOCK);
    for (const [offset, length] of [
      [0, 9],
      [8, 1],
      [-1, 2],
      [1.5, 2],
      [0, 0],
      [2 ** 31, 1],
    ] as const)
      expect(() => near.recv(buffer, offset, length)).toThrow(expect.objectContaining({ code: 'ERR_REACTOR_BUFFER' }));
  });

  it('is not written to once its memory was transferred away', () => {
    const buffer = new Uint8Array(new ArrayBuffer(8));
    for (let i = 0; i < 3; i += 1) expect(near.recv(buffer)).toBe(WOULD_BLOCK);
    far.send(Buffer.from('secret'));
    const moved = structuredClone(buffer, { transfer: [buffer.buffer] });
    expect(() => near.recv(buffer)).toThrow(expect.objectContaining({ code: 'ERR_REACTOR_BUFFER' }));
    expect([...moved]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('throws EBADF on a closed socket', () => {
    const buffer = Buffer.alloc(8);
    for (let i = 0; i < 3; i += 1) expect(near.recv(buffer)).toBe(WOULD_BLOCK);
    near.close();
    expect(() => near.recv(buffer)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });

  it('gives way to another one', () => {
    const [a, b] = [Buffer.alloc(4), Buffer.alloc(4)];
    for (const buffer of [a, a, a, b, b, b, a, a, b]) {
      far.send(Buffer.from('abcd'));
      buffer.fill(0);
      expect(near.recv(buffer)).toBe(4);
      expect(buffer.toString()).toBe('abcd');
    }
  });
});
