/** Makes a schedule that fails shorter, while it fails. */
import type { Decision, DecisionKind } from './schedule.js';
import { KINDS } from './schedule.js';

/** Runs with these decisions: those that were really taken, where it failed in the same way; `null` where it did not. */
export type Attempt = (decisions: readonly Decision[]) => Promise<readonly Decision[] | null>;

/**
 * Drops kinds of decisions as a whole, then runs of them, halved again and again (Zeller's ddmin), then single ones; what is
 * left is made smaller by its values. Dropping a cut merges the two pieces at it. At most `mostRuns` attempts.
 */
export async function shrink(failing: readonly Decision[], attempt: Attempt, mostRuns: number) {
  let left = failing;
  let runs = 0;
  const fails = async (decisions: readonly Decision[]): Promise<boolean> => {
    if (runs >= mostRuns) return false;
    runs += 1;
    const taken = await attempt(decisions);
    // What was not asked for in the end is not needed either.
    if (taken !== null) left = taken.length <= decisions.length ? taken : decisions;
    return taken !== null;
  };

  if (left.length > 0 && (await fails([]))) return { left, runs };
  for (const kind of KINDS) if (has(left, kind)) await fails(left.filter((decision) => decision.kind !== kind));
  for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let at = 0; at < left.length && runs < mostRuns; )
      if (!(await fails([...left.slice(0, at), ...left.slice(at + size)]))) at += size;
  for (let at = 0; at < left.length; at += 1)
    for (let value = 1; value < (left[at]?.value ?? 0) && runs < mostRuns; value *= 4)
      if (await fails(left.map((decision, i) => (i === at ? { ...decision, value } : decision)))) break;
  return { left, runs };
}

function has(decisions: readonly Decision[], kind: DecisionKind): boolean {
  return decisions.some((decision) => decision.kind === kind);
}
