/** Unix sockets of a reactor: paths in a folder of their own, names in the abstract namespace. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Reactor, Socket } from '@fdset/reactor';
import { afterTest } from './after-test.js';
import { owned } from './sockets.js';

/** A folder that is removed when the test is over. Its name is short: a path has 107 bytes. */
export function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), 'fdset-'));
  afterTest(() => rmSync(made, { recursive: true }));
  return made;
}

let names = 0;

/** A name of the abstract namespace that nobody else uses. */
export function abstractName(): string {
  names += 1;
  return `\0fdset-test-${process.pid}-${names}`;
}

export function unixPair(reactor: Reactor, type: 'stream' | 'datagram' | 'seqpacket' = 'stream'): [Socket, Socket] {
  return reactor.socketPair({ type }).map(owned) as [Socket, Socket];
}
