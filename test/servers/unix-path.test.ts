/** Servers on unix paths: who makes the path removes it. */
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createServer } from '@fdset/servers';
import { afterAll, expect, it } from 'vitest';
import Conduct from './fixtures/conduct.mjs';
import { Client, FORMS } from './support.js';

const folder = mkdtempSync(path.join(tmpdir(), 'fdset-'));
afterAll(() => rmSync(folder, { recursive: true }));

it.each(FORMS)('$name: listens on a path, serves, and removes it at shutdown only', async ({ name: _, ...form }) => {
  const at = path.join(folder, 'socket');
  // The emulated backend has no permissions to give.
  const mode = form.backend === 'emulated' ? {} : { mode: 0o600 };
  const server = createServer({ ...form, ...mode, handler: Conduct, address: { path: at } });
  const done = server.serveForever();
  expect(await server.listening).toEqual({ path: at });
  if ('mode' in mode) expect(statSync(at).mode & 0o777).toBe(mode.mode);
  for (let i = 0; i < 2; i += 1) {
    const client = await Client.connect(0, { path: at } as Partial<net.NetConnectOpts>);
    expect(JSON.parse(await client.send('view\n').line()).server.style).toBe(form.style);
    client.send('bye\n').end();
    await client.closed;
    // The thread or process that served it has only its connection.
    expect(existsSync(at)).toBe(true);
  }
  await server.shutdown();
  await done;
  expect(existsSync(at)).toBe(false);
});
