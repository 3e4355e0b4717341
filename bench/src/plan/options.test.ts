import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { parseCpuList } from '../measure/placement.js';
import { TOLD_BY } from '../results/metrics.js';
import { expectedSeconds, makePlan } from '../run.js';
import { distance, nearest } from './nearest.js';
import { type BenchOptions, type MicroOptions, parseOptions, plannedRounds } from './options.js';
import { isSliced, targetNamed, targets } from './targets.js';
import { workloads } from './workloads.js';

function bench(...args: string[]): BenchOptions {
  const action = parseOptions(args);
  if (action.kind !== 'bench') throw new Error('not bench');
  return action.options;
}

function refused(...args: string[]): string {
  const written = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  try {
    parseOptions(args);
  } catch (error) {
    return (error as Error).message;
  } finally {
    written.mockRestore();
  }
  throw new Error('was not refused');
}

describe('the command line', () => {
  it('without arguments means all workloads, each with its own targets, in the quick preset', () => {
    const options = bench();
    expect(options.workloads.map((workload) => workload.name)).toEqual(workloads.map((workload) => workload.name));
    expect(options.targets).toBeUndefined();
    expect(options.presetName).toBe('quick');
    expect(options.failIf).toEqual([]);
  });

  it('takes workloads, targets and parameters', () => {
    const options = bench(
      'echo',
      'arrivals',
      '--targets',
      'c-epoll, node-net',
      '--connections',
      '8',
      '--size',
      '1000',
      '--pipeline',
      '4',
      '--rounds',
      '2',
      '--duration',
      '0.3',
      '--seed',
      '5',
    );
    expect(options.targets).toEqual(['c-epoll', 'node-net']);
    expect(options.seed).toBe(5);
    expect(options.preset.duration).toBe(0.3);
    const [echo, arrivals] = options.workloads;
    expect(echo).toMatchObject({ name: 'echo', connections: 8, size: 1000, pipeline: 4 });
    expect(arrivals).toMatchObject({ name: 'arrivals', connections: 8, size: 1000, pipeline: 1 });
    expect(options.workloads.map((workload) => plannedRounds(workload, options))).toEqual([2, 2]);
  });

  it('an unknown workload, target, preset or suite is refused with the nearest name', () => {
    expect(refused('ecoh')).toMatch("unknown workload 'ecoh': did you mean 'echo'?");
    expect(refused('--targets', 'node-net,registred')).toMatch(
      "unknown target 'registred': did you mean 'registered'?",
    );
    expect(refused('--preset', 'fast')).toMatch("unknown preset 'fast'");
    expect(refused('micro', 'dispach')).toMatch("unknown suite 'dispach': did you mean 'dispatch'?");
  });

  it('numbers out of range are refused', () => {
    for (const args of [
      ['--rounds', '0'],
      ['--connections', '1.5'],
      ['--size', '-1'],
      ['--pipeline', 'x'],
      ['--duration', '0'],
      ['--slice', '0.01'],
      ['--stall', ''],
    ]) {
      expect(refused(...args), args.join(' ')).toMatch(/wanted/);
    }
  });

  it('an unknown option is refused', () => {
    expect(refused('--target', 'x')).toMatch(/unknown option/);
  });

  it('micro takes suites and passes', () => {
    const action = parseOptions(['micro', 'length-field', '--passes', '2']);
    expect(action.kind).toBe('micro');
    expect(action.options as MicroOptions).toEqual({ suites: ['length-field'], passes: 2 });
  });

  it('the core workloads get at least five rounds by default', () => {
    const options = bench();
    const rounds = Object.fromEntries(
      options.workloads.map((workload) => [workload.name, plannedRounds(workload, options)]),
    );
    expect(rounds.echo).toBeGreaterThanOrEqual(5);
    expect(rounds.pipelined).toBeGreaterThanOrEqual(5);
  });
});

describe('the plan', () => {
  it('says why a target takes no part instead of leaving it out', () => {
    const plan = makePlan(bench('echo', '--targets', 'iterative,framed,process', '--connections', '101'));
    const reasons = Object.fromEntries(plan[0]!.skipped.map(({ target, reason }) => [target.name, reason]));
    expect(reasons).toEqual({
      iterative: expect.stringMatching('one client at a time'),
      framed: expect.stringMatching('u32 frames'),
      process: expect.stringMatching('at most 100'),
    });
  });

  it('thread styles hold 250 sessions and no more, and arrivals of any number', () => {
    expect(makePlan(bench('echo', '--targets', 'thread', '--connections', '250'))[0]!.targets).toHaveLength(1);
    expect(makePlan(bench('echo', '--targets', 'thread', '--connections', '251'))[0]!.targets).toHaveLength(0);
    expect(
      makePlan(bench('arrivals', '--targets', 'thread,iterative', '--connections', '500'))[0]!.targets,
    ).toHaveLength(2);
  });

  it('targets that serve connections and targets that serve datagrams are not mixed up', () => {
    const reasons = (...args: string[]) => {
      const [plan] = makePlan(bench(...args));
      return [...plan!.targets.map(({ name }) => name), ...plan!.skipped.map(({ reason }) => reason)];
    };
    expect(reasons('datagrams', '--targets', 'c-udp,c-epoll')).toEqual(['c-udp', 'serves connections only']);
    expect(reasons('echo', '--targets', 'c-epoll,datagram')).toEqual(['c-epoll', 'serves datagrams only']);
    expect(reasons('datagrams', '--targets', 'c-udp', '--size', '2049')).toEqual([
      'datagrams have 16 to 2048 bytes here',
    ]);
    expect(reasons('datagrams', '--targets', 'c-udp', '--connections', '1025')).toEqual([
      'at most 1024 datagrams are in flight here',
    ]);
  });

  it('idle connections stand beside the crowded targets only, as many as the command line says', () => {
    const [plan] = makePlan(bench('crowded', '--idle', '700', '--targets', 'reactor,reactor-timed'));
    expect(plan).toMatchObject({ workload: { idle: 700, connections: 50 }, skipped: [] });
    expect(makePlan(bench('crowded'))[0]!.workload.idle).toBe(15_000);
    expect(makePlan(bench('crowded', '--preset', 'smoke'))[0]!.workload.idle).toBe(2000);
    const [echo] = makePlan(bench('echo', '--idle', '700', '--targets', 'reactor,reactor-timed'));
    expect(echo!.workload.idle).toBeUndefined();
    expect(echo!.skipped).toMatchObject([{ reason: 'stands beside idle connections, and this workload has none' }]);
  });

  it('connections beyond the descriptors that a process may have are refused with what is missing', () => {
    const [plan] = makePlan(bench('crowded', '--idle', '1000000', '--targets', 'reactor,reactor-crowded'));
    // A million and more is beyond fs.nr_open, which nobody may exceed, unless that was raised.
    if (Number(readFileSync('/proc/sys/fs/nr_open', 'utf8')) > 1_000_250) return;
    expect(plan!.targets.map(({ name }) => name)).toEqual(['reactor']);
    expect(plan!.skipped[0]!.reason).toMatch(
      /^1000050 connections need 1000250 descriptors, and the hard limit .* is \d+$/,
    );
  });

  it('what a round measures is cut into slices of about the wanted length', () => {
    const passes = (...args: string[]) => makePlan(bench('echo', ...args))[0]!.passes;
    expect(passes('--duration', '1')).toBe(4);
    expect(passes('--duration', '1', '--slice', '0.3')).toBe(3);
    expect(passes('--duration', '0.1')).toBe(1);
    expect(passes('--preset', 'smoke')).toBeGreaterThanOrEqual(2);
  });

  it('slices of fairness tell its percentile, and are enough for quartiles, unless the command line says how long they are', () => {
    const plan = (...args: string[]) => makePlan(bench('fairness', ...args))[0]!;
    const { workload, rounds, duration, passes } = plan();
    const messages = (duration * 1000 * workload.connections) / workload.intervalMs! / passes;
    expect(messages * 0.01).toBeGreaterThanOrEqual(2 * TOLD_BY);
    expect(rounds * passes).toBeGreaterThanOrEqual(16);
    expect(plan('--slice', '0.5').passes).toBe(duration / 0.5);
    expect(plan('--duration', '3', '--rounds', '3')).toMatchObject({ duration: 3, passes: 2, rounds: 3 });
    expect(plan('--preset', 'smoke')).toMatchObject({ rounds: 1, duration: 0.2 });
    expect(makePlan(bench('echo'))[0]!.duration).toBe(bench('echo').preset.duration);
  });

  it('slices alternate, except where memory is the subject, connections run cold code, or ports would run out', () => {
    const [echo, idle] = bench('echo', 'idle').workloads;
    expect(isSliced(targetNamed('reactor'), echo!, 4)).toBe(true);
    expect(isSliced(targetNamed('process'), echo!, 4)).toBe(false);
    expect(isSliced(targetNamed('thread-blocking'), echo!, 4)).toBe(false);
    expect(isSliced(targetNamed('reactor'), { ...idle!, connections: 10 }, 4)).toBe(false);
    expect(isSliced(targetNamed('reactor'), { ...echo!, connections: 5000 }, 4)).toBe(true);
    expect(isSliced(targetNamed('reactor'), { ...echo!, connections: 5001 }, 4)).toBe(false);
  });

  it('the default takes less than nine minutes, smoke about one', () => {
    const expected = (...args: string[]) => expectedSeconds(makePlan(bench(...args)), bench(...args));
    expect(expected()).toBeLessThan(530);
    expect(expected('--preset', 'smoke')).toBeLessThan(60);
  });

  it('every target of a workload exists, and its baselines are among them', () => {
    for (const workload of workloads) {
      for (const name of workload.targets) expect(targetNamed(name).name).toBe(name);
      expect(workload.targets).toEqual(expect.arrayContaining([...workload.baselines]));
    }
    expect(new Set(targets.map((target) => target.name)).size).toBe(targets.length);
  });
});

describe('names and lists', () => {
  it('distance counts insertions, deletions and replacements', () => {
    expect(distance('kitten', 'sitting')).toBe(3);
    expect(distance('', 'abc')).toBe(3);
    expect(nearest('REACTR', ['registered', 'reactor', 'thread'])).toBe('reactor');
  });

  it('a CPU list may hold ranges', () => {
    expect(parseCpuList('0-2,5\n')).toEqual([0, 1, 2, 5]);
    expect(parseCpuList('')).toEqual([]);
  });
});
