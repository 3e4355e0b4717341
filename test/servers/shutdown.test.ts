/** The end of a server: when accepting ends, what becomes of the handlers at work, and that nothing is left. */
import { once } from 'node:events';
import { createServer, StreamRequestHandler } from '@fdset/servers';
import { describe, expect, it } from 'vitest';
import Conduct from './fixtures/conduct.mjs';
import Echo from './fixtures/echo.mjs';
import {
  Client,
  children,
  descriptors,
  descriptorsSince,
  eventually,
  FORMS,
  kernel,
  program,
  start,
  threads,
  WORKER_FORMS,
} from './support.js';

const NO_GRACE = { shutdownGraceMs: 0 };

describe.each(FORMS)('$name', (form) => {
  it('twenty servers that are started and stopped at once all end', async () => {
    const { name: _, ...rest } = form;
    const count = form.style === 'process-per-connection' ? 5 : 20;
    const servers = Array.from({ length: count }, () =>
      createServer({ ...rest, handler: Echo, address: { host: '127.0.0.1', port: 0 } }),
    );
    const serving = servers.map((server) => server.serveForever());
    const listening = servers.map((server) => server.listening.catch((error: { code: string }) => error.code));
    await Promise.all(servers.map((server) => server.shutdown()));
    await Promise.all(serving);
    expect(new Set(await Promise.all(listening))).toEqual(new Set(['ERR_SERVER_CLOSED']));
    expect(servers.every((server) => server.health() === 'stopped')).toBe(true);
  });

  it('twenty servers that listen all end, and leave nothing', async () => {
    const count = form.style === 'process-per-connection' ? 5 : 20;
    const before = { threads: threads(), descriptors: descriptors() };
    const all = await Promise.all(Array.from({ length: count }, () => start(form, Echo)));
    await Promise.all(all.map(({ server }) => server.shutdown()));
    await Promise.all(all.map(({ done }) => done));
    await eventually(() => expect(descriptorsSince(before.descriptors)).toEqual([]));
    await eventually(() => expect(threads()).toBeLessThanOrEqual(before.threads));
  });

  it('a shutdown before serveForever makes it resolve at once', async () => {
    const { name: _, ...rest } = form;
    const server = createServer({ ...rest, handler: Echo, address: { host: '127.0.0.1', port: 0 } });
    await server.shutdown();
    await server.serveForever();
    expect(server.health()).toBe('stopped');
    expect(server.address).toBeUndefined();
    await expect(server.listening).rejects.toMatchObject({ code: 'ERR_SERVER_CLOSED' });
  });

  it('shutdown twice, and the disposal of a stopped server, are no-ops', async () => {
    const { server, done } = await start(form, Echo);
    await Promise.all([server.shutdown(), server.shutdown()]);
    await done;
    await server.shutdown();
    await server[Symbol.asyncDispose]();
  });

  it('a signal shuts down, also one that was aborted before', async () => {
    const { name: _, ...rest } = form;
    const controller = new AbortController();
    const options = { ...rest, handler: Echo, address: { host: '127.0.0.1', port: 0 } };
    const server = createServer(options);
    const serving = server.serveForever(controller.signal);
    await server.listening;
    controller.abort();
    await serving;
    expect(server.health()).toBe('stopped');
    await createServer(options).serveForever(AbortSignal.abort());
  });

  it('a handler that is at work may finish within the grace', async () => {
    const { server, done, port, errors } = await start(form, Conduct);
    const client = await Client.connect(port);
    client.send('view\n');
    await client.line();
    client.send('sleep 150\nview\nbye\n');
    await server.shutdown();
    expect(JSON.parse(await client.line()).steps).toEqual(['setup']);
    expect(await client.closed).toBe('finished\n');
    await done;
    expect(errors).toEqual([]);
  });

  it('a handler that waits for its client is ended after the grace: finish runs, and it is no error', async () => {
    const { server, done, port, errors } = await start(form, Conduct, NO_GRACE);
    const client = await Client.connect(port);
    client.send('all\n');
    expect(await client.line()).toBe('reading');
    const exits: unknown[] = [];
    server.on('worker', (info) => exits.push(info));
    const begun = performance.now();
    await server.shutdown();
    await done;
    await client.closed;
    // It has ended by itself: neither given up, which takes one second, nor terminated or killed.
    expect(performance.now() - begun).toBeLessThan(1000);
    for (const exit of exits) expect(exit).toMatchObject({ event: 'exit', exitCode: 0 });
    expect(exits).toHaveLength(WORKER_FORMS.includes(form) ? 1 : 0);
    expect(errors).toEqual([]);
    expect(server.stats()).toMatchObject({ active: 0, failed: 0 });
  });

  it('a handler that waits for what never comes is given up, or ended, one second after the grace', async () => {
    const { server, done, port } = await start(form, Conduct, NO_GRACE);
    const client = await Client.connect(port);
    client.send('never\n');
    expect(await client.line()).toBe('waiting');
    const begun = performance.now();
    await server.shutdown();
    await done;
    const ms = performance.now() - begun;
    expect(ms).toBeGreaterThan(900);
    expect(ms).toBeLessThan(3000);
    await client.closed;
    expect(server.stats().active).toBe(0);
    expect(children()).toEqual([]);
  });

  it('asynchronous disposal waits until everything has ended', async () => {
    const { server, port } = await start(form, Conduct, NO_GRACE);
    const client = await Client.connect(port);
    client.send('all\n');
    await client.line();
    await server[Symbol.asyncDispose]();
    expect(server.health()).toBe('stopped');
    expect(server.stats()).toMatchObject({ active: 0, threads: 0, children: 0 });
  });
});

const IN_PROCESS_FORMS = FORMS.filter((form) => !WORKER_FORMS.includes(form));

it.each(IN_PROCESS_FORMS)(
  '$name: a handler may shut its server down, and is not waited for by the call',
  async (form) => {
    const order: string[] = [];
    const { server, done, port } = await start(
      form,
      class extends StreamRequestHandler {
        async handle() {
          await server.shutdown();
          order.push('shutdown');
          await new Promise((resolve) => setTimeout(resolve, 30));
          this.wfile.write('goodbye\n');
          order.push('handled');
        }
      },
    );
    const client = await Client.connect(port);
    expect(await client.closed).toBe('goodbye\n');
    await done;
    order.push('done');
    expect(order).toEqual(['shutdown', 'handled', 'done']);
  },
);

describe.each(WORKER_FORMS)('$name', (form) => {
  it('a handler that spins is ended', async () => {
    const { server, done, port, errors } = await start(form, Conduct, NO_GRACE);
    const client = await Client.connect(port);
    client.send('spin\n');
    expect(await client.line()).toBe('spinning');
    await server.shutdown();
    await done;
    expect(await client.closed).toBe('');
    expect(children()).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('a server that stops while its handler is loaded leaves no thread and no child', async () => {
    const { name: _, ...rest } = form;
    const before = { threads: threads(), descriptors: descriptors() };
    const handler = new URL('./fixtures/loads-forever.mjs', import.meta.url);
    const server = createServer({ ...rest, handler, address: { host: '127.0.0.1', port: 0 } });
    const serving = server.serveForever();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await server.shutdown();
    await serving;
    expect(children()).toEqual([]);
    await eventually(() => expect(threads()).toBeLessThanOrEqual(before.threads));
    await eventually(() => expect(descriptorsSince(before.descriptors)).toEqual([]));
  });
});

describe.runIf(kernel)('threads that block', () => {
  const form = { name: '', style: 'thread-per-connection', io: 'blocking' } as const;

  it('ten threads that are stuck in a read end at shutdown, woken and not terminated', async () => {
    const { server, done, port, errors } = await start(form, Conduct, NO_GRACE);
    const exits: unknown[] = [];
    server.on('worker', (info) => info.event === 'exit' && exits.push(info.exitCode));
    const clients = await Promise.all(Array.from({ length: 10 }, () => Client.connect(port)));
    for (const client of clients) client.send('all\n');
    for (const client of clients) expect(await client.line()).toBe('reading');
    await server.shutdown();
    await done;
    // terminate() gives exit code 1.
    expect(exits).toEqual(Array.from({ length: 10 }, () => 0));
    expect(errors).toEqual([]);
  });

  it('a thread that is stuck in a write ends at shutdown', async () => {
    const { server, done, port } = await start(form, Conduct, NO_GRACE);
    const client = await Client.connect(port);
    client.send('view\n');
    await client.line();
    client.socket.pause();
    client.send('write 50000000\n');
    await new Promise((resolve) => setTimeout(resolve, 200));
    const exit = once(server as never, 'worker');
    await server.shutdown();
    await done;
    expect((await exit)[0]).toMatchObject({ event: 'exit', exitCode: 0 });
  });

  it('process.exit() in the main thread ends the process at once, though a thread is blocked', async () => {
    const { stdout, ms } = await program('exit-while-blocked.mjs');
    const [, exiting] = /exiting after (\d+)/.exec(stdout) as unknown as [string, string];
    expect(ms - Number(exiting)).toBeLessThan(1000);
  });

  it('a thread that is the only user of the native core, and blocks in it, is terminated without a crash', async () => {
    const { stdout } = await program('native-in-threads-only.mjs');
    expect(stdout.trim()).toBe('terminated with 1');
  });
});
