/** What costs no system call: counted by strace, in processes of their own, by the difference of a short and a long run. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { runNode } from '../support/node-process.js';

const TRACES = spawnSync('strace', ['-e', 'trace=none', 'true'], { stdio: 'ignore' }).status === 0;
if (!TRACES) console.warn('costs: skipped, there is no strace that may trace here');

/** How many calls of each kind `source` makes in `rounds` rounds, all threads included. */
async function counted(source: string, rounds: number, calls: string): Promise<Map<string, number>> {
  const report = path.join(tmpdir(), `fdset-strace-${process.pid}-${rounds}`);
  afterTest(() => rmSync(report, { force: true }));
  const { code, stderr } = await runNode(`const ROUNDS = ${rounds};${source}`, {
    backend: 'kernel',
    through: ['strace', '-f', '-c', '-o', report, '-e', `trace=${calls}`],
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const counts = new Map<string, number>();
  for (const line of readFileSync(report, 'utf8').split('\n')) {
    const found = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/.exec(line);
    if (found !== null && found[2] !== 'total') counts.set(found[2] as string, Number(found[1]));
  }
  return counts;
}

/** What one round costs, by kind of call. */
async function perRound(source: string, calls: string): Promise<(call: string) => number> {
  const [few, many] = [20, 620];
  const short = await counted(source, few, calls);
  const long = await counted(source, many, calls);
  return (call) => ((long.get(call) ?? 0) - (short.get(call) ?? 0)) / (many - few);
}

/**
 * For an echo server: a node:net client that plays ROUNDS rounds of ping-pong with each of its connections. It takes 1 ms
 * before it answers, so that the server has to wait each time.
 */
const PING_PONG = `
  import { connect } from 'node:net';
  import { Reactor, READABLE, WOULD_BLOCK } from '@fdset/reactor';
  const reactor = new Reactor();
  const play = (address, connections) => Promise.all(Array.from({ length: connections }, () => new Promise((done) => {
    const client = connect(address.port, address.host);
    let left = ROUNDS;
    client.on('data', () => setTimeout(() => { left -= 1; if (left > 0) client.write('ping'); else client.destroy(); }, 1));
    client.on('close', done);
    client.write('ping');
  })));
`;

describeBackends(
  'costs',
  () => {
    it.runIf(TRACES)(
      'a loop over select costs no epoll_ctl while its sets are the same',
      { timeout: 20_000 },
      async () => {
        const cost = await perRound(
          `${PING_PONG}
        const listener = await reactor.listen({ host: '127.0.0.1', port: 0 });
        const clients = new Set();
        let over = false;
        void play(listener.localAddress, 2).then(() => { over = true; });
        const bytes = Buffer.alloc(64);
        while (!over) {
          const [readable] = await reactor.select([listener, ...clients], [], [], 100);
          for (const socket of readable) {
            if (socket === listener) clients.add(socket.accept());
            else {
              const count = socket.recv(bytes);
              if (count === 0) { clients.delete(socket); socket.close(); }
              else if (count !== WOULD_BLOCK) socket.send(bytes, 0, count);
            }
          }
        }
        listener.close();`,
          'epoll_ctl,recvfrom,sendto',
        );
        expect(cost('sendto')).toBeGreaterThan(1.5);
        expect(cost('epoll_ctl')).toBeLessThan(0.02);
      },
    );

    it.runIf(TRACES)(
      'a registered echo costs one recv, one send and no epoll_ctl a message',
      { timeout: 20_000 },
      async () => {
        const cost = await perRound(
          `${PING_PONG}
        const listener = await reactor.listen({ host: '127.0.0.1', port: 0 });
        const bytes = Buffer.alloc(64);
        const echo = { readable(socket) {
          const count = socket.recv(bytes);
          if (count === 0) socket.close(); else socket.send(bytes, 0, count);
        } };
        reactor.register(listener, READABLE, { readable(socket) {
          for (let each = socket.accept(); each !== null; each = socket.accept()) reactor.register(each, READABLE, echo);
        } });
        await play(listener.localAddress, 2);
        reactor.close();
        process.exit();`,
          'epoll_ctl,recvfrom,sendto,epoll_wait,epoll_pwait',
        );
        // Of two connections; the client's own calls are read and write.
        expect(cost('recvfrom')).toBeLessThan(2.05);
        expect(cost('sendto')).toBeLessThan(2.05);
        expect(cost('sendto')).toBeGreaterThan(1.95);
        expect(cost('epoll_ctl')).toBeLessThan(0.02);
      },
    );

    it.runIf(TRACES)(
      'a connection’s echo costs no more: one recv, one send, however often it writes',
      { timeout: 20_000 },
      async () => {
        const cost = await perRound(
          `${PING_PONG}
        const listener = await reactor.serve({ host: '127.0.0.1', port: 0 }, {
          async data(connection, chunk) {
            await null;
            connection.write(chunk.subarray(0, 1));
            connection.write(chunk.subarray(1));
          },
        });
        await play(listener.socket.localAddress, 2);
        process.exit();`,
          'epoll_ctl,recvfrom,sendto,sendmsg,writev',
        );
        expect(cost('recvfrom')).toBeLessThan(2.05);
        expect(cost('sendto') + cost('sendmsg')).toBeLessThan(2.05);
        expect(cost('epoll_ctl')).toBeLessThan(0.02);
      },
    );
  },
  { only: 'kernel' },
);
