/** How much a reactor may do in one turn, before libuv's other handles get theirs. */
import { describe, outOfRange } from './errors.js';

/** What the options say: see ReactorOptions. */
export interface BudgetOptions {
  eventBudget?: number;
  byteBudget?: number;
  turnBudgetMs?: number;
  acceptBudget?: number;
}

export interface Budgets {
  readonly events: number;
  readonly bytes: number;
  readonly ms: number;
  /** Of each listener. */
  readonly accepts: number;
}

/** Checks the options and fills in their defaults. Throws `ERR_REACTOR_ARGUMENT`. */
export function budgetsOf(options: BudgetOptions): Budgets {
  const budget = (name: keyof BudgetOptions, fallback: number): number => {
    const value = options[name] ?? fallback;
    if (typeof value !== 'number' || !(value > 0))
      throw outOfRange('ERR_REACTOR_ARGUMENT', `${name} must be a number above 0, got ${describe(value)}`);
    return value;
  };
  return {
    events: Math.max(1, Math.floor(budget('eventBudget', 1024))),
    bytes: budget('byteBudget', 16 * 1024 * 1024),
    ms: budget('turnBudgetMs', 20),
    accepts: Math.max(1, Math.floor(budget('acceptBudget', 64))),
  };
}
