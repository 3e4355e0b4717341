/** What the tests of hand-offs share: who takes, what is given, and whether it lives. */
import { readdirSync, readlinkSync } from 'node:fs';
import type { Reactor, Socket, TransferError } from '@fdset/reactor';
import { expect } from 'vitest';
import { Child } from './child.js';
import type { NetPeer } from './net-peer.js';
import { owned, received, sent } from './sockets.js';
import { Thread } from './threads.js';
import { rejection } from './waiting.js';

export const TAKER = new URL('../hand-off/fixtures/taker.mjs', import.meta.url);

/** A taker in a thread or in a child process, by one face. */
export interface Taker {
  readonly to: Thread['worker'] | Child['process'];
  readonly ended: Promise<unknown>;
  tells<T = unknown>(index: number): Promise<T>;
  /** Ends it from outside, at once. */
  kill(): Promise<unknown>;
}

/** Starts a taker, and waits until it is ready. Its first word is 'ready'. */
export async function threadTaker(conduct: string, given: object = {}): Promise<Taker & { thread: Thread }> {
  const thread = new Thread(TAKER, { conduct, ...given });
  await thread.tells(0);
  return {
    thread,
    to: thread.worker,
    ended: thread.ended,
    tells: (index) => thread.tells(index),
    kill: () => thread.worker.terminate(),
  };
}

export async function childTaker(conduct: string, given: object = {}): Promise<Taker & { child: Child }> {
  const child = new Child(TAKER, { conduct, ...given });
  await child.tells(0);
  return {
    child,
    to: child.process,
    ended: child.ended,
    tells: (index) => child.tells(index),
    kill() {
      child.process.kill('SIGKILL');
      return child.ended;
    },
  };
}

/** The transfer is rejected: the socket is open here, and carries bytes both ways. */
export async function expectOurs(
  reactor: Reactor,
  transfer: Promise<void>,
  socket: Socket,
  peer: NetPeer,
  message: RegExp,
): Promise<void> {
  const error = (await rejection(transfer)) as TransferError;
  expect({ name: error.name, code: error.code, message: error.message }).toMatchObject({
    name: 'TransferError',
    code: 'ERR_REACTOR_TRANSFER',
    message: expect.stringMatching(message),
  });
  expect(error.socket).toBe(socket);
  expect([socket.closed, socket.fileno() >= 0, reactor.registrationOf(socket)]).toEqual([false, true, undefined]);
  await expectAlive(reactor, owned(socket), peer);
}

let words = 0;

export async function expectAlive(reactor: Reactor, socket: Socket, peer: NetPeer): Promise<void> {
  words += 1;
  const word = `word ${words};`;
  const before = peer.received.length;
  peer.write(word);
  expect((await received(reactor, socket, word.length)).toString()).toBe(word);
  await sent(reactor, socket, Buffer.from(`ours ${word}`));
  const all = await peer.receives(before + 5 + word.length);
  expect(all.subarray(before).toString()).toBe(`ours ${word}`);
}

/** The sockets that a process holds. */
export function socketsOf(pid: number | 'self'): string[] {
  const found: string[] = [];
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const link = readlinkSync(`/proc/${pid}/fd/${fd}`);
      if (link.startsWith('socket:')) found.push(link);
    } catch {
      // Closed since it was listed.
    }
  }
  return found.sort();
}
