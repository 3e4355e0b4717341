/** How soon a server ends that has nothing to wait for. */
import { expect, it } from 'vitest';
import Conduct from '../servers/fixtures/conduct.mjs';
import Echo from '../servers/fixtures/echo.mjs';
import { Client, descriptors, eventually, FORMS, next, start, WORKER_FORMS } from '../servers/support.js';

it.each(FORMS)('$name: an idle server stops within 50 ms, and tells it', async (form) => {
  const { server, done, port } = await start(form, Echo);
  const closed = next(server, 'close');
  expect(server.health()).toBe('ready');
  const begun = performance.now();
  const shutdown = server.shutdown();
  expect(server.health()).toBe('draining');
  await shutdown;
  await done;
  expect(performance.now() - begun).toBeLessThan(50);
  await closed;
  expect(server.health()).toBe('stopped');
  await expect(Client.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

const IN_PROCESS_FORMS = FORMS.filter((form) => !WORKER_FORMS.includes(form));

it.each(IN_PROCESS_FORMS)(
  '$name: a client that does not hang up after its answer does not delay the end',
  async (form) => {
    const sockets = descriptors().filter((link) => link.startsWith('socket:')).length;
    const { server, done, port } = await start(form, Conduct);
    const client = await Client.connect(port, { allowHalfOpen: true } as object);
    client.send('bye\n');
    expect(await client.line()).toBe('finished');
    await eventually(() => expect(server.stats().active).toBe(0));
    const begun = performance.now();
    await server.shutdown();
    await done;
    expect(performance.now() - begun).toBeLessThan(100);
    // The client's own socket is the only one left, long before the server's lingering would have ended.
    const left = () => descriptors().filter((link) => link.startsWith('socket:')).length;
    await eventually(() => expect(left()).toBe(sockets + 1), 500);
  },
);
