/** The options of a reactor and of `serve`, checked, with their defaults. */
import type { ListenTarget } from './address.js';
import { oneOf } from './arguments.js';
import { connectionSettings } from './connection/handler.js';
import type { Budgets } from './dispatch/batch.js';
import { describe, outOfRange } from './errors.js';
import type { ListenerSettings } from './listener.js';
import { effectiveBacklog, isInherited } from './listening.js';
import type { ReactorOptions, ServeOptions } from './reactor-options.js';

export interface ReactorSettings {
  readonly budgets: Budgets;
  /** Connections that one listener may accept in one turn. */
  readonly acceptBudget: number;
}

export function reactorSettings(options: ReactorOptions): ReactorSettings {
  const budget = (name: 'eventBudget' | 'byteBudget' | 'turnBudgetMs' | 'acceptBudget', fallback: number): number => {
    const value = options[name] ?? fallback;
    if (typeof value !== 'number' || !(value > 0))
      throw outOfRange('ERR_REACTOR_ARGUMENT', `${name} must be a number above 0, got ${describe(value)}`);
    return value;
  };
  const budgets = {
    events: Math.max(1, Math.floor(budget('eventBudget', 1024))),
    bytes: budget('byteBudget', 16 * 1024 * 1024),
    ms: budget('turnBudgetMs', 20),
  };
  return { budgets, acceptBudget: Math.max(1, Math.floor(budget('acceptBudget', 64))) };
}

export function listenerSettings(target: ListenTarget, options: ServeOptions, acceptBudget: number): ListenerSettings {
  const settings = {
    connection: connectionSettings(options),
    maxConnections: options.maxConnections ?? Number.POSITIVE_INFINITY,
    overload: oneOf('overload', options.overload ?? 'pause', ['pause', 'close'] as const),
    acceptBudget,
    backlog: isInherited(target) ? undefined : effectiveBacklog(options.backlog),
  };
  if (typeof settings.maxConnections !== 'number' || !(settings.maxConnections > 0))
    throw outOfRange('ERR_REACTOR_ARGUMENT', `maxConnections must be above 0, got ${describe(options.maxConnections)}`);
  return settings;
}
