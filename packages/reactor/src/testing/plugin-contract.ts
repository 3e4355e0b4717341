/** What every plugin must stand: checked by doing it. */
import { AssertionError } from 'node:assert';
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Connection } from '../connection/connection.js';
import type { Hooks } from '../plugin/hooks.js';
import { type AnyPlugin, definePlugin, type Plugin } from '../plugin/plugin.js';
import { PluginTest, type PluginTestOptions } from './test-plugin.js';

export interface PluginContractOptions extends Omit<PluginTestOptions, 'debug'> {
  /** What the peer sends: bytes that the plugin understands ('hello\n'). */
  input?: Uint8Array | string;
}

type Acting = 'open' | 'data' | 'write' | 'end' | 'finish' | 'drain' | 'close';

const HOOKS: readonly Acting[] = ['open', 'data', 'write', 'end', 'finish', 'drain', 'close'];

const ENDS: Readonly<Record<string, (connection: Connection) => void>> = {
  destroy: (connection) => connection.destroy(),
  reset: (connection) => connection.reset(),
  'close()': (connection) => void connection.close({ lingerMs: 10 }),
};

/** A connection that a plugin held is given up after 10 s. */
const LONG_MS = 30_000;

/**
 * Checks that a plugin, or what a function gives anew for each reactor, keeps the contract of plugins; rejects with an AssertionError that
 * lists what it breaks:
 *
 * - no hook throws, or returns a promise, whatever the connection does
 * - a connection that is destroyed, reset or closed in any hook, before or behind the plugin, ends, and is told once
 * - a connection that has ended is let go of: nothing of the plugin holds it
 * - borrowed chunks are not kept: with them the handler is given the same bytes
 * - nothing of it keeps running once the reactor is closed
 */
export async function pluginContract<Name extends string, State, Needs>(
  plugin: Plugin<Name, State, Needs> | (() => Plugin<Name, State, Needs>),
  options: PluginContractOptions = {},
): Promise<void> {
  const { input = 'hello\n', ...rest } = options;
  const make = typeof plugin === 'function' ? plugin : () => plugin;
  const broken = new Set<string>();
  const run = async (around: readonly [AnyPlugin[], AnyPlugin[]], more: PluginTestOptions = {}) => {
    const test = await PluginTest.make({ ...rest, ...more }, [...around[0], make(), ...around[1]]);
    try {
      return await converse(test, input);
    } finally {
      await test.close();
      for (const { message } of test.faults) broken.add(message);
    }
  };
  const left = await timersLeft(async () => {
    const plain = await run([[], []]);
    const borrowed = await run([[], []], { connection: { ...rest.connection, borrowChunks: true }, debug: true });
    if (!plain.delivered.equals(borrowed.delivered)) broken.add('it keeps a borrowed chunk beyond the hook');
    for (const hook of HOOKS)
      for (const [end, act] of Object.entries(ENDS))
        for (const side of ['before', 'behind'] as const) {
          const acting = definePlugin({
            name: '(acting)',
            ...(side === 'before' ? { order: 'pre' as const } : { order: 'post' as const }),
            setup: () => ({ [hook]: (connection: Connection) => act(connection) }) as Hooks<{}>,
          });
          const { closes } = await run(side === 'before' ? [[acting], []] : [[], [acting]]);
          if (closes !== 1) broken.add(`after ${end} in ${hook} ${side} it, 'close' is told ${closes} times`);
        }
    if (await holds(await PluginTest.make(rest, [make()]), input)) broken.add('it holds a connection that has ended');
  });
  if (left > 0) broken.add('a timer of Node runs on after the reactor was closed: use host.every');
  if (broken.size === 0) return;
  throw new AssertionError({
    message: `the plugin breaks its contract: ${[...broken].join('; ')}`,
    actual: [...broken],
    expected: [],
    operator: 'pluginContract',
  });
}

/** All that a connection may go through. */
async function converse<Context>(test: PluginTest<Context>, input: Uint8Array | string) {
  let closes = 0;
  const tested = await test.accept();
  if (tested === null) return { delivered: Buffer.alloc(0), closes: 1 };
  const { connection } = tested;
  if (connection.closed) closes = 1;
  else connection.once('close', () => (closes += 1));
  const bytes = Buffer.from(input as string);
  await tested.chunk(bytes);
  for (const byte of bytes) await tested.chunk(Buffer.of(byte));
  if (!connection.closed) await tested.write('answer');
  if (!connection.closed) connection.end('last');
  await tested.end();
  await test.advance(LONG_MS);
  return { delivered: tested.delivered, closes };
}

/** Whether a connection that has ended is still in somebody's hands. */
async function holds<Context>(test: PluginTest<Context>, input: Uint8Array | string): Promise<boolean> {
  try {
    const ref = await endedConnection(test, input);
    for (let round = 0; round < 5 && ref?.deref() !== undefined; round += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      await test.advance(1000);
      collect();
    }
    return ref?.deref() !== undefined;
  } finally {
    await test.close();
  }
}

async function endedConnection<Context>(test: PluginTest<Context>, input: Uint8Array | string) {
  const tested = await test.accept();
  if (tested === null) return undefined;
  await tested.chunk(input);
  await tested.write('answer');
  tested.connection.destroy();
  // The peer's listeners would hold it.
  await tested.reset();
  await test.advance(LONG_MS);
  return new WeakRef(tested.connection);
}

function collect(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** How many timers of Node are made by `work`, and what follows from it, and run on. Those of others come and go meanwhile. */
async function timersLeft(work: () => Promise<void>): Promise<number> {
  const within = new AsyncLocalStorage<true>();
  const running = new Set<number>();
  const hook = createHook({
    init(id, type) {
      if (type === 'Timeout' && within.getStore() === true) running.add(id);
    },
    destroy: (id) => void running.delete(id),
  }).enable();
  try {
    await within.run(true, work);
    // The end of a timer is told a little later.
    await new Promise((resolve) => setImmediate(resolve));
    return running.size;
  } finally {
    hook.disable();
  }
}
