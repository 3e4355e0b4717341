/** One result of many slices: what a single run of their summed length would have told. */
import { Histogram } from './histogram.js';
import type { LoadResult } from './result.js';

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function mergeLatency(parts: readonly LoadResult['latency'][]): LoadResult['latency'] {
  const histogram = new Histogram();
  for (const { histogramNs, max } of parts) histogram.merge(histogramNs, Math.round(max * 1000));
  const us = (share: number) => histogram.percentile(share) / 1000;
  return {
    unit: 'us',
    count: histogram.count,
    mean: sum(parts.map((part) => part.mean * part.count)) / Math.max(1, histogram.count),
    p50: us(0.5),
    p90: us(0.9),
    p99: us(0.99),
    p999: us(0.999),
    max: Math.max(...parts.map((part) => part.max)),
    oldestPending: Math.max(...parts.map((part) => part.oldestPending)),
    histogramNs: histogram.entries(),
  };
}

function mergeServer(parts: readonly LoadResult['server'][]): LoadResult['server'] {
  const known = parts.filter((part) => part !== null);
  const last = known.at(-1);
  if (last === undefined) return null;
  const used = known.map((part) => part.cpuSeconds).filter((seconds) => seconds !== null);
  // Memory is that of the end.
  return { ...last, cpuSeconds: used.length === known.length ? sum(used) : null };
}

/** Times, counts and errors are summed, percentiles are those of all messages, memory is that of the last slice, the start-up that of the first. */
export function mergeResults(slices: readonly LoadResult[]): LoadResult {
  const [first] = slices;
  if (first === undefined) throw new RangeError('no slice to merge');
  const all = <T>(pick: (slice: LoadResult) => T): T[] => slices.map(pick);
  const elapsedSeconds = sum(all((slice) => slice.elapsedSeconds));
  const clientCpuSeconds = sum(all((slice) => slice.clientCpuSeconds));
  const errors: Record<string, number> = {};
  for (const { errors: own } of slices)
    for (const [name, count] of Object.entries(own)) errors[name] = (errors[name] ?? 0) + count;
  const counts = all((slice) => slice.perConnection).filter((count) => count !== undefined);
  return {
    ...first,
    options: { ...first.options, duration: sum(all((slice) => slice.options.duration)) },
    elapsedSeconds,
    messages: sum(all((slice) => slice.messages)),
    ...(first.floodBytes === undefined ? {} : { floodBytes: sum(all((slice) => slice.floodBytes ?? 0)) }),
    ...(first.lostDatagrams === undefined ? {} : { lostDatagrams: sum(all((slice) => slice.lostDatagrams ?? 0)) }),
    errors,
    latency: mergeLatency(all((slice) => slice.latency)),
    ...(counts.length === 0
      ? {}
      : {
          perConnection: {
            least: Math.min(...counts.map(({ least }) => least)),
            most: Math.max(...counts.map(({ most }) => most)),
          },
        }),
    clientCpuSeconds,
    clientShare: elapsedSeconds > 0 ? clientCpuSeconds / elapsedSeconds : 0,
    server: mergeServer(all((slice) => slice.server)),
    machine: {
      busySeconds: sum(all((slice) => slice.machine.busySeconds)),
      stealSeconds: sum(all((slice) => slice.machine.stealSeconds)),
      listenOverflows: sum(all((slice) => slice.machine.listenOverflows)),
      retransmits: sum(all((slice) => slice.machine.retransmits)),
    },
  };
}
