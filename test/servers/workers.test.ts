/** Threads and processes: what they inherit, how they end, and that none is left. */
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from '@fdset/servers';
import { describe, expect, it } from 'vitest';
import Conduct from './fixtures/conduct.mjs';
import Echo from './fixtures/echo.mjs';
import {
  Client,
  children,
  descriptors,
  descriptorsSince,
  eventually,
  fixture,
  kernel,
  launch,
  next,
  program,
  start,
  threads,
  WORKER_FORMS,
} from './support.js';

const THREADS = { name: 'threads', style: 'thread-per-connection' } as const;
const PROCESSES = { name: 'processes', style: 'process-per-connection' } as const;

/** CPU time that a process has used, in ms: its ticks are hundredths of a second. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') as string[];
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

/** What a descriptor is; empty for one that was closed since it was listed: a starting program opens and closes files. */
function descriptorOf(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** The sockets that another process holds beside its standard streams. */
function socketsOf(pid: number): string[] {
  const fds = readdirSync(`/proc/${pid}/fd`).filter((fd) => Number(fd) > 2);
  return fds.map((fd) => descriptorOf(pid, fd)).filter((link) => link.startsWith('socket:'));
}

describe.each(WORKER_FORMS)('$name', (form) => {
  const isProcess = form.style === 'process-per-connection';
  const helpers = isProcess ? 'children' : 'threads';

  it('serves as many at once as the cap allows; the others wait in the queue and are served then', async () => {
    const { server, port } = await start(form, Conduct, isProcess ? { maxChildren: 2 } : { maxThreads: 2 });
    // One after the other: the queue has them in this order.
    const [first, second, third] = [await Client.connect(port), await Client.connect(port), await Client.connect(port)];
    for (const client of [first, second, third]) client.send('view\n');
    await Promise.all([first.line(), second.line()]);
    expect(server.stats()).toMatchObject({ accepted: 2, active: 2, peak: 2, [helpers]: 2 });
    first.send('bye\n');
    expect(JSON.parse(await third.line()).steps).toEqual(['setup']);
    expect(server.stats()).toMatchObject({ accepted: 3, peak: 2 });
  });

  it('ten requests later no thread, child or descriptor is left of them', async () => {
    const { server, port } = await start(form, Conduct);
    const before = { threads: threads(), descriptors: descriptors() };
    for (let i = 0; i < 10; i += 1) {
      const client = await Client.connect(port);
      client.send('bye\n');
      await client.closed;
    }
    await eventually(() => expect(server.stats()).toMatchObject({ accepted: 10, active: 0, [helpers]: 0 }));
    expect(children()).toEqual([]);
    await eventually(() => expect(threads()).toBeLessThanOrEqual(before.threads));
    await eventually(() => expect(descriptorsSince(before.descriptors)).toEqual([]));
  });

  it('tells when a worker starts and ends', async () => {
    const { server, port } = await start(form, Conduct);
    const told: unknown[] = [];
    server.on('worker', (info) => told.push(info));
    const client = await Client.connect(port);
    const { pid, threadId } = JSON.parse(await client.send('view\n').line());
    client.send('bye\n');
    await eventually(() => expect(told).toHaveLength(2));
    const worker = { kind: isProcess ? 'process' : 'thread', id: isProcess ? pid : threadId };
    expect(told[0]).toEqual({ ...worker, event: 'start' });
    expect(told[1]).toMatchObject({ ...worker, event: 'exit', exitCode: 0 });
  });

  it.each([
    ['exit 3', /exit code 3/],
    ['later boom', /boom/],
    ['abandon', /exit code 13/],
  ])(
    'a worker that dies of "%s" is one error; its connection is closed once, and the server goes on',
    async (command, message) => {
      const { server, port, errors } = await start(form, Conduct);
      const before = descriptors();
      const client = await Client.connect(port);
      const error = next<Error>(server, 'error');
      client.send(`${command}\n`);
      expect((await error).message).toMatch(message);
      await client.closed;
      await eventually(() => expect(server.stats().active).toBe(0));
      await eventually(() => expect(descriptorsSince(before)).toEqual([]));
      const second = await Client.connect(port);
      expect(JSON.parse(await second.send('view\n').line()).steps).toEqual(['setup']);
      second.send('bye\n');
      await second.closed;
      expect(errors).toHaveLength(1);
    },
  );

  it('a worker that dies before it has adopted the connection: it is closed once, and is one error', async () => {
    const { server, port, errors } = await start(form, new URL('./fixtures/dies-on-load.mjs', import.meta.url));
    const before = descriptors();
    process.env.FDSET_TEST_DIE = 'yes';
    try {
      const client = await Client.connect(port);
      expect(await client.closed).toBe('');
      await eventually(() => expect(server.stats().active).toBe(0));
    } finally {
      delete process.env.FDSET_TEST_DIE;
    }
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({
      code: isProcess ? 'ERR_SERVER_CHILD' : 'ERR_SERVER_THREAD',
      message: /exit code 7/,
    });
    await eventually(() => expect(descriptorsSince(before)).toEqual([]));
    const second = await Client.connect(port);
    second.send('bye\n');
    expect(await second.closed).toBe('finished\n');
  });

  it('a handler that starts a server gets ERR_SERVER_NESTED', async () => {
    const { server, port } = await start(form, new URL('./fixtures/nesting.mjs', import.meta.url));
    const error = next<Error>(server, 'error');
    await Client.connect(port);
    expect(await error).toMatchObject({ code: 'ERR_SERVER_NESTED' });
  });

  it("the server's own program as handler module, without a guard, is ERR_SERVER_NESTED and no fork bomb", async () => {
    const { stdout } = await program('unguarded.mjs', form.style);
    expect(stdout).toMatch(/^ERR_SERVER_NESTED: a server was started inside a (thread|process)/);
  });

  it("the server's own program as handler module, with a guard, serves although it awaits the server", async () => {
    const { stdout } = await program('guarded.mjs', form.style);
    expect(stdout).toBe('one file is enough\n');
  });

  it('the emulated backend is refused with ENOTSUP, which names the capability', async () => {
    const { name: _, ...rest } = form;
    const address = { host: '127.0.0.1', port: 0 };
    const server = createServer({ ...rest, handler: Echo, address, backend: 'emulated' });
    await expect(server.serveForever()).rejects.toMatchObject({ code: 'ENOTSUP', message: /rawDescriptors/ });
  });
});

describe.runIf(kernel)('threads', () => {
  it('a number that was reused meanwhile is not closed when the thread that had it ends', async () => {
    const { server, port } = await start(THREADS, Conduct);
    const first = await Client.connect(port);
    await first.send('view\n').line();
    // The thread closes its connection, then waits; a new connection gets the number.
    first.send('letGo\n');
    await first.closed;
    const second = await Client.connect(port);
    await second.send('view\n').line();
    await eventually(() => expect(server.stats().active).toBe(1), 3000);
    expect(JSON.parse(await second.send('view\n').line()).steps).toEqual(['setup']);
  });

  it('each has a heap of a modest size, or of the size that was asked for', async () => {
    const limits = async (options: object) => {
      const { port } = await start(THREADS, Conduct, options);
      return JSON.parse(await (await Client.connect(port)).send('view\n').line()).resourceLimits;
    };
    expect(await limits({})).toMatchObject({ maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 });
    const resourceLimits = { maxOldGenerationSizeMb: 32 };
    expect(await limits({ resourceLimits })).toMatchObject({ maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 8 });
  });

  it('one that outgrows its heap is an error, and not the end of the server', async () => {
    const { server, port } = await start(THREADS, Conduct, { resourceLimits: { maxOldGenerationSizeMb: 32 } });
    const error = next<Error>(server, 'error');
    const client = await Client.connect(port);
    client.send('grow\n');
    expect(await error).toMatchObject({ cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' } });
    await client.closed;
  });

  it('in 20 rounds of clients that reset at any moment, no descriptor leaks', async () => {
    const { server, port } = await start({ ...THREADS, io: 'blocking' }, Echo);
    server.removeAllListeners('error').on('error', () => {});
    const before = descriptors();
    for (let i = 0; i < 20; i += 1) {
      const client = await Client.connect(port);
      client.send('x');
      await new Promise((resolve) => setTimeout(resolve, (i * 7) % 60));
      client.socket.resetAndDestroy();
    }
    await eventually(() => expect(server.stats()).toMatchObject({ accepted: 20, active: 0 }));
    await eventually(() => expect(descriptorsSince(before)).toEqual([]));
  });
});

describe.runIf(kernel)('processes', () => {
  it('a child that is killed is an error with its signal; the peer sees the end, and no zombie is left', async () => {
    const { server, port } = await start(PROCESSES, Conduct);
    const client = await Client.connect(port);
    const { pid } = JSON.parse(await client.send('view\n').line());
    const error = next<Error>(server, 'error');
    process.kill(pid, 'SIGKILL');
    expect(await error).toMatchObject({ code: 'ERR_SERVER_CHILD', message: /by signal SIGKILL/ });
    expect(await client.closed).toBe('');
    expect(children()).toEqual([]);
  });

  it('the server holds no copy of the connection: the peer sees the end when the child is done', async () => {
    const { server, port } = await start(PROCESSES, Conduct);
    const client = await Client.connect(port);
    await client.send('view\n').line();
    const count = descriptors().filter((link) => link.startsWith('socket:')).length;
    client.send('bye\n');
    expect(await client.closed).toBe('finished\n');
    await eventually(() => expect(server.stats().children).toBe(0));
    // Node's channel to the child has gone, and the client's own end.
    expect(descriptors().filter((link) => link.startsWith('socket:')).length).toBe(count - 2);
  });

  it('a descriptor of one connection is not held by the child of another', async () => {
    const { port } = await start(PROCESSES, Conduct);
    const held = await Client.connect(port);
    held.send('view\n');
    await held.line();
    const other = await Client.connect(port);
    const { pid } = JSON.parse(await other.send('view\n').line());
    // The connection itself, and Node's channel to the server.
    expect(socketsOf(pid)).toHaveLength(2);
    held.send('bye\n');
    expect(await held.closed).toBe('finished\n');
  });

  it("a child that the user has spawned holds none of the server's descriptors, and is the user's to reap", async () => {
    const { server, port } = await start(PROCESSES, Conduct);
    const client = await Client.connect(port);
    await client.send('view\n').line();
    const own = launch('sleep', ['60']);
    await once(own, 'spawn');
    expect(socketsOf(own.pid as number)).toEqual([]);
    client.send('bye\n');
    await client.closed;
    await eventually(() => expect(server.stats().children).toBe(0));
    const exit = once(own, 'exit');
    own.kill();
    expect((await exit)[1]).toBe('SIGTERM');
  });

  it('children end when their server is killed', async () => {
    const server = launch(process.execPath, [fixture('serve.mjs'), 'process-per-connection']);
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    const client = await Client.connect(Number(line));
    const { pid } = JSON.parse(await client.send('view\n').line());
    server.kill('SIGKILL');
    expect(await client.closed).toBe('');
    await eventually(() => expect(() => readFileSync(`/proc/${pid}/cmdline`)).toThrow());
  });
});

it.runIf(kernel)(
  'without descriptors it closes who comes, rests, and tells one error; it serves again when there are some',
  async () => {
    const server = launch('sh', ['-c', `ulimit -n 40; exec "${process.execPath}" "${fixture('serve.mjs')}" reactor`]);
    const lines: string[] = [];
    server.stdout.on('data', (text) => lines.push(...String(text).trim().split('\n')));
    await eventually(() => expect(lines).toHaveLength(1));
    const clients = await Promise.all(Array.from({ length: 60 }, () => Client.connect(Number(lines[0]))));
    await eventually(() => expect(lines).toContain('EMFILE'));
    // When it answers, it has worked off those who came: a cold program takes as much time for them as it may use at rest.
    const [first] = clients as [Client];
    expect(JSON.parse(await first.send('view\n').line()).steps).toEqual(['setup']);
    const [before, since] = [cpuMs(server.pid as number), performance.now()];
    await new Promise((resolve) => setTimeout(resolve, 500));
    const share = (cpuMs(server.pid as number) - before) / (performance.now() - since);
    expect(share).toBeLessThan(0.3);
    expect(lines.slice(1)).toEqual(['EMFILE']);
    expect(JSON.parse(await first.send('view\n').line()).steps).toEqual(['setup']);
    for (const client of clients) client.end();
    await Promise.all(clients.map((client) => client.closed));
    const last = await Client.connect(Number(lines[0]));
    last.send('view\n');
    expect(JSON.parse(await last.line()).steps).toEqual(['setup']);
  },
);

it('an error that nobody listens for goes to stderr, with its cause', async () => {
  const { stderr, stdout } = await program('unheard.mjs');
  expect(stderr).toMatch(/ServerError: the handler failed for 127\.0\.0\.1:\d+: boom/);
  expect(stderr).toMatch(/\[cause\]: Error: boom/);
  expect(stdout).toBe('still ready\n');
});
