/** Which plugin stands where, and whether that can be. */
import { describe, misuse } from '../errors.js';
import { type AnyPlugin, isPlugin, type PluginReference } from './plugin.js';

const PLACE = { pre: 0, normal: 1, post: 2 } as const;

/** The plugins as they are called: 'pre', those without an order, 'post'; each in the order of use. */
export function ordered<P extends { readonly plugin: AnyPlugin }>(plugins: readonly P[]): P[] {
  return [...plugins].sort((a, b) => PLACE[a.plugin.order] - PLACE[b.plugin.order]);
}

/**
 * Checks a plugin that comes behind others. Throws `ERR_PLUGIN_ARGUMENT` for what is none, `ERR_PLUGIN_DUPLICATE`, and
 * `ERR_PLUGIN_REQUIRES` where one that it requires is missing or would be called after it.
 */
export function checkPlugin(plugin: unknown, before: readonly AnyPlugin[]): asserts plugin is AnyPlugin {
  if (!isPlugin(plugin))
    throw misuse('ERR_PLUGIN_ARGUMENT', `a plugin is what definePlugin gives, got ${describe(plugin)}`);
  const { name, order, requires } = plugin;
  if (before.some((other) => other.name === name))
    throw misuse('ERR_PLUGIN_DUPLICATE', `there is a plugin '${name}' already`);
  for (const reference of requires) {
    const wanted = nameOf(reference, name);
    const found = before.find((other) => other.name === wanted);
    if (found === undefined)
      throw misuse('ERR_PLUGIN_REQUIRES', `plugin '${name}' requires plugin '${wanted}': use that one before it`);
    if (PLACE[found.order] > PLACE[order])
      throw misuse(
        'ERR_PLUGIN_REQUIRES',
        `plugin '${name}' (order '${order}') would be called before '${wanted}' (order '${found.order}'), which it requires`,
      );
  }
}

/** A function is asked: to make a plugin does nothing but describe it. */
function nameOf(reference: PluginReference, by: string): string {
  if (typeof reference !== 'function') return reference.name;
  let plugin: unknown;
  try {
    plugin = reference();
  } catch (cause) {
    throw misuse(
      'ERR_PLUGIN_ARGUMENT',
      `plugin '${by}' requires what ${describe(reference)} gives, which cannot be called without arguments`,
      { cause },
    );
  }
  if (!isPlugin(plugin))
    throw misuse(
      'ERR_PLUGIN_ARGUMENT',
      `plugin '${by}' requires what ${describe(reference)} gives, which must be a plugin, got ${describe(plugin)}`,
    );
  return plugin.name;
}
