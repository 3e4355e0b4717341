/** A plugin on a network in memory: connections are made, bytes come and go, time passes, as the test says. */
import type { InetAddress } from '../address.js';
import type { Connection } from '../connection/connection.js';
import type { CloseInfo, ConnectionOptions } from '../connection/handler.js';
import { PluginError } from '../errors.js';
import type { Listener } from '../listener.js';
import type { Logger } from '../plugin/hooks.js';
import { type AnyPlugin, definePlugin, type Plugin } from '../plugin/plugin.js';
import { Reactor } from '../reactor.js';
import { SimulatedNetwork } from './network.js';

export interface PluginTestOptions {
  /** What the plugins that this one requires keep of each connection, by their names. */
  context?: Record<string, unknown>;
  /** The options of the connections. */
  connection?: ConnectionOptions;
  /** Whether the reactor is in its debug mode: borrowed chunks are spoilt (false). */
  debug?: boolean;
}

/** One connection, and the peer at its other end. Each verb resolves when all that it brings about has happened. */
export class PluginTestConnection<Context = {}> {
  readonly #test: PluginTest<Context>;
  readonly #peer: Connection;
  readonly #received: Buffer[] = [];
  /** The side that the plugin stands on. Also before the plugin has opened it. */
  readonly connection: Connection<Context>;
  /** What the handler was told, in order: 'open', 'data', 'end', 'error', 'close' and so on. */
  readonly told: string[] = [];
  /** How it has ended. */
  closed: CloseInfo | undefined = undefined;
  readonly #delivered: Buffer[] = [];

  private constructor(test: PluginTest<Context>, connection: Connection<Context>, peer: Connection) {
    this.#test = test;
    this.#peer = peer;
    this.connection = connection;
    peer.on('data', (chunk) => this.#received.push(chunk));
  }

  /** @internal */
  static make<Context>(test: PluginTest<Context>, connection: Connection<Context>, peer: Connection) {
    return new PluginTestConnection<Context>(test, connection, peer);
  }

  /** What the handler was given so far. */
  get delivered(): Buffer {
    return Buffer.concat(this.#delivered);
  }

  /** What the peer was sent so far. */
  get written(): Buffer {
    return Buffer.concat(this.#received);
  }

  /** The peer sends. */
  async chunk(bytes: Uint8Array | string): Promise<void> {
    this.#peer.write(bytes);
    await this.#test.settle();
  }

  /** The program writes. */
  async write(bytes: Uint8Array | string): Promise<void> {
    this.connection.write(bytes);
    await this.#test.settle();
  }

  /** As framing has decoded it: what the plugin makes of it, `null` where it is swallowed. */
  message(message: unknown): unknown {
    const { interceptMessage } = this.connection;
    const result = interceptMessage?.(message);
    return result === undefined ? message : result;
  }

  /** The peer ends its side. */
  async end(): Promise<void> {
    this.#peer.end();
    await this.#test.settle();
  }

  /** The peer dies. */
  async reset(): Promise<void> {
    this.#peer.reset();
    await this.#test.settle();
  }

  /** @internal */
  note(what: string, detail?: Buffer | CloseInfo): void {
    this.told.push(what);
    if (detail instanceof Uint8Array) this.#delivered.push(Buffer.from(detail));
    else if (detail !== undefined) this.closed = detail;
  }
}

/** A plugin under test. Made by {@link testPlugin}. */
export class PluginTest<Context = {}> {
  readonly network = new SimulatedNetwork();
  readonly reactor: Reactor<Context>;
  /** Failures of hooks that nobody else was told of. */
  readonly faults: PluginError[] = [];
  readonly #peers = new Reactor({ backend: this.network.backend() });
  #listener: Listener<Context> | null = null;
  #latest: Connection<Context> | null = null;
  readonly #tests = new WeakMap<Connection<Context>, PluginTestConnection<Context>>();
  /** What was told before there was somebody to write it down. */
  #early: [string, (Buffer | CloseInfo)?][] = [];

  private constructor(options: PluginTestOptions, around: readonly AnyPlugin[]) {
    const log: Logger = {
      debug: () => {},
      info: () => {},
      warn: () => {},
      error: () => {},
    };
    const reactor = new Reactor({ backend: this.network.backend(), log, debug: options.debug ?? false });
    const observing = definePlugin({
      name: '(test)',
      order: 'pre',
      setup: () => ({
        open: (connection) => {
          this.#latest = connection as unknown as Connection<Context>;
        },
        error: (_connection, error) => {
          if (error instanceof PluginError) this.faults.push(error);
        },
      }),
    });
    const standIns = Object.entries(options.context ?? {}).map(([name, state]) =>
      definePlugin({ name, order: 'pre', state: () => state, setup: () => {} }),
    );
    for (const plugin of [observing, ...standIns, ...around]) reactor.use(plugin as Plugin<string, unknown, {}>);
    this.reactor = reactor as unknown as Reactor<Context>;
  }

  /** @internal */
  static async make<Context>(options: PluginTestOptions, plugins: readonly AnyPlugin[]): Promise<PluginTest<Context>> {
    const test = new PluginTest<Context>(options, plugins);
    const note = (connection: Connection<Context>, what: string, detail?: Buffer | CloseInfo): void => {
      const tested = test.#tests.get(connection);
      if (tested === undefined) test.#early.push(detail === undefined ? [what] : [what, detail]);
      else tested.note(what, detail);
    };
    test.#listener = await test.network.run(() =>
      test.reactor.serve(
        { host: '127.0.0.1', port: 0 },
        {
          open: (connection) => note(connection, 'open'),
          data: (connection, chunk) => note(connection, 'data', chunk),
          drain: (connection) => note(connection, 'drain'),
          end: (connection) => note(connection, 'end'),
          timeout: (connection) => note(connection, 'timeout'),
          error: (connection) => note(connection, 'error'),
          close: (connection, info) => note(connection, 'close', info),
        },
        options.connection ?? {},
      ),
    );
    return test;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#listener?.connections ?? 0;
  }

  /** A peer connects: the connection, or `null` where it is refused. */
  async accept(): Promise<PluginTestConnection<Context> | null> {
    this.#latest = null;
    this.#early = [];
    const address = this.#listener?.socket.localAddress as InetAddress;
    const peer = await this.network.run(() => this.#peers.open(address, { allowHalfOpen: true }));
    await this.settle();
    const connection = this.#latest as Connection<Context> | null;
    this.#latest = null;
    if (connection === null) return null;
    const tested = PluginTestConnection.make<Context>(this, connection, peer);
    for (const [what, detail] of this.#early) tested.note(what, detail);
    this.#tests.set(connection, tested);
    await this.settle();
    return tested;
  }

  /** Lets happen what is under way. */
  settle(): Promise<void> {
    return this.network.runUntilIdle();
  }

  /** Lets time pass. */
  advance(ms: number): Promise<void> {
    return this.network.advance(ms);
  }

  /** Closes the reactor, with all that is open. */
  async close(): Promise<void> {
    this.reactor.close();
    this.#peers.close();
    await new Promise((resolve) => setImmediate(resolve));
    this.network.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Sets a plugin up on a reactor that lives in memory, with a clock of its own. Plugins that it requires are stood in for by
 * what `context` says they keep.
 *
 * ```ts
 * await using test = await testPlugin(audit(), { context: { auth: { user: 'me' } } });
 * const connection = await test.accept();
 * await connection?.chunk('hello');
 * ```
 */
export function testPlugin<Name extends string, State, Needs>(
  plugin: Plugin<Name, State, Needs>,
  options: PluginTestOptions = {},
): Promise<PluginTest<Needs & { readonly [K in Name]: State }>> {
  return PluginTest.make(options, [plugin]);
}
