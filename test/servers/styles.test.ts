/** One handler, every style: what holds for all of them. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from '@fdset/servers';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import Conduct from './fixtures/conduct.mjs';
import Echo from './fixtures/echo.mjs';
import {
  Client,
  CONCURRENT_FORMS,
  children,
  descriptors,
  descriptorsSince,
  eventually,
  FORMS,
  next,
  python,
  start,
  threads,
} from './support.js';

let before: { descriptors: string[]; threads: number };

/** No descriptor, no thread and no child is left by a server that has stopped. */
async function expectNothingLeft(): Promise<void> {
  await eventually(() => expect(descriptorsSince(before.descriptors)).toEqual([]));
  await eventually(() => expect(threads()).toBeLessThanOrEqual(before.threads));
  expect(children()).toEqual([]);
}

describe.each(FORMS)('$name', (form) => {
  // The first use of a backend loads what stays loaded.
  beforeAll(async () => {
    const { server } = await start(form, Echo);
    await server[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    before = { descriptors: descriptors(), threads: threads() };
  });

  it('echoes for three clients of Python one after the other, and leaves nothing behind', async () => {
    const { server, port, errors } = await start(form, Echo);
    expect(await python(port, 'sequence', 3)).toBe('ok');
    await server[Symbol.asyncDispose]();
    expect(errors).toEqual([]);
    expect(server.stats()).toMatchObject({ accepted: 3, active: 0, failed: 0, threads: 0, children: 0 });
    await expectNothingLeft();
  });

  it('echoes for five clients that are connected at once', async () => {
    const { server, port, errors } = await start(form, Echo);
    expect(await python(port, form.style === 'iterative' ? 'concurrent' : 'together', 5)).toBe('ok');
    await server[Symbol.asyncDispose]();
    expect(errors).toEqual([]);
    expect(server.stats().peak).toBe(form.style === 'iterative' ? 1 : 5);
    await expectNothingLeft();
  });

  it('echoes 4 MiB, more than all buffers on the way hold', async () => {
    const { port, errors } = await start(form, Echo);
    expect(await python(port, 'large', 4 * 1024 * 1024)).toBe('ok');
    expect(errors).toEqual([]);
  });

  it('tells the handler plain data of its server, and the address of its client', async () => {
    const { server, port } = await start(form, Conduct);
    const client = await Client.connect(port);
    client.send('view\n');
    const view = JSON.parse(await client.line());
    expect(view.server).toEqual({ style: form.style, io: form.io ?? 'reactor', address: { host: '127.0.0.1', port } });
    expect(view.clientAddress).toEqual({ host: '127.0.0.1', port: client.socket.localPort });
    expect(view.steps).toEqual(['setup']);
    expect(server.address).toEqual({ host: '127.0.0.1', port });
    expect(view.pid === process.pid).toBe(form.style !== 'process-per-connection');
    expect(view.threadId !== 0).toBe(form.style === 'thread-per-connection');
    client.send('bye\n');
    expect(await client.closed).toBe('finished\n');
    expect(client.reset).toBe(false);
  });

  it('answers a client that has ended its side before the answer began', async () => {
    const { port } = await start(form, Conduct);
    const client = await Client.connect(port, { allowHalfOpen: true } as object);
    client.send('all\nabcdef').end();
    expect(await client.closed).toBe('reading\nread 6\nfinished\n');
  });

  it('a client that still sends after the last answer is not reset, but read until it ends', async () => {
    const { port } = await start(form, Conduct);
    const client = await Client.connect(port, { allowHalfOpen: true } as object);
    client.send(`bye\n${'x'.repeat(500_000)}`);
    client.socket.once('end', () => {
      client.send('more');
      setTimeout(() => client.send('and more').end(), 50);
    });
    expect(await client.closed).toBe('finished\n');
    expect(client.reset).toBe(false);
  });

  it('an exception of handle is one error event with its cause; what was written arrives, and the server goes on', async () => {
    const { server, port, errors } = await start(form, Conduct);
    const client = await Client.connect(port);
    const error = next<Error>(server, 'error');
    client.send('write 3\nthrow boom\n');
    expect(await client.closed).toBe('xxxfinished\n');
    expect(client.reset).toBe(false);
    expect(await error).toMatchObject({
      name: 'ServerError',
      code: 'ERR_SERVER_HANDLER',
      clientAddress: { host: '127.0.0.1' },
      message: expect.stringMatching(/^the handler failed for 127\.0\.0\.1:\d+: boom$/),
      cause: {
        message: 'boom',
        code: 'E_TEST',
        stack: expect.stringContaining('conduct.mjs'),
        cause: { message: 'the reason' },
      },
    });
    expect(await python(port, 'sequence', 1).catch((reason: Error) => reason)).toBeInstanceOf(Error);
    const second = await Client.connect(port);
    second.send('view\nbye\n');
    expect(JSON.parse(await second.line()).steps).toEqual(['setup']);
    await second.closed;
    await server[Symbol.asyncDispose]();
    expect(errors.filter((each) => each.message.endsWith('boom'))).toHaveLength(1);
  });

  it('a thrown value that is no Error is told, too', async () => {
    const { server, port } = await start(form, Conduct);
    const error = next<Error>(server, 'error');
    (await Client.connect(port)).send('throwValue just text\n');
    expect((await error).message).toContain('just text');
  });

  it('a peer that resets while the handler reads is an error of that connection only', async () => {
    const { server, port } = await start(form, Conduct);
    const client = await Client.connect(port);
    client.send('view\n');
    await client.line();
    const error = next<Error>(server, 'error');
    client.socket.resetAndDestroy();
    expect(await error).toMatchObject({ code: 'ERR_SERVER_HANDLER', cause: { code: 'ECONNRESET' } });
    const second = await Client.connect(port);
    expect(JSON.parse(await second.send('view\n').line()).steps).toEqual(['setup']);
    second.send('bye\n');
  });

  // A blocking write is in the kernel when it returns: there is nothing left to flush.
  it.skipIf(form.io === 'blocking')('a peer that resets while finish flushes is no error', async () => {
    const { server, port, errors } = await start(form, Conduct);
    const client = await Client.connect(port);
    client.send('view\n');
    await client.line();
    const filling = new Promise<void>((resolve) => {
      client.socket.once('data', () => {
        client.socket.pause();
        resolve();
      });
    });
    client.send('fill 8000000\nbye\n');
    // What it writes leaves when it has done all that it was told: it is in finish, and waits for more than the buffers hold.
    await filling;
    expect(server.stats().active).toBe(1);
    client.socket.resetAndDestroy();
    await eventually(() => expect(server.stats().active).toBe(0));
    expect(errors).toEqual([]);
  });

  it('verifyRequest refuses a connection: it is closed, told as drop, and no handler sees it', async () => {
    let asked = 0;
    const { server, port } = await start(form, Conduct, { verifyRequest: () => ++asked > 1 });
    const drop = next(server, 'drop');
    const refused = await Client.connect(port);
    expect(await refused.closed).toBe('');
    expect(await drop).toEqual({ host: '127.0.0.1', port: expect.any(Number) });
    const served = await Client.connect(port);
    served.send('bye\n');
    expect(await served.closed).toBe('finished\n');
    expect(server.stats()).toMatchObject({ accepted: 2, dropped: 1, failed: 0 });
    expect(asked).toBe(2);
  });

  it('a port in use rejects listening and serveForever with EADDRINUSE', async () => {
    const { port } = await start(form, Echo);
    const { name: _, ...rest } = form;
    const second = createServer({ ...rest, handler: Echo, address: { host: '127.0.0.1', port } });
    await expect(second.serveForever()).rejects.toMatchObject({ code: 'EADDRINUSE', syscall: /bind|listen/ });
    await expect(second.listening).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(second.health()).toBe('stopped');
  });

  it('failing to bind a hundred times leaks no descriptor', async () => {
    const { port } = await start(form, Echo);
    const { name: _, ...rest } = form;
    const before = descriptors();
    for (let i = 0; i < 100; i += 1) {
      const server = createServer({ ...rest, handler: Echo, address: { host: '127.0.0.1', port } });
      await expect(server.activate()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    }
    await eventually(() => expect(descriptorsSince(before)).toEqual([]));
  });

  it('a handler that is given as the URL of its module is loaded from there', async () => {
    const { port } = await start(form, new URL('./fixtures/echo.mjs', import.meta.url));
    expect(await python(port, 'sequence', 1)).toBe('ok');
  });

  it.each([
    ['does not exist', 'missing.mjs', /cannot be loaded/],
    ['exports no handler', 'not-a-handler.mjs', /default export .* must be a class .* got an object/],
    ['throws', 'throws-on-load.mjs', /cannot be loaded: this module throws/],
  ])('a handler module that %s rejects listening at once', async (_what, file, message) => {
    const { name: _, ...rest } = form;
    const handler = new URL(`./fixtures/${file}`, import.meta.url);
    const server = createServer({ ...rest, handler, address: { host: '127.0.0.1', port: 0 } });
    const serving = server.serveForever();
    await expect(server.listening).rejects.toMatchObject({ code: 'ERR_SERVER_HANDLER_MODULE', message });
    await expect(serving).rejects.toMatchObject({ code: 'ERR_SERVER_HANDLER_MODULE' });
    await expectNothingLeft();
  });

  it('listens on a unix socket', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'fdset-')), 'server.sock');
    const { server } = await start(form, Conduct, { address: { path } });
    expect(server.address).toEqual({ path });
    const client = await Client.connect(0, { path } as object);
    client.send('view\n');
    expect(JSON.parse(await client.line()).clientAddress).toEqual({ path: expect.any(String) });
    client.send('bye\n');
    await client.closed;
  });
});

it('iterative serves the second client only when the handler of the first is done', async () => {
  const { server, port } = await start({ name: 'iterative', style: 'iterative' }, Conduct);
  const first = await Client.connect(port);
  first.send('view\n');
  await first.line();
  const second = await Client.connect(port);
  second.send('view\n');
  let answered = false;
  const answer = second.line().then((line) => {
    answered = true;
    return line;
  });
  first.send('sleep 100\nview\n');
  await first.line();
  expect(answered).toBe(false);
  expect(server.stats()).toMatchObject({ accepted: 1, active: 1 });
  first.send('bye\n');
  expect(JSON.parse(await answer).steps).toEqual(['setup']);
});

it.each(CONCURRENT_FORMS)('$name serves a second client while the handler of the first waits', async (form) => {
  const { port } = await start(form, Conduct);
  const first = await Client.connect(port);
  first.send('view\n');
  await first.line();
  const second = await Client.connect(port);
  expect(JSON.parse(await second.send('view\n').line()).steps).toEqual(['setup']);
});
