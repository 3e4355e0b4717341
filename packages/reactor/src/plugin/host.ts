/** What a plugin has of its reactor. */
import type { Address } from '../address.js';
import { checkAddress } from '../address.js';
import { checkDelay } from '../arguments.js';
import type { Connection } from '../connection/connection.js';
import { goOnOpening } from '../connection/opening.js';
import { deliver } from '../connection/reading.js';
import type { AnyConnection } from '../connection/state.js';
import { goOnFinishing, sendBelow } from '../connection/writing.js';
import { describe, misuse, PluginError } from '../errors.js';
import type { Timer } from '../timers.js';
import type { Installed } from './compile.js';
import type { Logger, PluginHost } from './hooks.js';
import type { PluginReactor } from './plugins.js';

export class HostOfPlugin implements PluginHost {
  readonly log: Logger;
  readonly #plugin: Installed;
  readonly #reactor: PluginReactor;
  readonly #timers = new Set<Timer>();
  #ended = false;

  constructor(plugin: Installed, reactor: PluginReactor) {
    this.#plugin = plugin;
    this.#reactor = reactor;
    this.log = reactor.log;
  }

  now(): number {
    return this.#reactor.dispatcher.now();
  }

  defer(callback: () => void): void {
    const run = this.#guarded('defer', callback);
    if (!this.#over) this.#reactor.dispatcher.post(run);
  }

  every(ms: number, callback: () => void): Disposable {
    checkDelay(ms, 'ms');
    const run = this.#guarded('every', callback);
    if (this.#over) return { [Symbol.dispose]: () => {} };
    const timer = this.#reactor.dispatcher.timers.add(ms, run, { repeatMs: ms, ref: false });
    this.#timers.add(timer);
    return {
      [Symbol.dispose]: () => {
        this.#timers.delete(timer);
        timer.cancel();
      },
    };
  }

  deliver(connection: Connection<unknown>, chunk: Uint8Array): boolean {
    const at = this.#placeIn(connection, 'deliver');
    return deliver(connection as AnyConnection, bytesOf(chunk, 'deliver'), at + 1);
  }

  send(connection: Connection<unknown>, chunk: Uint8Array): boolean {
    const at = this.#placeIn(connection, 'send');
    return sendBelow(connection as AnyConnection, bytesOf(chunk, 'send'), at);
  }

  open(connection: Connection<unknown>, options: { remoteAddress?: Address } = {}): boolean {
    const at = this.#placeIn(connection, 'open');
    if (options.remoteAddress !== undefined) checkAddress(options.remoteAddress);
    return goOnOpening(connection as AnyConnection, at, options.remoteAddress);
  }

  finish(connection: Connection<unknown>): boolean {
    const at = this.#placeIn(connection, 'finish');
    return goOnFinishing(connection as AnyConnection, at);
  }

  /** The timers stop, and no other is started. */
  end(): void {
    this.#ended = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  get #over(): boolean {
    return this.#ended || this.#reactor.dispatcher.closed;
  }

  #placeIn(connection: Connection<unknown>, verb: string): number {
    const at = (connection as AnyConnection | undefined)?.kind?.hooks?.plugins.indexOf(this.#plugin) ?? -1;
    if (at >= 0) return at;
    throw misuse(
      'ERR_PLUGIN_ARGUMENT',
      `${verb}: plugin '${this.#plugin.plugin.name}' does not stand on what it was given, ${describe(connection)}`,
    );
  }

  #guarded(verb: string, callback: () => void): () => void {
    const { name } = this.#plugin.plugin;
    if (typeof callback !== 'function')
      throw misuse('ERR_PLUGIN_ARGUMENT', `${verb} of plugin '${name}' takes a function, got ${describe(callback)}`);
    const failed = (cause: unknown): void => this.#plugin.failed(PluginError.thrown(name, verb, cause));
    return () => {
      if (this.#ended) return;
      try {
        // No hook: here a promise may be, and its rejection counts as a throw.
        const result = callback() as unknown;
        if (typeof (result as PromiseLike<unknown> | null | undefined)?.then === 'function')
          (result as PromiseLike<unknown>).then(undefined, failed);
      } catch (error) {
        failed(error);
      }
    };
  }
}

function bytesOf(chunk: Uint8Array, verb: string): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw misuse('ERR_REACTOR_BUFFER', `${verb} takes a Uint8Array, got ${describe(chunk)}`);
}
