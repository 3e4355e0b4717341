/** Batches over backends that have no call for them: the loop over the socket's other verbs is what is tested here. */
import { describe, expect, it } from 'vitest';
import type { Address } from './address.js';
import { DatagramBatch } from './datagram-batch.js';
import { receiveEach, sendEach } from './datagram-loop.js';
import { WOULD_BLOCK } from './readiness.js';
import type { Socket } from './socket.js';

const FROM: Address = { host: '127.0.0.1', port: 7 };

/** A socket with input, a string for each datagram, and with room for `room` of output. An Error is thrown in its turn. */
function fake(input: (string | Error)[], room: (number | Error)[] = []) {
  const sent: [text: string, to?: Address][] = [];
  const take = (bytes: Uint8Array, to?: Address): number => {
    const next = room.shift() ?? 1;
    if (next instanceof Error) throw next;
    if (next === 0) return WOULD_BLOCK;
    sent.push(to === undefined ? [Buffer.from(bytes).toString()] : [Buffer.from(bytes).toString(), to]);
    return bytes.length;
  };
  const socket = {
    recvFrom(into: Uint8Array) {
      const next = input.shift();
      if (next === undefined) return null;
      if (next instanceof Error) throw next;
      const bytes = Buffer.from(next).copy(into);
      return { bytes, address: FROM, truncated: bytes < next.length };
    },
    send: (bytes: Uint8Array) => take(bytes),
    sendTo: take,
  } as unknown as Socket;
  return { socket, sent };
}

describe('the loop of datagrams', () => {
  it('receives what is there, in order, until the batch is full', () => {
    const { socket } = fake(['a', '', 'too long', 'd']);
    const batch = new DatagramBatch(3, 4);
    expect(receiveEach(socket, batch)).toBe(3);
    expect([0, 1, 2].map((i) => [batch.payload(i).toString(), batch.address(i), batch.truncated(i)])).toEqual([
      ['a', FROM, false],
      ['', FROM, false],
      ['too ', FROM, true],
    ]);
    expect([receiveEach(socket, batch), batch.length]).toEqual([1, 1]);
    expect([receiveEach(socket, batch), batch.length]).toEqual([WOULD_BLOCK, 0]);
  });

  it('tells an error behind datagrams with the next call, once', () => {
    const error = new Error('refused');
    const { socket } = fake(['a', error, 'b']);
    const batch = new DatagramBatch(4, 4);
    expect(receiveEach(socket, batch)).toBe(1);
    expect(() => receiveEach(socket, batch)).toThrow(error);
    expect(receiveEach(socket, batch)).toBe(1);
    expect(() => receiveEach(fake([error]).socket, batch)).toThrow(error);
  });

  it('sends each to its address or to the peer, and a received one back', () => {
    const { socket, sent } = fake(['in']);
    const batch = new DatagramBatch(4, 8);
    receiveEach(socket, batch);
    batch.add(Buffer.from('peer'));
    batch.add(Buffer.from('other'), { path: '/other' });
    expect(sendEach(socket, batch)).toBe(3);
    expect(sent).toEqual([['in', FROM], ['peer'], ['other', { path: '/other' }]]);
    expect(sendEach(socket, batch, 1, 2)).toBe(1);
    expect(sent.at(-1)).toEqual(['peer']);
  });

  it('stops where the socket is full, and before one that fails', () => {
    const error = new Error('too long');
    const { socket, sent } = fake([], [1, 0, 0, 1, error, error]);
    const batch = new DatagramBatch(4, 8);
    for (const text of ['0', '1', '2', '3']) batch.add(Buffer.from(text), FROM);
    expect(sendEach(socket, batch)).toBe(1);
    expect(sendEach(socket, batch, 1)).toBe(WOULD_BLOCK);
    expect(sendEach(socket, batch, 1)).toBe(1);
    expect(() => sendEach(socket, batch, 2)).toThrow(error);
    expect(sendEach(socket, batch, 3)).toBe(1);
    expect(sent.map(([text]) => text)).toEqual(['0', '1', '3']);
    for (const span of [[-1], [0, 5], [3, 2]] as [number, number?][])
      expect(() => sendEach(socket, batch, ...span)).toThrow(RangeError);
  });
});
