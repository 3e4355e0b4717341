/** `--fail-if`: a condition on the results that makes the run fail, for instance in CI. */

import { known, UsageError } from '../plan/nearest.js';
import { targets } from '../plan/targets.js';
import { type Workload, workloads } from '../plan/workloads.js';
import { headline, metricNamed, metrics } from './metrics.js';
import type { Cell } from './results.js';
import { median } from './statistics.js';
import { ratio, valuesOf } from './summary.js';

export interface Condition {
  text: string;
  target: string;
  /** Absent: the metric itself is compared, not a ratio. */
  baseline?: string;
  workload: string;
  /** Absent: the workload's headline. */
  metric?: string;
  operator: '<' | '<=' | '>' | '>=';
  limit: number;
}

const grammar =
  /^\s*([\w-]+)(?:\s*\/\s*([\w-]+))?\s+([\w-]+)(?:\.(\w+))?\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*$/i;

/** Reads `<target>[/<target>] <workload>[.<metric>] <operator> <number>`; a {@link UsageError} says what is wrong with it. */
export function parseCondition(text: string): Condition {
  const match = grammar.exec(text);
  if (!match)
    throw new UsageError(
      `--fail-if '${text}' is not of the form '<target>[/<target>] <workload>[.<metric>] <operator> <number>', for instance 'registered/c-epoll echo < 0.95'`,
    );
  const [, target = '', baseline, workload = '', metric, operator, limit] = match;
  const targetNames = targets.map((each) => each.name);
  known('target in --fail-if', target, targetNames);
  if (baseline !== undefined) known('target in --fail-if', baseline, targetNames);
  known(
    'workload in --fail-if',
    workload,
    workloads.map((each) => each.name),
  );
  const shape = workloads.find((each) => each.name === workload)!.shape;
  if (metric !== undefined)
    known(
      'metric in --fail-if',
      metric,
      metrics.filter((each) => each.shapes.includes(shape)).map((each) => each.name),
    );
  return {
    text,
    target,
    workload,
    operator: operator as Condition['operator'],
    limit: Number(limit),
    ...(baseline === undefined ? {} : { baseline }),
    ...(metric === undefined ? {} : { metric }),
  };
}

export interface Verdict {
  condition: Condition;
  /** `undefined`: there was nothing to judge by, which fails as well. */
  value: number | undefined;
  failed: boolean;
}

function holds(value: number, operator: Condition['operator'], limit: number): boolean {
  if (operator === '<') return value < limit;
  if (operator === '<=') return value <= limit;
  return operator === '>' ? value > limit : value >= limit;
}

/** Judges by the median: of the paired ratios, or of the metric itself. */
export function judge(condition: Condition, cells: readonly Cell[], ran: readonly Workload[]): Verdict {
  const workload = ran.find((each) => each.name === condition.workload);
  if (!workload) return { condition, value: undefined, failed: true };
  const metric = condition.metric === undefined ? headline(workload.shape) : metricNamed(condition.metric);
  const value =
    condition.baseline === undefined
      ? median(valuesOf(cells, workload.name, condition.target, metric))
      : ratio(cells, workload.name, condition.target, condition.baseline, metric)?.median;
  return { condition, value, failed: value === undefined || holds(value, condition.operator, condition.limit) };
}
