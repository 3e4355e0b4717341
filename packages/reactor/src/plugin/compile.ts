/**
 * The table of hooks: for each hook a list of those that have it, in the order of their calls. It is compiled once for each
 * list of plugins and shared by all connections of a listener, so that a hook that nobody has is an empty list, and for bytes
 * not even that is looked at: the flags of the connection say so.
 */
import { PluginError } from '../errors.js';
import { HOOKS, type HookName, type Hooks } from './hooks.js';
import type { AnyPlugin } from './plugin.js';

/** A plugin that a reactor has set up. */
export interface Installed {
  readonly plugin: AnyPlugin;
  readonly hooks: Hooks<never>;
  /** An error that concerns no open connection: the hooks for errors are told, or the log. */
  failed(error: PluginError): void;
  retain(): void;
  release(): void;
}

/** One plugin's hook. */
export interface Step {
  /** The place of the plugin in the table. */
  readonly at: number;
  readonly plugin: Installed;
  readonly hook: HookName | 'state';
  readonly call: (...values: unknown[]) => unknown;
}

export type HookSteps = { readonly [Name in Exclude<HookName, 'turn' | 'shutdown'>]: readonly Step[] };

export interface HookTable extends HookSteps {
  readonly plugins: readonly Installed[];
  readonly state: readonly Step[];
  /** The context of connections of which nothing is kept: shared. */
  readonly context: object;
  /** Keeps the plugins from ending. */
  retain(): void;
  release(): void;
}

/** Those of the plugins that have the hook, in their order. */
export function stepsOf(plugins: readonly Installed[], name: HookName): Step[] {
  return plugins.flatMap((plugin, at) => {
    const hook = plugin.hooks[name] as Step['call'] | undefined;
    return hook === undefined ? [] : { at, plugin, hook: name, call: hook.bind(plugin.hooks) };
  });
}

/** `plugins` in the order of their calls. */
export function compile(plugins: readonly Installed[]): HookTable {
  const steps = (name: HookName): Step[] => stepsOf(plugins, name);
  const reversed = (name: HookName): Step[] => steps(name).reverse();
  return {
    plugins,
    accept: steps('accept'),
    open: steps('open'),
    data: steps('data'),
    message: steps('message'),
    write: reversed('write'),
    end: steps('end'),
    finish: reversed('finish'),
    drain: steps('drain'),
    timeout: steps('timeout'),
    close: reversed('close'),
    error: steps('error'),
    state: plugins.flatMap((plugin, at) => {
      const { state } = plugin.plugin;
      return state === undefined ? [] : { at, plugin, hook: 'state' as const, call: state as Step['call'] };
    }),
    context: Object.freeze(Object.fromEntries(plugins.map(({ plugin }) => [plugin.name, undefined]))),
    retain: () => {
      for (const plugin of plugins) plugin.retain();
    },
    release: () => {
      for (const plugin of plugins) plugin.release();
    },
  };
}

/** Calls a hook that is synchronous. What it throws, and a promise in the place of a result, come as a PluginError. */
export function invoke({ call, plugin, hook }: Step, first: unknown, second?: unknown): unknown {
  const { name } = plugin.plugin;
  let result: unknown;
  try {
    result = call(first, second);
  } catch (cause) {
    return PluginError.thrown(name, hook, cause);
  }
  if (result === undefined || typeof (result as PromiseLike<unknown> | null)?.then !== 'function') return result;
  // Whatever becomes of it, it is told here.
  (result as PromiseLike<unknown>).then(undefined, () => {});
  return PluginError.refused(
    name,
    hook,
    'a promise: hooks are synchronous, and a decision that takes its time takes connection.hold()',
  );
}

/** The names of the hooks that a plugin has. */
export function hooksOf(hooks: Hooks<never>): HookName[] {
  return HOOKS.filter((name) => hooks[name] !== undefined);
}
