/** Connections that come, talk and end in every way there is, so many of them that whatever each leaves behind shows. */
import type { Socket as NetSocket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { CloseInfo, Connection, InetAddress } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { type BackendName, describeBackends } from '../support/backends.js';
import { openPeer } from '../support/net-peer.js';
import { rounds } from '../support/waiting.js';

/** Connections in all: a multiple of the rounds and of the ways to end. */
const CONNECTIONS: Record<BackendName, number> = { kernel: 10_080, emulated: 1344, simulated: 1008 };
/** Memory is compared between the end of the first round, when all that is kept for good is there, and of the last. */
const ROUNDS = 4;
/** Open at a time. */
const CLIENTS = 60;
/**
 * How much more may be in use then, in bytes: code that is compiled and profiled on the way. It was 350 KiB at most, and no
 * more after 50,000 connections. Connections that are kept make 1.4 MB of the fewest here; on the kernel backend 90 bytes of
 * each are too many.
 */
const MOST_GROWTH = 640 * 1024;

/** What the client asks the server for when its echo has come; all else that it sends is echoed. */
const AT_THE_SERVER: Readonly<Record<string, (connection: Connection) => void>> = {
  end: (connection) => connection.end(),
  close: (connection) => void connection.close(),
  destroy: (connection) => connection.destroy(),
  reset: (connection) => connection.reset(),
  detach: (connection) => connection.detach().socket.close(),
};
/** What the client does itself then. */
const AT_THE_CLIENT: Readonly<Record<string, (socket: NetSocket) => void>> = {
  'peer ends': (socket) => void socket.end(),
  'peer resets': (socket) => void socket.resetAndDestroy(),
};
const WAYS = [...Object.keys(AT_THE_SERVER), ...Object.keys(AT_THE_CLIENT)];

/** How each way is told to the server's handler: as the peer's where both sides have ended, whoever was first. */
const TOLD: Readonly<Record<string, CloseInfo['by']>> = {
  end: 'peer',
  close: 'local',
  destroy: 'local',
  reset: 'local',
  detach: 'local',
  'peer ends': 'peer',
  'peer resets': 'error',
};

/** One connection from its beginning to its end. Resolves with how its client saw the end. */
function converse(address: InetAddress, way: string, number: number): Promise<string> {
  const hello = `connection ${number}`;
  return new Promise((resolve, reject) => {
    const socket = openPeer(address);
    let received = '';
    let how = 'clean';
    socket.on('connect', () => socket.write(hello));
    socket.on('data', (chunk: Buffer) => {
      received += chunk;
      if (received !== hello) return;
      const end = AT_THE_CLIENT[way];
      if (end === undefined) socket.write(way);
      else end(socket);
    });
    socket.on('end', () => socket.end());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      how = error.code ?? error.message;
    });
    socket.on('close', () => {
      if (received === hello) resolve(how);
      else reject(new Error(`${way}: closed (${how}) after '${received}' instead of '${hello}'`));
    });
  });
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in use after a collection: JavaScript's, and the memory behind Buffers. */
async function memory(): Promise<number> {
  // What is closed lets go of its handles in the loop's next rounds, and weak references only then.
  for (let i = 0; i < 3; i += 1) {
    await rounds(5);
    collect();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describeBackends(
  'churn',
  (stage) => {
    const total = CONNECTIONS[stage.backend];
    it(`${total} connections that talk and end, in each of ${WAYS.length} ways, leave nothing behind (85)`, async () => {
      const reactor = stage.reactor();
      const closed: Record<string, number> = {};
      let opened = 0;
      const listener = await reactor.serve(
        { host: '127.0.0.1', port: 0 },
        {
          open: () => {
            opened += 1;
          },
          data(connection, chunk) {
            const text = chunk.toString();
            const end = AT_THE_SERVER[text];
            if (end === undefined) connection.write(chunk);
            else end(connection);
          },
          error() {},
          close(_connection, { by }) {
            closed[by] = (closed[by] ?? 0) + 1;
          },
        },
        // Timeouts that none of them reaches: each has a place on the wheel, and must give it up.
        { idleMs: 60_000, readMs: 60_000, writeMs: 60_000 },
      );
      const address = listener.socket.localAddress as InetAddress;

      const seen: Record<string, number> = {};
      let begun = 0;
      const round = async (until: number): Promise<number> => {
        const client = async (): Promise<void> => {
          while (begun < until) {
            const number = begun;
            begun += 1;
            const way = WAYS[number % WAYS.length] as string;
            const how = `${way}: ${await converse(address, way, number)}`;
            seen[how] = (seen[how] ?? 0) + 1;
          }
        };
        await Promise.all(Array.from({ length: CLIENTS }, client));
        return memory();
      };
      const began = performance.now();
      const used: number[] = [];
      for (let i = 1; i <= ROUNDS; i += 1) used.push(await round((total * i) / ROUNDS));
      const took = performance.now() - began;
      const growth = (used.at(-1) as number) - (used[0] as number);
      console.log(
        `${stage.backend}: ${total} connections in ${(took / 1000).toFixed(1)} s; ${used.map((bytes) => (bytes / 1024).toFixed()).join(', ')} KiB in use after each ${total / ROUNDS}`,
      );

      const each = total / WAYS.length;
      expect(opened).toBe(total);
      expect(closed).toEqual(
        counted(
          WAYS.map((way) => TOLD[way] as string),
          each,
        ),
      );
      expect(seen).toEqual(
        counted(
          WAYS.map((way) => `${way}: ${way === 'reset' ? 'ECONNRESET' : 'clean'}`),
          each,
        ),
      );

      expect(listener.connections).toBe(0);
      const spoken = Array.from({ length: total }, (_, i) => `connection ${i}`.length).reduce((a, b) => a + b, 0);
      const asked = Object.keys(AT_THE_SERVER).join('').length * each;
      expect(reactor.metrics).toMatchObject({
        registrations: 1,
        accepts: total,
        bytesIn: spoken + asked,
        bytesOut: spoken,
        unheardErrors: 0,
        acceptFailures: 0,
        shed: 0,
      });
      expect(reactor.inspect()).toContain('0 timers, 0 selects\nsockets   1 watched, 1 registration');
      expect(growth).toBeLessThan(MOST_GROWTH);
    });
  },
  { timeoutMs: 60_000 },
);

/** `each` for every name, and so often more for one that is there several times. */
function counted(names: readonly string[], each: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + each;
  return counts;
}
