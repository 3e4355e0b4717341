/** Which sockets are ready. */
import { describe, expect, test } from 'vitest';
import { ERROR, READABLE, WRITABLE } from '../../readiness.js';
import type { BackendSocket } from '../backend.js';
import { codeOf, host, hostEachTest, into, opened, plainPeer } from './test-host.js';

hostEachTest();

describe('the demultiplexer', () => {
  /** `count` accepted sockets, each with a byte to read. */
  async function readySockets(count: number): Promise<BackendSocket[]> {
    const { socket: listener, port } = await host.listener();
    const sockets: BackendSocket[] = [];
    for (let i = 0; i < count; i++) {
      plainPeer(port).write('x');
      await host.ready(listener, READABLE);
      const socket = listener.accept() as BackendSocket;
      opened.push(() => socket.reset());
      await host.ready(socket, READABLE);
      sockets.push(socket);
    }
    return sockets;
  }

  function slots(count: number): number[] {
    return Array.from({ length: count }, (_, i) => host.backend.demultiplexer.events[3 * i]!);
  }

  test('a ready socket is reported by every wait until it is read', async () => {
    const [socket] = await readySockets(1);
    const { demultiplexer } = host.backend;
    demultiplexer.watch(socket!, 5, 3, READABLE);
    for (let i = 0; i < 3; i++) {
      expect(demultiplexer.wait(10)).toBe(1);
      expect([...demultiplexer.events.slice(0, 3)]).toEqual([5, 3, READABLE | WRITABLE]);
    }
    socket!.recv(into);
    expect(demultiplexer.wait(10)).toBe(0);
  });

  test('what does not fit into the capacity comes first the next time', async () => {
    const sockets = await readySockets(7);
    const { demultiplexer } = host.backend;
    for (const [slot, socket] of sockets.entries()) demultiplexer.watch(socket, slot, 0, READABLE);
    const seen: number[] = [];
    for (let i = 0; i < 7; i++) {
      expect(demultiplexer.wait(3)).toBe(3);
      seen.push(...slots(3));
    }
    // 21 triples over 7 sockets: each comes three times, and never again before all others came.
    for (let i = 0; i < 21; i += 7) expect([...seen.slice(i, i + 7)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(demultiplexer.wait(100)).toBe(7);
  });

  test('100 ready sockets are reported, with the slots of their latest watch', async () => {
    const sockets = await readySockets(100);
    const { demultiplexer } = host.backend;
    for (const [slot, socket] of sockets.entries()) {
      demultiplexer.watch(socket, slot + 500, 0, READABLE);
      demultiplexer.watch(socket, slot + 500, 0, 0);
      demultiplexer.watch(socket, slot, 1, READABLE);
    }
    expect(demultiplexer.wait(1000)).toBe(100);
    expect(slots(100).sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test('after watch 0, and after a close, nothing more is reported', async () => {
    const sockets = await readySockets(3);
    const { demultiplexer } = host.backend;
    for (const [slot, socket] of sockets.entries()) demultiplexer.watch(socket, slot, 0, READABLE);
    demultiplexer.watch(sockets[0]!, 0, 0, 0);
    sockets[1]!.close();
    expect(demultiplexer.wait(10)).toBe(1);
    expect(slots(1)).toEqual([2]);
    expect(codeOf(() => demultiplexer.watch(sockets[1]!, 1, 0, READABLE))).toBe('EBADF');
    expect(demultiplexer.wait(10)).toBe(1);
  });

  test('only what the interest asks for is reported', async () => {
    const { socket } = await host.accepted();
    const { demultiplexer } = host.backend;
    demultiplexer.watch(socket, 0, 0, READABLE | ERROR);
    expect(demultiplexer.wait(10)).toBe(0);
    demultiplexer.watch(socket, 0, 0, WRITABLE);
    expect(demultiplexer.wait(10)).toBe(1);
    demultiplexer.watch(socket, 0, 0, READABLE);
    expect(demultiplexer.wait(10)).toBe(0);
  });

  test('look tells the readiness of sockets that nobody watches', async () => {
    const [readable] = await readySockets(1);
    const { socket: listener } = await host.listener();
    const masks = Int32Array.of(READABLE | ERROR, READABLE | WRITABLE, READABLE);
    expect(host.backend.demultiplexer.look([readable!, readable!, listener], masks, 0)).toBe(2);
    expect([...masks]).toEqual([READABLE, READABLE | WRITABLE, 0]);
  });
});
