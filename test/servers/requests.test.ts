/** handleRequest, the life of a handler, and the time that it may wait for its client. */
import { createServer, StreamRequestHandler } from '@fdset/servers';
import { describe, expect, it } from 'vitest';
import Conduct from './fixtures/conduct.mjs';
import Echo from './fixtures/echo.mjs';
import { Client, eventually, FORMS, next, start } from './support.js';

const ADDRESS = { host: '127.0.0.1', port: 0 };
const SINGLE_FORMS = FORMS.filter(({ style }) => style === 'iterative' || style === 'reactor');

describe.each(SINGLE_FORMS)('$name: handleRequest', ({ name: _, ...form }) => {
  it('serves one connection to the end of its handler; the next one waits in the queue', async () => {
    await using server = createServer({ ...form, handler: Conduct, address: ADDRESS });
    const { port } = (await server.activate()) as { port: number };
    const first = await Client.connect(port);
    const second = await Client.connect(port);
    first.send('view\nbye\n');
    expect(await server.handleRequest()).toBe('handled');
    expect(await first.closed).toContain('finished');
    expect(server.stats()).toMatchObject({ accepted: 1, active: 0 });
    second.send('bye\n');
    expect(await server.handleRequest()).toBe('handled');
    expect(await second.closed).toBe('finished\n');
  });

  it('resolves with timeout after timeoutMs, not before, and may be called again', async () => {
    await using server = createServer({ ...form, handler: Conduct, address: ADDRESS, timeoutMs: 60 });
    const begun = performance.now();
    expect(await server.handleRequest()).toBe('timeout');
    expect(performance.now() - begun).toBeGreaterThanOrEqual(59);
    const { port } = server.address as { port: number };
    const client = await Client.connect(port);
    client.send('bye\n');
    expect(await server.handleRequest()).toBe('handled');
  });

  it('resolves with rejected when verifyRequest refuses, and no handler is made', async () => {
    let made = 0;
    class Counting extends StreamRequestHandler {
      override setup() {
        made += 1;
      }
      handle() {}
    }
    await using server = createServer({ ...form, handler: Counting, address: ADDRESS, verifyRequest: () => false });
    const { port } = (await server.activate()) as { port: number };
    const client = await Client.connect(port);
    expect(await server.handleRequest()).toBe('rejected');
    expect(await client.closed).toBe('');
    expect(made).toBe(0);
  });

  it('rejects with ERR_SERVER_CLOSED when the server is shut down meanwhile, and afterwards', async () => {
    const server = createServer({ ...form, handler: Conduct, address: ADDRESS });
    const request = server.handleRequest();
    await server.listening;
    await server.shutdown();
    await expect(request).rejects.toMatchObject({ code: 'ERR_SERVER_CLOSED' });
    await expect(server.handleRequest()).rejects.toMatchObject({ code: 'ERR_SERVER_CLOSED' });
  });

  it('and serveForever exclude each other: ERR_SERVER_RUNNING', async () => {
    await using server = createServer({ ...form, handler: Conduct, address: ADDRESS });
    const serving = server.serveForever();
    await expect(server.handleRequest()).rejects.toMatchObject({
      code: 'ERR_SERVER_RUNNING',
      message: 'handleRequest was called while serveForever is under way',
    });
    await expect(server.serveForever()).rejects.toMatchObject({ code: 'ERR_SERVER_RUNNING' });
    await server.shutdown();
    await serving;
  });
});

it('handleRequest is refused by the styles with threads and processes', async () => {
  for (const style of ['thread-per-connection', 'process-per-connection'] as const) {
    const server = createServer({ style, handler: Echo, address: ADDRESS });
    await expect(server.handleRequest()).rejects.toMatchObject({ code: 'ERR_SERVER_STYLE', name: 'TypeError' });
  }
});

describe('a handler', () => {
  const form = SINGLE_FORMS.at(-1) as (typeof SINGLE_FORMS)[number];

  it('runs setup, handle and finish in order, each awaited', async () => {
    const order: string[] = [];
    const step = async (name: string) => {
      order.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      order.push(`${name} ends`);
    };
    const { port } = await start(
      form,
      class extends StreamRequestHandler {
        override setup = () => step('setup');
        handle() {
          return step('handle');
        }
        override async finish() {
          await step('finish');
        }
      },
    );
    await (await Client.connect(port)).closed;
    expect(order).toEqual(['setup', 'handle', 'finish'].flatMap((name) => [`${name} begins`, `${name} ends`]));
  });

  it('whose setup throws is not finished, and one whose constructor throws is not set up; each is one error', async () => {
    const order: string[] = [];
    let count = 0;
    const { server, port, errors } = await start(
      form,
      class extends StreamRequestHandler {
        constructor(...context: ConstructorParameters<typeof StreamRequestHandler>) {
          super(...context);
          if (++count === 1) throw new Error('in the constructor');
        }
        override setup() {
          order.push('setup');
          throw new Error('in setup');
        }
        handle() {
          order.push('handle');
        }
        override async finish() {
          order.push('finish');
        }
      },
    );
    await (await Client.connect(port)).closed;
    await (await Client.connect(port)).closed;
    await eventually(() => expect(server.stats().failed).toBe(2));
    expect(errors.map(({ cause }) => (cause as Error).message)).toEqual(['in the constructor', 'in setup']);
    expect(order).toEqual(['setup']);
  });

  it('whose handle and finish both throw is one error, that of handle', async () => {
    const { server, port, errors } = await start(
      form,
      class extends StreamRequestHandler {
        handle() {
          throw new Error('first');
        }
        override async finish() {
          throw new Error('second');
        }
      },
    );
    await (await Client.connect(port)).closed;
    await eventually(() => expect(server.stats().active).toBe(0));
    expect(errors.map(({ cause }) => (cause as Error).message)).toEqual(['first']);
  });

  it('whose own listener of data throws loses its connection: one error, and the server goes on', async () => {
    const { server, port, errors } = await start(
      form,
      class extends StreamRequestHandler {
        async handle() {
          this.connection.on('data', () => {
            throw new Error('in a listener');
          });
          // The same error ends this read.
          await this.rfile.readSome();
        }
      },
    );
    for (const _ of [1, 2]) {
      const client = await Client.connect(port);
      client.send('x');
      await client.closed;
    }
    await eventually(() => expect(server.stats()).toMatchObject({ active: 0, failed: 2 }));
    expect(errors.map(({ cause }) => (cause as Error).message)).toEqual(['in a listener', 'in a listener']);
  });

  it('is given to the wire as its writes come, without waiting for finish', async () => {
    const { port } = await start(form, Conduct);
    const client = await Client.connect(port);
    expect(JSON.parse(await client.send('view\n').line()).steps).toEqual(['setup']);
  });
});

/**
 * A test that runs in every form, in all at once: the seconds that leave room for a machine which stops this process, or
 * the other one, for a while are waited for once.
 */
function inEveryForm(test: (form: (typeof FORMS)[number]) => Promise<void>): () => Promise<void> {
  return async () => {
    const failures: string[] = [];
    await Promise.all(
      FORMS.map((form) => test(form).catch((error) => failures.push(`${form.name}: ${error.message}`))),
    );
    expect(failures).toEqual([]);
  };
}

describe('timeoutMs', () => {
  const IMPATIENT = new URL('./fixtures/impatient.mjs', import.meta.url);

  it(
    'ends a read that the client lets wait, with ERR_SERVER_TIMEOUT',
    inEveryForm(async (form) => {
      const { server, port } = await start(form, IMPATIENT);
      const error = next<Error>(server, 'error');
      const client = await Client.connect(port);
      // Before the handler begins to wait: another process may tell of its end together with its answer.
      const begun = performance.now();
      client.send('view\n');
      await client.line();
      expect(await error).toMatchObject({ code: 'ERR_SERVER_HANDLER', cause: { code: 'ERR_SERVER_TIMEOUT' } });
      expect(performance.now() - begun).toBeGreaterThan(1900);
      await client.closed;
    }),
  );

  it(
    'does not end a handler that thinks, nor a client that sends now and then',
    inEveryForm(async (form) => {
      const { port, errors } = await start(form, IMPATIENT);
      const client = await Client.connect(port);
      client.send('sleep 2300\nview\n');
      await client.line();
      for (const part of ['vi', 'ew', '\n']) {
        await new Promise((resolve) => setTimeout(resolve, 750));
        client.send(part);
      }
      await client.line();
      client.send('bye\n');
      expect(await client.closed).toBe('finished\n');
      expect(errors).toEqual([]);
    }),
  );

  it(
    'ends a write that the client does not take',
    inEveryForm(async (form) => {
      const { server, port } = await start(form, IMPATIENT);
      const error = next<Error>(server, 'error');
      const client = await Client.connect(port);
      client.send('view\n');
      await client.line();
      client.socket.pause();
      client.send('write 12000000\n');
      expect(await error).toMatchObject({ cause: { code: 'ERR_SERVER_TIMEOUT', message: /took nothing for 2000 ms/ } });
    }),
  );
});

/** Keeps the loop, and all that it serves, waiting. */
function block(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

describe.each(SINGLE_FORMS)('$name: what has come while this thread was late counts', ({ name, ...form }) => {
  it('for a read', async () => {
    class Hasty extends Conduct {
      static override timeoutMs = 300;
    }
    const { port, errors } = await start({ name, ...form }, Hasty);
    const client = await Client.connect(port);
    await client.send('view\n').line();
    client.send('view\nbye\n');
    block(400);
    await client.line();
    expect(await client.closed).toBe('finished\n');
    expect(errors).toEqual([]);
  });

  it('for handleRequest', async () => {
    await using server = createServer({ ...form, handler: Conduct, address: ADDRESS, timeoutMs: 60 });
    const { port } = (await server.activate()) as { port: number };
    const client = await Client.connect(port);
    client.send('bye\n');
    const request = server.handleRequest();
    // Until it waits, but for no turn of the loop.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    block(100);
    expect(await request).toBe('handled');
  });
});
