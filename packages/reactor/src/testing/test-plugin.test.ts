/** testPlugin and pluginContract, by plugins that keep the contract and others that break it. */
import { describe, expect, it } from 'vitest';
import type { Connection } from '../connection/connection.js';
import type { Hooks, PluginHost } from '../plugin/hooks.js';
import { definePlugin } from '../plugin/plugin.js';
import { pluginContract } from './plugin-contract.js';
import { testPlugin } from './test-plugin.js';

const auth = () => definePlugin({ name: 'auth', state: () => ({ user: 'nobody' }), setup: () => {} });

const greeting = () =>
  definePlugin({
    name: 'greeting',
    requires: [auth],
    state: () => ({ seen: 0 }),
    setup: (host) => ({
      open: (connection) => void host.send(connection, Buffer.from(`hello ${connection.context.auth.user}\n`)),
      data(connection, chunk) {
        connection.context.greeting.seen += chunk.length;
        return Buffer.from(String(chunk).toUpperCase());
      },
      message: (_connection, message) => (message === 'secret' ? null : undefined),
    }),
  });

const broken = (hooks: (host: PluginHost) => Hooks<{}>) => () => definePlugin({ name: 'broken', setup: hooks });

describe('testPlugin', () => {
  it('drives a plugin, with stand-ins for what it requires', async () => {
    await using test = await testPlugin(greeting(), { context: { auth: { user: 'me' } } });
    const connection = await test.accept();
    await connection?.chunk('abc');
    expect(String(connection?.delivered)).toBe('ABC');
    expect(String(connection?.written)).toBe('hello me\n');
    expect(connection?.connection.context.greeting).toEqual({ seen: 3 });
    expect([connection?.message('open'), connection?.message('secret')]).toEqual(['open', null]);
    await connection?.end();
    expect(connection?.told).toEqual(['open', 'data', 'end', 'close']);
    expect(connection?.closed).toEqual({ by: 'peer' });
    expect(test.faults).toEqual([]);
  });

  it('gives null for a connection that is refused, and lets virtual time pass', async () => {
    await using refusing = await testPlugin(definePlugin({ name: 'no', setup: () => ({ accept: () => false }) }));
    expect(await refusing.accept()).toBeNull();
    const ticks: number[] = [];
    const ticking = definePlugin({
      name: 'tick',
      setup: (host) => void host.every(1000, () => ticks.push(host.now())),
    });
    await using test = await testPlugin(ticking);
    await test.advance(3500);
    expect(ticks.length).toBe(3);
  });
});

describe('pluginContract', () => {
  it('is kept by a plugin that holds, sends and counts, given by a function or itself', async () => {
    await pluginContract(greeting, { context: { auth: { user: 'me' } } });
    await pluginContract(auth());
  });

  const kept: unknown[] = [];
  it.each([
    ['throws', () => ({ write: () => raise() }), /hook 'write' of plugin 'broken' threw on purpose/],
    ['returns a promise', () => ({ close: (async () => {}) as never }), /hook 'close' .* returned a promise/],
    [
      'throws where the connection is closed',
      () => ({
        open(connection: Connection) {
          connection.on('close', () => {});
        },
        close: (connection: Connection) => void connection.detach(),
      }),
      /hook 'close' .* threw detach/,
    ],
    [
      'holds connections',
      () => ({ open: (connection: Connection) => void kept.push(connection) }),
      /holds a connection/,
    ],
    [
      'keeps borrowed chunks',
      (host: PluginHost) => ({
        data(connection: Connection, chunk: Buffer) {
          host.defer(() => host.deliver(connection, chunk));
          return null;
        },
      }),
      /keeps a borrowed chunk/,
    ],
    [
      'leaves a timer',
      () => {
        timer ??= setInterval(() => {}, 1000);
        return {};
      },
      /timer of Node runs on/,
    ],
  ] as const)('finds a plugin that %s', async (_what, hooks, message) => {
    await expect(pluginContract(broken(hooks as never))).rejects.toThrow(message);
    clearInterval(timer);
    kept.length = 0;
  });
});

let timer: NodeJS.Timeout | undefined;

function raise(): never {
  throw new Error('on purpose');
}
