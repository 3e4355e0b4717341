#!/usr/bin/env node
// The capability table of docs/backends.md, from the code: the rows and their words are those of the interface
// Capabilities, the marks are what each backend says of itself. test/docs/backends.test.ts checks that it is up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(fileURLToPath(import.meta.url), '../..');
const HELP = `usage: node scripts/capabilities.mjs [--write | --check]
Prints the table of capabilities of all backends. --write puts it into docs/backends.md, --check fails where it is another one there.
Needs the built packages, and the native core.`;

const GUIDE = path.join(root, 'docs/backends.md');
const BEGIN = '<!-- capabilities: made by scripts/capabilities.mjs --write -->';
const END = '<!-- /capabilities -->';

const require = createRequire(path.join(root, 'test/package.json'));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { Reactor } = await load('@fdset/reactor');
const { SimulatedNetwork } = await load('@fdset/reactor/testing');
const source = (name) => readFileSync(path.join(root, 'packages/reactor/src/backend', name), 'utf8');

/**
 * The columns, in their order: what a reactor is given to run on that backend, and the source in which `nodeHas` tells since
 * which Node it can what it could not always.
 */
const BACKENDS = [
  { name: 'kernel', backend: () => 'kernel' },
  { name: 'emulated', backend: () => 'emulated', versions: 'emulated/capabilities.ts' },
  { name: 'simulated', backend: () => new SimulatedNetwork({ seed: 1 }).backend() },
];

function capabilitiesOf({ backend }) {
  const reactor = new Reactor({ backend: backend() });
  const { capabilities } = reactor;
  reactor.close();
  return capabilities;
}

/** Name and meaning of each capability, in the order of the interface. */
function capabilities() {
  const [, body] = source('backend.ts').match(/export interface Capabilities \{\n(.*?)\n\}/s);
  const found = [...body.matchAll(/\/\*\*\s*(.*?)\s*\*\/\s*readonly (\w+): boolean;/gs)];
  return found.map(([, text, name]) => ({ name, text: text.replace(/\s*\n\s*\*\s*/g, ' ') }));
}

/** `yes`, `no`, or since which Node. */
function mark(can, name, versions) {
  const line = versions?.match(new RegExp(`^ *${name}: (.*)$`, 'm'))?.[1] ?? '';
  const since = [...line.matchAll(/\[(\d+), (\d+)\]/g)].map(([, major, minor]) => `${major}.${minor}`);
  if (since.length === 0) return can ? 'yes' : 'no';
  return `${line.includes("'linux'") ? 'Linux, ' : ''}Node ${since.join(' and ')} on`;
}

function table() {
  const columns = BACKENDS.map((entry) => ({
    name: entry.name,
    can: capabilitiesOf(entry),
    versions: entry.versions === undefined ? undefined : source(entry.versions),
  }));
  const rows = [
    ['capability', ...columns.map(({ name }) => `\`${name}\``), 'what it means'],
    ...capabilities().map(({ name, text }) => [
      `\`${name}\``,
      ...columns.map(({ can, versions }) => mark(can[name], name, versions)),
      text.replace(/\.$/, '').replaceAll('|', '\\|'),
    ]),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (cells, filler = ' ') =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column], filler)).join(' | ')} |`;
  return [
    line(rows[0]),
    line(
      widths.map(() => '-'),
      '-',
    ),
    ...rows.slice(1).map((row) => line(row)),
  ].join('\n');
}

const [option, ...rest] = process.argv.slice(2);
if (option === '--help' || rest.length > 0 || !['--write', '--check', undefined].includes(option)) {
  console.log(HELP);
  process.exit(option === '--help' ? 0 : 2);
}
const made = `${BEGIN}\n\n${table()}\n\n${END}`;
if (option === undefined) console.log(table());
else {
  const guide = readFileSync(GUIDE, 'utf8');
  const [before, after] = [guide.indexOf(BEGIN), guide.indexOf(END)];
  if (before < 0 || after < before) throw new Error(`${GUIDE} has no place for the table: ${BEGIN} … ${END}`);
  const updated = guide.slice(0, before) + made + guide.slice(after + END.length);
  if (option === '--write') writeFileSync(GUIDE, updated);
  else if (updated !== guide) {
    console.error('the table in docs/backends.md is not that of the code: node scripts/capabilities.mjs --write');
    process.exit(1);
  }
}
