#!/usr/bin/env node
/**
 * Calls every function of the native core with arguments that it should refuse, and with right ones in a wrong order of
 * events. The short form runs in the test suite; for the long one see --help.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { above, flag, readOptions, text, whole } from './options.mjs';

const HELP = `usage: node scripts/fuzz-native.mjs [--seconds 5] [--least 0] [--seed 1] [--only recv,send]
       [--trace]

Calls every function of the native core with wrong types, missing arguments, wrong numbers, detached, resizable and shared
memory, and descriptors that are closed. A call may return a negative number or throw; it may not crash or hang, and what is
plainly wrong may not succeed. Ends with code 0 and one line of JSON, or with 1.

  --seconds  how long (5)
  --least    calls of each function at the least, however long they take (0)
  --seed     decides the calls (1)
  --only     these functions only, for half of the calls
  --trace    writes each call to stderr before it is made, to find the one that crashes

FDSET_CORE names another build of the core; scripts/sanitize.mjs makes one.`;

const { values } = readOptions(HELP, {
  seconds: above(0, 5),
  least: whole(0, 0),
  seed: whole(1, Number.MIN_SAFE_INTEGER),
  only: text(),
  trace: flag,
});
const { seconds, least, seed } = values;

const root = path.resolve(fileURLToPath(import.meta.url), '../..');
const require = createRequire(path.join(root, 'packages/reactor/package.json'));
const core = process.env.FDSET_CORE
  ? require(path.resolve(process.env.FDSET_CORE))
  : require('node-gyp-build')(path.join(root, 'packages/reactor/native'));
setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');

// Unix sockets that are bound to a path stand here.
const folder = mkdtempSync(path.join(tmpdir(), 'fdset-fuzz-'));
process.chdir(folder);
process.on('exit', () => rmSync(folder, { recursive: true }));

// --- chance ----------------------------------------------------------------------------------------------------------

let state = seed >>> 0;
/** mulberry32 */
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (count) => Math.floor(random() * count);
const pick = (list) => list[below(list.length)];
const chance = (probability) => random() < probability;

// --- values ----------------------------------------------------------------------------------------------------------

/** An argument that the function has to refuse. */
class Wrong {
  constructor(value) {
    this.value = value;
  }
}

const throwing = {
  valueOf() {
    throw new Error('valueOf ran');
  },
  get length() {
    throw new Error('length ran');
  },
};

const wrongTypes = () =>
  pick([
    undefined,
    null,
    true,
    '',
    '3',
    'x'.repeat(5000),
    Symbol('s'),
    7n,
    {},
    [],
    [1, 2, 3],
    () => 1,
    throwing,
    new Date(),
    /x/,
    new Map(),
    new Error('e'),
    new Proxy(new Uint8Array(8), {}),
    Promise.resolve(1),
    new ArrayBuffer(8),
    new DataView(new ArrayBuffer(8)),
    new WeakRef({}),
  ]);
const notWhole = () =>
  pick([Number.NaN, 1.5, -0.5, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 53 + 2, 1e308]);
const notInt = () => (chance(0.5) ? wrongTypes() : pick([notWhole(), 2 ** 31, -(2 ** 31) - 1, 2 ** 32]));

const int = (list) => () => (chance(0.15) ? new Wrong(notInt()) : pick(list));
const INT = int([0, 1, -1, 2, 3, 4, 5, 6, 255, 65536, 2 ** 31 - 1, -(2 ** 31)]);

/** A count or an offset. */
const SIZE = () =>
  chance(0.15)
    ? new Wrong(chance(0.5) ? wrongTypes() : pick([-1, notWhole()]))
    : pick([0, 0, 1, 2, 7, 8, 100, 4096, 65536, 2 ** 31, 2 ** 32, 2 ** 53 - 2]);

/** Neither negative nor infinite: that would wait for ever, as it should. */
const TIMEOUT = () => (chance(0.2) ? new Wrong(pick([Number.NaN, wrongTypes()])) : pick([0, 0, 1, 0.3]));
const DELAY = () =>
  chance(0.15) ? new Wrong(wrongTypes()) : pick([0, 1, -1, 0.5, 1e9, Number.NaN, Number.POSITIVE_INFINITY, 1e308]);

/** Memory of every kind; `whole` stays as it is from then on. */
function memory(bytes, whole = false) {
  const kind = below(whole ? 3 : 7);
  if (kind <= 1) return new ArrayBuffer(bytes);
  if (kind === 2) return new SharedArrayBuffer(bytes);
  if (kind === 3) return new SharedArrayBuffer(bytes, { maxByteLength: 2 * bytes });
  return new ArrayBuffer(bytes, { maxByteLength: 2 * bytes });
}

function detach(buffer) {
  if (buffer instanceof ArrayBuffer) structuredClone(buffer, { transfer: [buffer] });
}

const LENGTHS = [0, 1, 8, 100, 4096, 65536, 70_000];

/** What is no array of bytes. */
const notBytes = () =>
  new Wrong(
    pick([
      wrongTypes,
      () => new Float64Array(8),
      () => new Uint16Array(8),
      () => new BigInt64Array(8),
      () => new Int8Array(8),
    ])(),
  );

/** For one call: its memory may be gone before the call, or half of it. */
function BYTES() {
  if (chance(0.2)) return notBytes();
  const buffer = memory(pick(LENGTHS));
  const Type = pick([Uint8Array, Uint8Array, Uint8ClampedArray, Buffer]);
  let view = Type === Buffer ? Buffer.from(buffer) : new Type(buffer);
  if (chance(0.2)) view = view.subarray(Math.floor(view.length / 3));
  if (buffer.resizable && chance(0.5))
    buffer.resize(pick([0, Math.floor(buffer.byteLength / 2), buffer.maxByteLength]));
  if (buffer.growable && chance(0.5)) buffer.grow(buffer.maxByteLength);
  if (chance(0.15)) detach(buffer);
  return view;
}

/** Memory that the core keeps the address of: its owner keeps it whole, as pinned.ts, chunks.ts and outbox.ts do. */
const KEPT = (least) => () =>
  chance(0.3) ? notBytes() : new Uint8Array(memory(pick(LENGTHS.filter((length) => length >= least)), true));

const INT32S = (whole) => () => {
  if (chance(0.2)) return new Wrong(pick([wrongTypes(), new Uint8Array(64), new Uint32Array(8), new Float64Array(8)]));
  const view = new Int32Array(memory(4 * pick([0, 1, 2, 4, 12, 96, 3072]), whole));
  for (let i = 0; i < view.length; i += 1) view[i] = pick([0, 1, -1, 2, 5, 33, 63, 2 ** 31 - 1, -(2 ** 31)]);
  if (!whole && chance(0.1)) detach(view.buffer);
  return view;
};

/** An array of bytes, perhaps with code that runs while it is read. */
function CHUNKS() {
  if (chance(0.2))
    return new Wrong(pick([undefined, null, 'bytes', {}, [1], throwing, new Uint8Array(8), new Proxy([], {})]));
  const chunks = Array.from(
    { length: pick([0, 1, 2, 5, 40, 1030]) },
    () => new Uint8Array(memory(pick([0, 1, 100, 5000]))),
  );
  if (chunks.length < 2 || chance(0.5)) return chunks;
  const at = 1 + below(Math.min(chunks.length, 40) - 1);
  const trap = below(5);
  if (trap === 0) chunks[at] = wrongTypes();
  else if (trap === 1) delete chunks[at];
  else
    Object.defineProperty(chunks, at, {
      get() {
        if (trap === 2) throw new Error('an element threw');
        if (trap === 3) chunks.length = 1;
        detach(chunks[0].buffer);
        gc();
        return new Uint8Array(8);
      },
      configurable: true,
    });
  return chunks;
}

const HOST = () =>
  chance(0.15)
    ? new Wrong(pick([undefined, null, 7, {}, [], throwing, Symbol('s'), 7n, new Uint8Array(4)]))
    : pick([
        '127.0.0.1',
        '::1',
        '',
        '::ffff:127.0.0.1',
        '127.0.0.1\0x',
        'no address',
        '\ud800',
        'é'.repeat(60),
        'x'.repeat(107),
        'x'.repeat(108),
        'x'.repeat(5000),
        '\0fdset-fuzz',
        `\0${'y'.repeat(107)}`,
        '/nonexistent/socket',
        'here',
      ]);
const PORT = () =>
  chance(0.15) ? new Wrong(pick([wrongTypes(), -1, 65536, 1.5, Number.NaN])) : pick([0, 0, port, port]);
const KIND = int([1, 4, 4, 6]);

// --- descriptors: never one that the process itself needs ------------------------------------------------------------

const open = new Set();
const freed = new Set();
let port = 0;

const FD = () => {
  if (chance(0.12)) return new Wrong(notInt());
  if (chance(0.12)) return pick([-1, 10_000_000, 2 ** 31 - 1, -(2 ** 31)]);
  if (chance(0.15) && freed.size > 0) return pick([...freed]);
  return open.size === 0 ? -1 : pick([...open]);
};

/** Not those of the process itself: what is received is used like any other, and its standard streams block. */
const DESCRIPTORS = () => {
  if (chance(0.2)) return new Wrong(pick([wrongTypes(), new Uint8Array(64), new Int32Array(0), new Int32Array(254)]));
  return Int32Array.from({ length: pick([1, 1, 2, 10, 253]) }, () => {
    const fd = FD();
    return fd instanceof Wrong ? -1 : fd;
  });
};

function note(fd) {
  open.add(fd);
  freed.delete(fd);
}

function noteClosed(fd) {
  if (open.delete(fd)) freed.add(fd);
}

function thin() {
  for (const fd of [...open].slice(0, 60)) {
    if (core.close(fd) < 0) closeSync(fd);
    noteClosed(fd);
  }
}

/** Sockets in all sorts of states. */
function furnish() {
  while (open.size < 12) {
    const pair = new Int32Array(2);
    if (core.socketPair(1, pick([1, 2, 3]), pair) === 0) for (const fd of pair) note(fd);
    const listener = core.socket(4, 1, 0);
    if (listener < 0) break;
    note(listener);
    core.bind(listener, 4, '127.0.0.1', 0, 0, 0);
    core.listen(listener, 5);
    port = core.localAddress(listener).port;
    const client = core.socket(4, 1, 0);
    note(client);
    core.connect(client, 4, '127.0.0.1', port, 0, 0);
    for (const [name, flags] of [
      ['file', 'w+'],
      ['.', 'r'],
      ['/dev/null', 'r+'],
    ])
      note(openSync(name, flags));
  }
}

// --- demultiplexers --------------------------------------------------------------------------------------------------

const demultiplexers = new Map();
const ID = () =>
  chance(0.2)
    ? new Wrong(chance(0.5) ? wrongTypes() : pick([-1, notWhole(), 1000, 2 ** 32]))
    : demultiplexers.size === 0
      ? 0
      : pick([...demultiplexers.keys()]);

let raised = 0;
process.on('uncaughtException', (error) => {
  if (error.message !== 'from a turn') throw error;
  raised += 1;
});

const TURN = () =>
  chance(0.2)
    ? new Wrong(pick([undefined, null, 1, {}, 'turn', [], new Proxy({}, {})]))
    : pick([
        () => {},
        () => {
          throw new Error('from a turn');
        },
        () => {
          for (let i = 0; i < 3; i += 1) call(pick(NAMES.filter((name) => name !== 'wakeForExit')));
        },
        () => core.closeDemultiplexer(0),
      ]);

// --- wakers and offers -----------------------------------------------------------------------------------------------

const wakers = new Set();
const offers = new Set();
/** What was claimed: nobody's to close until it is settled. */
const held = new Map();

/** A handle or a token: of those that there are, that there were, or that never will be. */
const NAME_OF = (names) => () =>
  chance(0.15)
    ? new Wrong(chance(0.5) ? wrongTypes() : pick([-1, notWhole()]))
    : names.size === 0 || chance(0.1)
      ? pick([0, 1, 2 ** 20, 2 ** 20 + 1, 2 ** 52, 2 ** 53 - 2])
      : pick([...names]);

// --- registers -------------------------------------------------------------------------------------------------------

const registers = new Int32Array(4);
const sends = new Int32Array(64);
let triples = new Int32Array(0);
let registered = false;
let outbox = false;

/** Fills the registers for a verb without arguments: the first is a descriptor, or for `id` a demultiplexer. */
function load(id = false) {
  const first = id ? ID() : FD();
  const plain = first instanceof Wrong ? -1 : first;
  registers.set([plain, pick([0, 1, -1, 100, 70_000, 2 ** 31 - 1]), pick([0, 1, -1, 8, 100, 70_000, -(2 ** 31)]), 0]);
  if (id)
    for (let i = 0; i < triples.length; i += 1)
      if (chance(0.3)) triples[i] = pick([0, 1, -1, 5, 33, 63, 64, 2 ** 31 - 1, -(2 ** 31)]);
  for (let i = 0; i < sends.length; i += 2) {
    const fd = FD();
    sends[i] = fd instanceof Wrong ? -1 : fd;
    sends[i + 1] = pick([0, 1, 100, -1, 2 ** 31 - 1]);
  }
}

// --- the cases -------------------------------------------------------------------------------------------------------

const SO_LINGER = 13;
const LEVELS = ['SOL_SOCKET', 'IPPROTO_TCP', 'IPPROTO_IP', 'IPPROTO_IPV6'].map((name) => core.constants[name]);
/** Not SO_LINGER, nor another name with its number: it makes close wait. */
const OPTIONS = Object.entries(core.constants)
  .filter(([name, value]) => /^(SO|TCP|IP|IPV6)_/.test(name) && value !== SO_LINGER)
  .map(([, value]) => value);
const LEVEL = int(LEVELS);
const OPTION = int(OPTIONS);
const INTEREST = () => (chance(0.1) ? new Wrong(notInt()) : below(64));
const SLOT = int([0, 1, 2, 63, 64, 65, 1000, 2 ** 22, 2 ** 31 - 1]);
/** Of a unix address only the path is looked at. */
const loosely = (make) => () => {
  const value = make();
  return value instanceof Wrong ? value.value : value;
};
const ADDRESS = [KIND, HOST, loosely(PORT), loosely(SIZE), loosely(SIZE)];

/** What a function may return besides a negative number and what marks success. */
const VOID = ['undefined'];
const ADDRESSED = ['object', 'undefined'];

/**
 * For each function its arguments, and optionally: `least`, how many it needs; `before`, what is set up; `after`, what is
 * noted of a success; `returns`, the types of its result besides numbers.
 */
const CASES = {
  socket: { args: [int([1, 4, 6, 0]), int([1, 2, 3, 4, 5]), int([0, 0, 0, 6, 17])], after: (_args, fd) => note(fd) },
  socketPair: {
    args: [int([1, 1, 4]), int([1, 2, 3]), INT32S(false)],
    after: ([, , pair]) => [pair[0], pair[1]].forEach(note),
  },
  adopt: { args: [FD, INT32S(false)] },
  bind: { args: [FD, ...ADDRESS] },
  listen: { args: [FD, INT] },
  accept: { args: [FD], after: (_args, fd) => note(fd) },
  setPackedPeer: {
    args: [
      () =>
        chance(0.7) ? new Wrong(pick([wrongTypes(), new Int32Array(2), new Float64Array(1)])) : new Float64Array(2),
    ],
  },
  acceptedAddress: { args: [], returns: ADDRESSED },
  connect: { args: [FD, ...ADDRESS] },
  finishConnect: { args: [FD] },
  takeError: { args: [FD] },
  localAddress: { args: [FD], returns: ADDRESSED },
  remoteAddress: { args: [FD], returns: ADDRESSED },
  shutdown: { args: [FD, int([0, 1, 2, 3, -1])] },
  atMark: { args: [FD] },
  close: { args: [FD], after: ([fd]) => noteClosed(fd) },
  reset: { args: [FD], after: ([fd]) => noteClosed(fd) },
  detach: { args: [FD] },
  getOption: { args: [FD, LEVEL, OPTION] },
  setOption: { args: [FD, LEVEL, OPTION, INT] },
  getRawOption: { args: [FD, LEVEL, OPTION, BYTES] },
  setRawOption: { args: [FD, LEVEL, OPTION, BYTES] },
  recv: { args: [FD, BYTES, SIZE, SIZE, int([0, 1, 2, 3, 64, -1])], least: 2 },
  send: { args: [FD, BYTES, SIZE, SIZE, int([0, 2, 4, 6, 64, -1])], least: 2 },
  sendv: { args: [FD, CHUNKS, SIZE] },
  setRegisters: {
    args: [
      () =>
        registered || chance(0.5) ? new Wrong(pick([wrongTypes(), new Int32Array(3), new Uint8Array(64)])) : registers,
    ],
    after: () => {
      registered = true;
    },
  },
  pin: { args: [KEPT(0), int([0, 1])] },
  recvPinned: { args: [], before: () => load(), returns: VOID },
  sendPinned: { args: [], before: () => load(), returns: VOID },
  sendChunk: { args: [BYTES], before: () => load(), returns: VOID },
  receive: { args: [], before: () => load(), returns: VOID },
  borrow: { args: [FD] },
  sendAll: { args: [], before: () => load(), returns: VOID },
  setOutbox: {
    args: [
      KEPT(0),
      () => (outbox || chance(0.3) ? new Wrong(pick([wrongTypes(), new Uint8Array(8), sends.buffer])) : sends),
    ],
    after: () => {
      outbox = true;
    },
  },
  setBlock: { args: [KEPT(65536)] },
  setPool: { args: [KEPT(0), SIZE] },
  openDemultiplexer: {
    args: [TURN, INT32S(true), INT32S(true)],
    before() {
      if (demultiplexers.size > 6) for (const id of demultiplexers.keys()) core.closeDemultiplexer(id);
      if (demultiplexers.size > 6) demultiplexers.clear();
    },
    after([, written], id) {
      triples = written;
      demultiplexers.set(id, written);
    },
  },
  closeDemultiplexer: { args: [ID], after: ([id]) => demultiplexers.delete(id) },
  add: { args: [ID, FD, SLOT, INT, INTEREST] },
  watch: { args: [ID, FD, SLOT, INT, INTEREST] },
  wait: { args: [ID, SIZE] },
  receiveAhead: { args: [], before: () => load(true), returns: VOID },
  schedule: { args: [ID, DELAY] },
  hold: { args: [ID, INT] },
  threadWaker: { args: [] },
  openWaker: {
    args: [TURN],
    before() {
      if (wakers.size > 6) for (const handle of wakers) core.closeWaker(handle);
      if (wakers.size > 6) wakers.clear();
    },
    after: (_, handle) => wakers.add(handle),
  },
  closeWaker: { args: [NAME_OF(wakers)], after: ([handle]) => wakers.delete(handle) },
  wake: { args: [NAME_OF(wakers)] },
  offer: {
    args: [FD],
    after([fd], token) {
      offers.add(token);
      noteClosed(fd);
    },
  },
  claim: { args: [NAME_OF(offers)], after: ([token], fd) => held.set(token, fd) },
  settle: {
    args: [NAME_OF(offers), int([0, 1])],
    after([token, keep]) {
      if (keep !== 0) note(held.get(token));
      held.delete(token);
    },
  },
  withdraw: { args: [NAME_OF(offers)], after: (_, fd) => note(fd) },
  duplicate: { args: [FD], after: (_, fd) => note(fd) },
  // From then on nothing waits: called at the end.
  wakeForExit: { args: [] },
  recvSync: { args: [FD, BYTES, SIZE, SIZE, TIMEOUT] },
  sendAllSync: { args: [FD, BYTES, TIMEOUT] },
  waitSync: { args: [FD, INTEREST, TIMEOUT] },
  look: { args: [INT32S(false), INT32S(false), SIZE, TIMEOUT] },
  tcpInfo: { args: [FD], returns: ['object'] },
  peerCredentials: { args: [FD], returns: ['object'] },
  group: { args: [FD, int([0, 1]), INT, KIND, HOST, HOST], least: 5 },
  setGroupInterface: { args: [FD, INT, KIND, HOST] },
  interfaceIndex: { args: [HOST] },
  interfaceName: { args: [INT], returns: ['string'] },
  recvBatch: { args: [FD, BYTES, SIZE, BYTES, INT32S(false)] },
  sendBatch: { args: [FD, BYTES, SIZE, BYTES, INT32S(false), SIZE, SIZE] },
  recvFrom: { args: [FD, BYTES, int([0, 1, 2, 3, 64, -1])] },
  sendTo: { args: [FD, BYTES, int([0, 2, 4, 6, 64, -1]), ...ADDRESS] },
  takeQueuedError: { args: [FD] },
  encodeAddress: { args: [BYTES, ...ADDRESS] },
  decodeAddress: { args: [BYTES, SIZE], returns: ADDRESSED },
  sendDescriptors: { args: [FD, DESCRIPTORS, BYTES] },
  recvDescriptors: {
    args: [FD, BYTES, INT32S(false)],
    after: ([, , into]) => into.subarray(2, 2 + into[0]).forEach(note),
  },
};

const NAMES = Object.keys(CASES);
const exported = Object.keys(core).filter((name) => typeof core[name] === 'function');
const missing = [
  ...exported.filter((name) => !NAMES.includes(name)),
  ...NAMES.filter((name) => !exported.includes(name)),
];
if (missing.length > 0) {
  console.error(`fuzz-native: the functions and the cases differ by ${missing.join(', ')}`);
  process.exit(1);
}
const only = values.only?.split(',') ?? NAMES;

// --- the calls -------------------------------------------------------------------------------------------------------

const counts = Object.fromEntries(NAMES.map((name) => [name, 0]));
let exceptions = 0;

function describe(value) {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 20));
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.byteLength})`;
  if (typeof value === 'function') return 'function';
  return typeof value === 'object' && value !== null ? Object.prototype.toString.call(value) : String(value);
}

function call(name) {
  const { args, least = args.length, before, after, returns = [] } = CASES[name];
  before?.();
  const made = args.map((make) => make());
  const given = made.map((value) => (value instanceof Wrong ? value.value : value));
  let refused = made.some((value) => value instanceof Wrong);
  if (args.length > 0 && chance(0.05)) {
    given.length = below(args.length);
    // What is left out may be the wrong one.
    refused = given.length < least || made.slice(0, given.length).some((value) => value instanceof Wrong);
  } else if (chance(0.02)) given.push(1, 2, 3, 4, 5, 6, 7, 8);
  if (values.trace) writeSync(2, `${name}(${given.map(describe).join(', ')})\n`);
  counts[name] += 1;
  let result;
  try {
    result = core[name](...given);
  } catch {
    exceptions += 1;
    return;
  }
  const fits = typeof result === 'number' || returns.includes(typeof result);
  if (fits && !(refused && !(result < 0))) {
    if (typeof result === 'number' && result >= 0) after?.(given, result);
    return;
  }
  fail(`${name}(${given.map(describe).join(', ')}) returned ${describe(result)}`);
}

function fail(what) {
  console.error(`fuzz-native: ${what} (seed ${seed})`);
  process.exit(1);
}

const end = performance.now() + seconds * 1000;
let round = 0;
const enough = () => NAMES.every((name) => name === 'wakeForExit' || counts[name] >= least);
while (performance.now() < end || !enough()) {
  furnish();
  for (let i = 0; i < 200; i += 1) {
    call(
      chance(0.5)
        ? pick(only.filter((name) => name !== 'wakeForExit'))
        : pick(NAMES.filter((name) => name !== 'wakeForExit')),
    );
    if (open.size > 150) thin();
  }
  if (round % 20 === 19) gc();
  // The turns of the demultiplexers run.
  await new Promise((resolve) => setImmediate(resolve));
  round += 1;
}
for (let i = 0; i < 20; i += 1) call('wakeForExit');
for (const name of NAMES) call(name);
console.log(JSON.stringify({ seed, rounds: round, exceptions, raised, counts }));
// Some demultiplexers are open and hold the process: that is an end, too.
process.exit(0);
