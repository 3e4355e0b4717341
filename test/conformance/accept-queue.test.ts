/** A queue that has filled while the server was held up, and a server that finds no descriptor for those who wait. */
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import type { InetAddress } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { namespace, printedIn } from '../support/namespaces.js';
import { NodeProcess } from '../support/node-process.js';
import { delay } from '../support/waiting.js';

const WAITING = 1000;
const BACKLOG = 4096;
/** Those who wait, by the budget of 64 a turn, and four to spare. */
const MOST_TURNS = 20;

/**
 * A network of its own: there `ListenOverflows` counts what this test does and nothing else, and `somaxconn` is the
 * kernel's default.
 */
const NAMESPACE = namespace();
const somaxconn = printedIn(NAMESPACE, 'cat', '/proc/sys/net/core/somaxconn');
const unfit =
  somaxconn === null
    ? 'no network namespace can be made here'
    : Number(somaxconn) < WAITING
      ? `somaxconn is ${somaxconn}`
      : '';

/** Prints its port, and once all have been accepted in how many turns that was. */
const SERVER = (accepting: string) => `
  import { READABLE, Reactor } from '@fdset/reactor';
  const reactor = new Reactor({ backend: 'kernel' });
  const kept = [];
  let turns = 0;
  const accepted = (connection) => {
    kept.push(connection);
    if (kept.length === ${WAITING}) console.log(reactor.metrics.turns - turns);
  };
  const address = { host: '127.0.0.1', port: 0 };
  ${accepting}
  // What it has to do at its beginning is done.
  await new Promise((resolve) => setTimeout(resolve, 50));
  ({ turns } = reactor.metrics);
  console.log(socket.localAddress.port);`;

const BY: [string, string][] = [
  ['serve', `const { socket } = await reactor.serve(address, { open: accepted, data() {} }, { backlog: ${BACKLOG} });`],
  [
    'a loop of its own over a socket',
    `const socket = await reactor.listen(address, { backlog: ${BACKLOG} });
     reactor.register(socket, READABLE, () => {
       for (let left = 64; left > 0; left -= 1) {
         const connection = socket.accept();
         if (connection === null) return;
         accepted(connection);
       }
     });`,
  ],
];

/** Holds the server up, has all connect, and lets it go on. Prints the overflows and the turns. */
const HELD_UP = `
  import { spawn } from 'node:child_process';
  import { once } from 'node:events';
  import { readFileSync } from 'node:fs';
  import { connect } from 'node:net';
  import { createInterface } from 'node:readline';
  const overflows = () => {
    const [names, values] = readFileSync('/proc/net/netstat', 'utf8').split('\\n')
      .filter((line) => line.startsWith('TcpExt:')).map((line) => line.split(' '));
    return Number(values[names.indexOf('ListenOverflows')]) + Number(values[names.indexOf('ListenDrops')]);
  };
  const server = spawn(process.execPath, ['--input-type=module', '--eval', process.argv[1]], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => server.kill('SIGKILL'));
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
  const port = Number((await lines.next()).value);
  server.kill('SIGSTOP');
  while (!/\\) T /.test(readFileSync('/proc/' + server.pid + '/stat', 'utf8')));
  const before = overflows();
  const clients = Array.from({ length: ${WAITING} }, () => connect({ host: '127.0.0.1', port }));
  await Promise.all(clients.map((client) => once(client, 'connect')));
  console.log(overflows() - before);
  server.kill('SIGCONT');
  console.log((await lines.next()).value);
  process.exit();`;

describeBackends(
  'a queue of connections',
  () => {
    it.for(BY)(
      'of 1,000 that waited for a stopped server is accepted in 20 turns, by %s (54)',
      async ([, accepting], { skip }) => {
        skip(unfit !== '', unfit);
        const node = new NodeProcess(HELD_UP, { through: NAMESPACE, args: [SERVER(accepting)] });
        expect(await node.line(0)).toBe('0');
        expect(Number(await node.line(1))).toBeLessThanOrEqual(MOST_TURNS);
        await node.ended();
      },
    );
  },
  { only: 'kernel' },
);

const LIMIT = 60;

/** Holds all descriptors below the limit; `freed` on its input gives them back, `measure` prints what it has used. */
const HOARDER = (reserve: boolean) => `
  import { closeSync, openSync } from 'node:fs';
  import { Reactor } from '@fdset/reactor';
  const files = [];
  const fill = () => {
    do files.push(openSync('/dev/null')); while (files.at(-1) < ${LIMIT});
  };
  const reactor = new Reactor({ backend: 'kernel' });
  // Where its descriptor in reserve is one of those beyond the limit, nothing is gained by giving it up.
  ${reserve ? '' : 'fill();'}
  const listener = await reactor.serve({ host: '127.0.0.1', port: 0 }, {
    data(connection, chunk) { connection.write(chunk); },
  });
  ${reserve ? 'fill();' : ''}
  listener.on('error', (error) => console.log('error ' + error.code));
  process.stdin.on('data', (text) => {
    if (String(text) === 'free') for (const file of files.splice(0)) closeSync(file);
    const { user, system } = process.cpuUsage();
    const { shed, turns } = reactor.metrics;
    console.log(JSON.stringify({ cpuMs: (user + system) / 1000, at: performance.now(), shed, turns }));
  });
  console.log(listener.socket.localAddress.port);`;

interface Used {
  readonly cpuMs: number;
  readonly at: number;
  readonly shed: number;
  readonly turns: number;
}

describeBackends(
  'a server without descriptors',
  () => {
    it.each([
      ['those who wait are closed by the one in reserve', true],
      ['the one in reserve does not help, and they go on waiting', false],
    ])('where %s: under 5 % of a processor, one error, and it recovers (50, A3)', async (_what, reserve) => {
      const server = new NodeProcess(HOARDER(reserve));
      const address = { host: '127.0.0.1', port: Number(await server.line(0)) };
      // The hard limit: Node raises the soft one to it.
      execFileSync('prlimit', ['--pid', String(server.child.pid), `--nofile=${LIMIT}:${LIMIT}`]);
      const clients = Array.from({ length: 10 }, () => servedAtLast(address));
      expect(await server.line(1)).toBe('error EMFILE');
      let line = 2;
      const say = async (word: string): Promise<Used> => {
        server.child.stdin?.write(word);
        line += 1;
        return JSON.parse(await server.line(line - 1)) as Used;
      };
      const before = await say('measure');
      await delay(2000);
      const after = await say('measure');
      expect((after.cpuMs - before.cpuMs) / (after.at - before.at)).toBeLessThan(0.05);
      // A rest doubles to one second: a loop that spins has thousands of turns.
      expect(after.turns - before.turns).toBeLessThan(40);
      if (reserve) expect(after.shed).toBeGreaterThan(0);
      else expect(after.shed).toBe(0);
      await say('free');
      await Promise.all(clients);
      expect(server.lines.entries.filter((each) => each.startsWith('error'))).toEqual(['error EMFILE']);
    });
  },
  { only: 'kernel' },
);

/** Connects, again as often as it is closed, until it gets back what it has sent. */
function servedAtLast(address: InetAddress): Promise<void> {
  return new Promise((resolve) => {
    let over = false;
    const attempt = (): void => {
      const socket = connect(address);
      socket.write('served?');
      socket.on('error', () => {});
      socket.once('data', () => {
        over = true;
        socket.destroy();
        resolve();
      });
      socket.once('close', () => {
        if (!over) attempt();
      });
      afterTest(() => {
        over = true;
        socket.destroy();
      });
    };
    attempt();
  });
}
