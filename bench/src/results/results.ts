/** The results file: written anew after every measurement, so that an interrupted run keeps what it has. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ClientKind } from '../load/result.js';
import type { Placement } from '../measure/placement.js';
import type { Measurement } from '../measure/session.js';
import { UsageError } from '../plan/nearest.js';
import type { Preset, Workload } from '../plan/workloads.js';

/** Raised when a reader of an older file would misread this one. */
export const SCHEMA = 2;
/** Schema 1 had no slices: every target was measured in one go, and its pairs are those of the rounds. */
const READABLE: readonly unknown[] = [1, SCHEMA];

/** One target in one round of one workload; or one that takes no part, with the reason (`outcome` is then `skipped`, `round` 0). */
export interface Cell extends Omit<Measurement, 'outcome'> {
  workload: string;
  target: string;
  /** From 1. */
  round: number;
  outcome: Measurement['outcome'] | 'skipped';
}

export interface Environment {
  cpu: string;
  cpus: number;
  memoryBytes: number;
  system: string;
  node: string;
  compiler: string | null;
  commit: string | null;
  /** Files differ from the commit. */
  modified: boolean | null;
  sysctls: Record<string, string>;
}

export interface ResultsFile {
  kind: 'fdset-bench';
  schema: 1 | typeof SCHEMA;
  startedAt: string;
  finishedAt: string | null;
  /** The arguments of the command line. */
  arguments: string[];
  seed: number;
  /** The two load clients are never mixed: a comparison of files with different ones is refused. */
  client: ClientKind;
  placement: Placement;
  preset: Preset & { name: string };
  stallSeconds: number;
  environment: Environment;
  workloads: Workload[];
  cells: Cell[];
}

const sysctls = [
  'net.core.somaxconn',
  'net.ipv4.tcp_tw_reuse',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_congestion_control',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
];

function firstLine(command: string, args: readonly string[]): string | null {
  const done = spawnSync(command, args, { encoding: 'utf8', cwd: path.dirname(new URL(import.meta.url).pathname) });
  return done.status === 0 ? (done.stdout.split('\n')[0]?.trim() ?? '') : null;
}

export function describeEnvironment(compiler: string | undefined): Environment {
  const readSysctl = (name: string): string | undefined => {
    try {
      return readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8')
        .trim()
        .replaceAll('\t', ' ');
    } catch {
      return undefined;
    }
  };
  const status = spawnSync('git', ['status', '--porcelain'], {
    encoding: 'utf8',
    cwd: path.dirname(new URL(import.meta.url).pathname),
  });
  return {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cpus: os.cpus().length,
    memoryBytes: os.totalmem(),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    compiler: compiler ? firstLine(compiler, ['--version']) : null,
    commit: firstLine('git', ['rev-parse', 'HEAD']),
    modified: status.status === 0 ? status.stdout.trim() !== '' : null,
    sysctls: Object.fromEntries(
      sysctls.flatMap((name) => (readSysctl(name) === undefined ? [] : [[name, readSysctl(name)!]])),
    ),
  };
}

export class ResultsWriter {
  readonly file: string;
  readonly results: ResultsFile;

  constructor(folder: string, results: ResultsFile) {
    mkdirSync(folder, { recursive: true });
    this.file = path.join(
      folder,
      `${results.startedAt.replaceAll(':', '-').replace(/\.\d+Z$/, 'Z')}-${process.pid}.json`,
    );
    this.results = results;
  }

  add(cell: Cell): void {
    this.results.cells.push(cell);
    this.#write();
  }

  finish(): void {
    this.results.finishedAt = new Date().toISOString();
    this.#write();
  }

  /** The new file takes the old one's name in one step: a reader, or a crash, never meets half of it. */
  #write(): void {
    const { cells, ...head } = this.results;
    // One cell a line: a file that can be looked at and diffed.
    const text = `${JSON.stringify(head, null, 1).slice(0, -2)},\n "cells": [\n${cells.map((cell) => JSON.stringify(cell)).join(',\n')}\n]}\n`;
    writeFileSync(`${this.file}.part`, text);
    renameSync(`${this.file}.part`, this.file);
  }
}

/** Reads a results file; a {@link UsageError} says why it cannot be used. */
export function readResults(file: string): ResultsFile {
  let parsed: Partial<ResultsFile>;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8')) as Partial<ResultsFile>;
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${(error as Error).message}`);
  }
  if (parsed.kind !== 'fdset-bench') throw new UsageError(`${file} is not a results file of this bench`);
  if (!READABLE.includes(parsed.schema))
    throw new UsageError(`${file} has schema ${parsed.schema}, this bench reads ${READABLE.join(' and ')}`);
  return parsed as ResultsFile;
}
