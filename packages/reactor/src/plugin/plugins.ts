/** The plugins of a reactor: set up once each, put together to tables, told of turns, and ended. */
import type { Dispatcher } from '../dispatch/dispatcher.js';
import { describe, misuse, PluginError, raise } from '../errors.js';
import { compile, type HookTable, hooksOf, type Installed, invoke, stepsOf } from './compile.js';
import { HOOKS, type Hooks, type Logger, type TurnMetrics } from './hooks.js';
import { HostOfPlugin } from './host.js';
import { checkPlugin, ordered } from './order.js';
import type { AnyPlugin } from './plugin.js';

/** What the plugins need of their reactor. */
export interface PluginReactor {
  readonly dispatcher: Pick<Dispatcher, 'now' | 'post' | 'timers' | 'closed'> & {
    onTurn: ((turn: TurnMetrics) => void) | null;
  };
  readonly log: Logger;
  /** The hooks themselves, or in debug mode such as are timed. */
  looked<H extends object>(hooks: H): H;
}

/** One plugin, set up: it ends with the reactor, or with the last that it was given to. */
class InstalledPlugin implements Installed {
  readonly plugin: AnyPlugin;
  readonly hooks: Hooks<never>;
  readonly #owner: Plugins;
  readonly #host: HostOfPlugin;
  #users = 0;
  #shutDown = false;

  constructor(plugin: AnyPlugin, owner: Plugins, reactor: PluginReactor) {
    this.plugin = plugin;
    this.#owner = owner;
    this.#host = new HostOfPlugin(this, reactor);
    try {
      this.hooks = reactor.looked(checkHooks(plugin, plugin.setup(this.#host)));
    } catch (error) {
      this.#host.end();
      throw error;
    }
  }

  failed(error: PluginError): void {
    this.#owner.failed(error);
  }

  retain(): void {
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#owner.dropped(this);
  }

  /** Once. */
  shutDown(signal: AbortSignal): Promise<void> | undefined {
    if (this.#shutDown) return undefined;
    this.#shutDown = true;
    const { name } = this.plugin;
    const failed = (cause: unknown): void => this.failed(PluginError.thrown(name, 'shutdown', cause));
    try {
      const done = this.hooks.shutdown?.(signal);
      return done === undefined ? undefined : Promise.resolve(done).catch(failed);
    } catch (error) {
      failed(error);
      return undefined;
    }
  }

  /** Its timers stop. */
  end(): void {
    this.#host.end();
  }
}

export class Plugins {
  readonly #reactor: PluginReactor;
  /** Those of `use`, in that order. */
  #used: readonly AnyPlugin[] = [];
  readonly #installed = new Map<AnyPlugin, InstalledPlugin>();
  /** The table of those of `use`; `undefined` where it is to be compiled. */
  #table: HookTable | null | undefined = null;

  constructor(reactor: PluginReactor) {
    this.#reactor = reactor;
  }

  /** Sets a plugin up for whatever begins from now on. What its setup throws is thrown, and nothing has changed. */
  use(plugin: AnyPlugin): void {
    checkPlugin(plugin, this.#used);
    this.#install(plugin).retain();
    this.#used = [...this.#used, plugin];
    this.#table = undefined;
  }

  /**
   * The table of a listener or connection: of the plugins that its options list, otherwise of those of `use`; `null` without
   * plugins. It is retained, and to be released.
   */
  table(listed: readonly AnyPlugin[] | undefined): HookTable | null {
    const table = listed === undefined ? this.#default() : this.#compiled(checkList(listed));
    table?.retain();
    return table;
  }

  #default(): HookTable | null {
    if (this.#table === undefined) this.#table = this.#compiled(this.#used);
    return this.#table;
  }

  #compiled(plugins: readonly AnyPlugin[]): HookTable | null {
    if (plugins.length === 0) return null;
    const before = new Set(this.#installed.values());
    try {
      return compile(ordered(plugins.map((plugin) => this.#install(plugin))));
    } catch (error) {
      for (const plugin of this.#installed.values()) if (!before.has(plugin)) this.dropped(plugin);
      throw error;
    }
  }

  #install(plugin: AnyPlugin): InstalledPlugin {
    const known = this.#installed.get(plugin);
    if (known !== undefined) return known;
    const installed = new InstalledPlugin(plugin, this, this.#reactor);
    this.#installed.set(plugin, installed);
    this.#listen();
    return installed;
  }

  /** Nobody has it any more. */
  dropped(plugin: InstalledPlugin): void {
    if (!this.#installed.delete(plugin.plugin)) return;
    this.#listen();
    void plugin.shutDown(AbortSignal.abort());
    plugin.end();
  }

  /** Turns are told where somebody wants to know. */
  #listen(): void {
    const steps = stepsOf([...this.#installed.values()], 'turn');
    this.#reactor.dispatcher.onTurn =
      steps.length === 0
        ? null
        : (turn) => {
            for (const step of steps) {
              const result = invoke(step, turn);
              if (result instanceof PluginError) this.failed(result);
            }
          };
  }

  /** An error that concerns no open connection: told to the plugins that hear of errors, otherwise written down. */
  failed(error: PluginError): void {
    if (error.hook === 'error') {
      this.#log(error);
      return;
    }
    let heard = false;
    for (const step of stepsOf([...this.#installed.values()], 'error')) {
      heard = true;
      const result = invoke(step, undefined, error);
      if (result instanceof PluginError) this.failed(result);
    }
    if (!heard) this.#log(error);
  }

  /** A logger that throws must not end what goes on: the other plugins are still to be told, and let go. */
  #log(error: PluginError): void {
    try {
      this.#reactor.log.error(error.message, error.cause ?? error);
    } catch (failure) {
      raise(failure);
    }
  }

  /** Keeps those that there are from ending until the result is called. */
  retain(): () => void {
    const kept = [...this.#installed.values()];
    for (const plugin of kept) plugin.retain();
    return () => {
      for (const plugin of kept) plugin.release();
    };
  }

  /** Resolves when all have said goodbye. */
  async shutDown(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#installed.values()].map((plugin) => plugin.shutDown(signal)));
  }

  /** The reactor is closed: no timer of theirs goes on. */
  end(): void {
    this.#reactor.dispatcher.onTurn = null;
    for (const plugin of this.#installed.values()) plugin.end();
    this.#installed.clear();
  }

  /** Each with its order and hooks, as they are called. */
  inspect(): string[] {
    return ordered([...this.#installed.values()]).map(({ plugin, hooks }) => {
      const names = hooksOf(hooks).join(', ');
      return `${plugin.name} (${plugin.order}): ${names === '' ? 'no hooks' : names}${this.#used.includes(plugin) ? '' : '; listed'}`;
    });
  }
}

function checkList(listed: readonly AnyPlugin[]): readonly AnyPlugin[] {
  if (!Array.isArray(listed))
    throw misuse('ERR_PLUGIN_ARGUMENT', `plugins must be a list of plugins, got ${describe(listed)}`);
  const before: AnyPlugin[] = [];
  for (const plugin of listed) {
    checkPlugin(plugin, before);
    before.push(plugin);
  }
  return before;
}

/** A hook that is no function, or has no hook's name, would never be called. */
function checkHooks({ name }: AnyPlugin, hooks: unknown): Hooks<never> {
  if (hooks === undefined) return {};
  if (typeof hooks !== 'object' || hooks === null)
    throw misuse('ERR_PLUGIN_ARGUMENT', `the setup of plugin '${name}' must return its hooks, got ${describe(hooks)}`);
  if (typeof (hooks as PromiseLike<unknown>).then === 'function')
    throw misuse('ERR_PLUGIN_ARGUMENT', `the setup of plugin '${name}' returned a promise: setup is synchronous`);
  for (const [key, hook] of Object.entries(hooks)) {
    if (!(HOOKS as readonly string[]).includes(key))
      throw misuse('ERR_PLUGIN_ARGUMENT', `plugin '${name}' has a hook '${key}', which there is not`);
    if (hook !== undefined && typeof hook !== 'function')
      throw misuse(
        'ERR_PLUGIN_ARGUMENT',
        `hook '${key}' of plugin '${name}' must be a function, got ${describe(hook)}`,
      );
  }
  return hooks as Hooks<never>;
}
