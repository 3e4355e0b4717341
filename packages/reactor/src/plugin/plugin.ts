/** What a plugin is, with the types that it adds to a connection. */
import { describe, misuse } from '../errors.js';
import type { AcceptInfo, Hooks, PluginHost } from './hooks.js';

/**
 * A plugin, made by {@link definePlugin}: a description, of which each reactor that uses it sets up its own. `State` is what it
 * keeps of each connection, `Needs` what other plugins must keep.
 */
export interface Plugin<Name extends string = string, State = unknown, Needs = unknown> {
  readonly name: Name;
  readonly requires: readonly PluginReference[];
  readonly order: 'pre' | 'normal' | 'post';
  readonly state: ((info: AcceptInfo) => State) | undefined;
  readonly setup: (host: PluginHost) => Hooks<never> | void;
  /** For the compiler only. */
  readonly '~needs'?: Needs;
}

/** Any plugin. */
// biome-ignore lint/suspicious/noExplicitAny: whatever it needs, which differs from plugin to plugin
export type AnyPlugin = Plugin<string, any, any>;

/** A plugin that is required: itself, or a function that gives it when called without arguments. */
// biome-ignore lint/suspicious/noExplicitAny: the arguments are the function's own matter
export type PluginReference = AnyPlugin | ((...options: any[]) => AnyPlugin);

/** What a list of plugins keeps of a connection: by the name of each, what its `state` gives. */
export type PluginContext<Plugins extends readonly PluginReference[]> = Plugins extends readonly [
  infer First,
  ...infer Others extends readonly PluginReference[],
]
  ? First extends (...options: never[]) => AnyPlugin
    ? PluginContext<[ReturnType<First>, ...Others]>
    : (First extends Plugin<infer Name, infer State> ? { readonly [K in Name]: State } : {}) & PluginContext<Others>
  : {};

/** Why the compiler refuses a plugin: it names those that are to be used before it. */
export type MissingPlugin<Needs, Context> = `missing plugin: ${Exclude<keyof Needs, keyof Context> & string}`;

export interface PluginDefinition<Name extends string, State, Requires extends readonly PluginReference[]> {
  /** `connection.context[name]` is the plugin's state. */
  readonly name: Name;
  /** Plugins that stand before it. */
  readonly requires?: Requires;
  /** Before or behind those without an order ('normal'). */
  readonly order?: 'pre' | 'post';
  /** What is kept of a connection, made once for each that was accepted. */
  state?(info: AcceptInfo): State;
  /** Called once for each reactor that uses the plugin. What all connections share lives in its closure. */
  setup(host: PluginHost): Hooks<PluginContext<Requires> & { readonly [K in Name]: State }> | void;
}

/**
 * Makes a plugin. Throws `ERR_PLUGIN_ARGUMENT`.
 *
 * ```ts
 * const counting = () =>
 *   definePlugin({
 *     name: 'counting',
 *     state: () => ({ bytes: 0 }),
 *     setup: () => ({ data: (connection, chunk) => void (connection.context.counting.bytes += chunk.length) }),
 *   });
 * ```
 */
export function definePlugin<
  const Name extends string,
  State = undefined,
  const Requires extends readonly PluginReference[] = [],
>(definition: PluginDefinition<Name, State, Requires>): Plugin<Name, State, PluginContext<Requires>> {
  if (typeof definition !== 'object' || definition === null)
    throw misuse('ERR_PLUGIN_ARGUMENT', `definePlugin takes an object, got ${describe(definition)}`);
  const { name, requires = [], order } = definition;
  if (typeof name !== 'string' || name === '' || name === '__proto__')
    throw misuse('ERR_PLUGIN_ARGUMENT', `a plugin's name must be a word, got ${describe(name)}`);
  const refused = (what: string, value: unknown) =>
    misuse('ERR_PLUGIN_ARGUMENT', `plugin '${name}': ${what}, got ${describe(value)}`);
  if (!Array.isArray(requires) || !requires.every(isReference))
    throw refused('requires must be a list of plugins, or of functions that give them', requires);
  if (order !== undefined && order !== 'pre' && order !== 'post')
    throw refused("order must be 'pre' or 'post', or absent", order);
  if (definition.state !== undefined && typeof definition.state !== 'function')
    throw refused('state must be a function', definition.state);
  if (typeof definition.setup !== 'function') throw refused('setup must be a function', definition.setup);
  return Object.freeze({
    name,
    requires,
    order: order ?? 'normal',
    state: definition.state?.bind(definition),
    setup: definition.setup.bind(definition) as Plugin['setup'],
  });
}

/** Whether it was made by {@link definePlugin}, of this build of the package or the other. */
export function isPlugin(value: unknown): value is AnyPlugin {
  const { name, requires, setup } = (value ?? {}) as Partial<AnyPlugin>;
  return typeof name === 'string' && Array.isArray(requires) && typeof setup === 'function';
}

function isReference(value: unknown): boolean {
  return typeof value === 'function' || isPlugin(value);
}
