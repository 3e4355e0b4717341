/** The same byte stream comes out whatever the system calls do: items 82 and 102, trap D19. */
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { runNode } from '../support/node-process.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/fault-echo.mjs', import.meta.url));

const TRACES = spawnSync('strace', ['-e', 'trace=none', 'true'], { stdio: 'ignore' }).status === 0;
if (!TRACES) console.warn('echo under faults: skipped below the core, there is no strace that may trace here');

/** Runs the script to its end: it would not end if a handle or a timer were left. */
function faultEcho(...args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [SCRIPT, ...args], (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, output: stdout + stderr });
    });
    afterTest(() => child.kill('SIGKILL'));
  });
}

/** Echoes 1 MiB over a connection and over a registered socket, with both ends in this process. */
const ECHO = `
  import { Reactor, READABLE, WRITABLE, WOULD_BLOCK } from '@fdset/reactor';
  const reactor = new Reactor();
  const data = Buffer.alloc(1 << 20, Array.from({ length: 1021 }, (_, i) => i));
  const check = async (address) => {
    const connection = await reactor.open(address);
    const chunks = [];
    connection.on('data', (chunk) => chunks.push(chunk));
    for (let at = 0; at < data.length; at += 8192) {
      if (!connection.write(data.subarray(at, at + 8192))) await new Promise((done) => connection.once('drain', done));
    }
    connection.end();
    await new Promise((done, fail) => connection.on('error', fail).on('close', done));
    console.log(Buffer.concat(chunks).equals(data));
  };
  const server = await reactor.serve({ host: '127.0.0.1', port: 0 }, {
    data: (connection, chunk) => void (connection.write(chunk) || connection.pause()),
    drain: (connection) => connection.resume(),
  });
  await check(server.socket.localAddress);
  await server.close();
  const listener = await reactor.listen({ host: '127.0.0.1', port: 0 });
  const buffer = Buffer.alloc(65536);
  reactor.register(listener, READABLE, () => {
    const socket = listener.accept();
    if (socket === null) return;
    let [at, end] = [0, 0];
    reactor.register(socket, READABLE, (_socket, _readiness, registration) => {
      if (at === end) {
        const count = socket.recv(buffer);
        if (count === WOULD_BLOCK) return;
        if (count === 0) return void socket.close();
        [at, end] = [0, count];
      }
      at += Math.max(0, socket.send(buffer, at, end - at));
      registration.modify(at === end ? READABLE : WRITABLE);
    });
  });
  await check(listener.localAddress);
  listener.close();
`;

describeBackends(
  'an echo under faults',
  () => {
    it.each([
      ['connection', '32MiB'],
      ['registration', '16MiB'],
      ['select', '16MiB'],
    ])(
      'gives the same bytes back through every kind of fault, by %s (82, 102)',
      { timeout: 60_000 },
      async (form, bytes) => {
        const { code, output } = await faultEcho('--form', form, '--bytes', bytes, '--seed', '11');
        expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining(`${form}: ok`) });
        for (const fault of ['recv short', 'recv EAGAIN', 'recv EINTR', 'send short', 'send EAGAIN', 'send ENOBUFS'])
          expect(output).toContain(fault);
      },
    );

    it.runIf(TRACES).each([
      [
        'every second call is interrupted (26, 102, D19)',
        ['recvfrom,sendto,sendmsg,accept4,epoll_wait,poll:error=EINTR:when=1+2'],
      ],
      [
        'every third one would block, every fourth finds no buffers (40, 102)',
        ['recvfrom,accept4:error=EAGAIN:when=3+3', 'sendto,sendmsg:error=ENOBUFS:when=4+4'],
      ],
    ])('gives the same bytes back when in the kernel %s', { timeout: 60_000 }, async (_what, injections) => {
      const { code, lines, stderr } = await runNode(ECHO, {
        backend: 'kernel',
        through: ['strace', '-f', '-qqq', '-o', '/dev/null', ...injections.flatMap((what) => ['-e', `inject=${what}`])],
      });
      expect({ code, lines, stderr }).toEqual({ code: 0, lines: ['true', 'true'], stderr: '' });
    });
  },
  { only: 'kernel' },
);
