#!/usr/bin/env node
/**
 * Every codec and every protocol of @fdset/framing with what a hostile peer may send, in random chunking. The short form
 * runs in the test suite; for the long one see --help.
 */
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect, isDeepStrictEqual, parseArgs } from 'node:util';
import fc from 'fast-check';

const HELP = `usage: node scripts/fuzz-framing.mjs [--seconds 5] [--seed 1] [--only resp,mqtt] [--also cases.mjs]
       [--trace]

Random bytes, and streams of the codec with bytes changed, lost, added, repeated or cut off, go through every codec and
protocol: in one piece, in random pieces and byte by byte. All three must give the same messages and the same errors at the
same place. Nothing but a FramingError may be thrown, no stream may take longer than --slow, and what is held
or allocated may be at most 4 times what was received and 64 KiB. Ends with code 0 and one line of JSON (streams, messages
and errors of each case), or with 1 and the smallest stream that was found.

  --seconds  how long, all cases together (5)
  --seed     decides the streams (1)
  --slow     most seconds of processor time for one stream, ever so many times what it needs (5)
  --only     these cases only, by the beginnings of their names
  --also     a module with more cases: its default export is { name: { codecs, lists } }, lists an arbitrary of fast-check
             for the messages of a stream
  --trace    writes the name of each case to stderr before it begins, to find the one that hangs

The packages must have been built: node scripts/prepare.mjs.`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    slow: { type: 'string', default: '5' },
    only: { type: 'string' },
    also: { type: 'string' },
    trace: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const [seconds, seed, slow] = [Number(values.seconds), Number(values.seed), Number(values.slow)];
if (!(seconds > 0) || !(slow > 0) || !Number.isSafeInteger(seed)) {
  console.error(`fuzz-framing: --seconds and --slow take a number above 0, --seed an integer\n\n${HELP}`);
  process.exit(2);
}

const dist = path.resolve(fileURLToPath(import.meta.url), '../../packages/framing/dist');
const load = (name) => import(pathToFileURL(path.join(dist, name)).href);
const framing = await load('index.js');
const protocols = await load('protocols.js');
const arbitraries = await load('arbitraries.js');
const { Framed, FramingError } = framing;

// --- cases -----------------------------------------------------------------------------------------------------------

/** By name: the codecs, the first of which writes the streams that are spoilt, and the messages of a stream. */
const cases = {};
const listsOf = (messages) => fc.array(messages, { maxLength: 5 });
const payloads = (options) => arbitraries.payloads(fc, options);
const SHORT = { maxFrameLength: 5 };
const DISCARD = { ...SHORT, onTooLong: 'discard' };
const notEmpty = { minLength: 1 };
const LF = Uint8Array.of(10);
const CR = Uint8Array.of(13);

function add(name, codecs, lists) {
  cases[name] = { codecs, lists };
}

/** A codec of payloads, with every set of options. */
function addCodec(name, options, messages = payloads(), base = {}) {
  add(
    name,
    options.map((each) => framing[name]({ ...base, ...each })),
    listsOf(messages),
  );
}

const lineOptions = [
  {},
  { eol: 'any' },
  { eol: 'crlf', bareLF: 'error' },
  SHORT,
  DISCARD,
  { ...DISCARD, eol: 'any', strip: false },
];
addCodec('fixed', [{}], payloads({ minLength: 7, maxLength: 7 }), { length: 7 });
addCodec('lines', lineOptions, payloads({ without: [LF, CR] }));
addCodec(
  'utf8Lines',
  lineOptions,
  fc.string().filter((text) => !/[\r\n]/.test(text)),
);
addCodec(
  'delimiter',
  [{}, SHORT, DISCARD, { strip: false }],
  payloads({ without: [Uint8Array.of(0, 0)] }).filter((each) => each.at(-1) !== 0),
  {
    delimiters: [Uint8Array.of(0, 0), 'ab\0'],
  },
);
addCodec('lengthField', [
  {},
  SHORT,
  DISCARD,
  { size: 1, counts: 'frame', trailer: '\r\n' },
  { size: 8, endian: 'le' },
  { size: 3, offset: 2, keepHeader: true, adjust: -1 },
]);
addCodec('asciiLength', [{}, SHORT], payloads(), { digits: 4 });
addCodec('varint', [{}, { canonical: true }, { maxBytes: 10 }, SHORT]);
addCodec('netstring', [{}, SHORT]);
addCodec('octetCount', [{}, SHORT], payloads(notEmpty));
addCodec(
  'typeTable',
  [{}],
  payloads({ maxLength: 3 }).map((each) => Uint8Array.of(1, ...each, 0, 0, 0, 0).slice(0, 5)),
  {
    table: { 0: 1, 1: 4, 48: 12, 255: 0x7fffffff },
  },
);
addCodec('untilClose', [{}, SHORT]);
addCodec('slip', [{}, SHORT, DISCARD], payloads(notEmpty));
addCodec('cobs', [{}, SHORT, DISCARD]);
addCodec('dotStuffed', [{}, { bareLF: 'error' }, SHORT]);
addCodec(
  'statusReply',
  [{}, { style: 'ftp' }, { style: 'smtp' }, SHORT],
  fc.record({
    code: fc.integer({ min: 200, max: 599 }),
    lines: fc.array(
      fc.string().filter((text) => !/[\0\r\n]/.test(text)),
      { minLength: 1, maxLength: 3 },
    ),
  }),
);
add(
  'json',
  [framing.json(framing.lines()), framing.json(framing.netstring())],
  listsOf(fc.jsonValue().filter((value) => value !== undefined)),
);
add(
  'checksummed',
  ['crc32', 'crc32c', 'adler32'].map((name) => framing.checksummed(framing.netstring(), name)),
  listsOf(payloads()),
);
add(
  'text',
  [framing.text(framing.netstring(), 'utf8'), framing.text(framing.slip(), 'latin1')],
  listsOf(fc.string({ minLength: 1, unit: 'grapheme-ascii' })),
);
add('once', [framing.once(framing.netstring()).then(framing.slip())], listsOf(payloads(notEmpty)));
add(
  'inParts',
  [framing.inParts(framing.lengthField({ size: 1 }), (header) => header.length * 1000)],
  listsOf(payloads()).map((list) => list.slice(0, 1)),
);

const { array, ascii, bits, bytes, le, struct, u8, u16, u32, utf8 } = framing;
const layout = {
  flags: bits({ high: 3, low: 5 }),
  name: ascii(4),
  items: array(le(u16), u8),
  parts: array(bytes(u16), 'count'),
  text: utf8(u32),
};
const layouts = [struct({ count: u8, ...layout }), struct({ count: u8, ...layout }, { maxFrameLength: 12 })];
add(
  'struct',
  layouts,
  listsOf(
    fc
      .record({
        flags: fc.record({ high: fc.nat(7), low: fc.nat(31) }),
        name: fc.constantFrom('', 'abcd'),
        items: fc.array(fc.nat(0xffff), { maxLength: 4 }),
        parts: fc.array(payloads({ maxLength: 9 }), { maxLength: 3 }),
        text: fc.string(),
      })
      .map((value) => ({ count: value.parts.length, ...value })),
  ),
);

const { ber, chunked, dns, memcache, memcacheReply, mqtt, postgres, proxyHeader, resp, stomp, syslog, websocket } =
  protocols;
const of = (name, ...options) => listsOf(arbitraries[name](fc, ...options));
add(
  'resp',
  [resp(), resp({ raw: true }), resp({ inline: true }), resp({ maxDepth: 2 }), resp({ maxFrameLength: 20 })],
  of('respMessages'),
);
add(
  'websocket',
  [websocket(), websocket({ role: 'client' }), websocket(SHORT)],
  arbitraries.webSocketConversations(fc),
);
add(
  'websocket, masked',
  [websocket({ masked: true }), websocket(), websocket({ role: 'server', ...SHORT })],
  arbitraries.webSocketConversations(fc),
);
add('chunked', [chunked({ details: true }), chunked(), chunked({ ...SHORT, maxHeaderLength: 9 })], of('httpChunks'));
add('postgres', [postgres(), postgres(SHORT)], of('postgresMessages'));
add(
  'postgres, startup',
  [postgres({ startup: true }), postgres({ startup: true, ...SHORT })],
  arbitraries.postgresConversations(fc),
);
for (const version of [3, 4, 5])
  add(
    `mqtt ${version}`,
    [mqtt({ version }), mqtt({ version, maxFrameLength: 20 }), mqtt()],
    of('mqttPackets', { version }),
  );
for (const version of [1, 2])
  add(
    `proxyHeader ${version}`,
    [proxyHeader(), proxyHeader({ version, raw: true }), proxyHeader({ maxFrameLength: 40 })],
    of('proxyHeaders', { version }).map((list) => list.slice(0, 1)),
  );
add('stomp', [stomp(), stomp({ raw: true }), stomp(SHORT), stomp({ maxHeaderLength: 12 })], of('stompFrames'));
add('memcache', [memcache(), memcache(SHORT), memcache({ maxHeaderLength: 12 })], of('memcacheRequests'));
add(
  'memcacheReply',
  [memcacheReply(), memcacheReply({ raw: true }), memcacheReply({ maxFrameLength: 20, maxHeaderLength: 12 })],
  of('memcacheReplies'),
);
add('ber', [ber(), ber({ raw: true }), ber(SHORT)], of('berElements'));
add(
  'dns',
  [dns(), dns({ maxFrameLength: 40 })],
  of('dnsMessages').map((list) => list.slice(0, 2)),
);
add('syslog', [syslog(), syslog({ framing: 'octet-counting' }), syslog({ maxFrameLength: 40 })], of('syslogMessages'));
add(
  'syslog, lines',
  [syslog({ framing: 'lf' }), syslog({ framing: 'lf', maxFrameLength: 40 })],
  of('syslogMessages', { framing: 'lf' }),
);

if (values.also !== undefined)
  Object.assign(cases, (await import(pathToFileURL(path.resolve(values.also)).href)).default);

// --- what is checked -------------------------------------------------------------------------------------------------

/** What of the streams of a case has come. */
const counts = Object.fromEntries(Object.keys(cases).map((name) => [name, { streams: 0, messages: 0, errors: 0 }]));

/** What the pieces give: messages, the places of errors, and how the stream ended. */
function outcome(codec, pieces) {
  const messages = [];
  const errors = [];
  const framer = new Framed(codec, (message) => messages.push(message), {
    onError: (error) => errors.push(`${error.code} at ${error.offset}`),
  });
  let received = 0;
  const before = process.memoryUsage().arrayBuffers;
  try {
    for (const piece of pieces) {
      received += piece.length;
      framer.push(piece);
      const held = heldBy(framer, codec);
      if (held > 4 * received + 65_536) throw new Error(`holds ${held} bytes of ${received} that were received`);
    }
    framer.end();
  } catch (error) {
    if (!(error instanceof FramingError)) throw error;
    errors.push(`${error.code} at ${error.offset}, fatal`);
  }
  const allocated = process.memoryUsage().arrayBuffers - before;
  if (allocated > 4 * received + 65_536) throw new Error(`allocates ${allocated} bytes for ${received}`);
  return { messages, errors };
}

/** Bytes of all memory that `framer` leads to, its codec and callbacks left out. */
function heldBy(framer, codec) {
  const seen = new Set([codec]);
  let bytes = 0;
  const add = (value) => {
    if (typeof value === 'string') bytes += value.length;
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof ArrayBuffer) bytes += value.byteLength;
    else if (ArrayBuffer.isView(value)) add(value.buffer);
    else {
      bytes += 16;
      for (const each of value instanceof Map ? [...value].flat() : Object.values(value)) add(each);
    }
  };
  add(framer);
  return bytes;
}

function check(name, codecs, stream) {
  const { bytes, chunks } = stream;
  const started = process.cpuUsage();
  for (const codec of codecs) {
    const whole = outcome(codec, [bytes.slice()]);
    for (const pieces of [chunks, Array.from(bytes, (byte) => Uint8Array.of(byte))]) {
      const cut = outcome(codec, pieces);
      if (!isDeepStrictEqual(cut, whole))
        throw new Error(
          `codec ${codecs.indexOf(codec)}: ${inspect(whole)} whole, ${inspect(cut)} in ${pieces.length} pieces`,
        );
    }
    counts[name].messages += whole.messages.length;
    counts[name].errors += whole.errors.length;
  }
  counts[name].streams++;
  const { user } = process.cpuUsage(started);
  // At once: to look for a smaller one would take hours.
  if (user > slow * 1e6) fail(name, `takes ${user / 1e6} s of processor time`, stream);
}

function fail(name, message, stream) {
  const hex = stream === undefined ? '' : Buffer.from(stream.bytes).toString('hex');
  const sizes = stream?.chunks.map(({ length }) => length).join(', ');
  console.error(`${name}: ${message}\nbytes ${hex}\nin pieces of ${sizes}`);
  process.exit(1);
}

const wanted = values.only?.split(',');
const names = Object.keys(cases).filter((name) => wanted === undefined || wanted.some((each) => name.startsWith(each)));
if (names.length === 0) {
  console.error(`fuzz-framing: --only names none of ${Object.keys(cases).join(', ')}`);
  process.exit(2);
}
const until = performance.now() + 1000 * seconds;
for (let round = 0; round === 0 || performance.now() < until; round++) {
  for (const name of names) {
    if (round > 0 && performance.now() >= until) break;
    if (values.trace) console.error(`${name}, round ${round}`);
    const { codecs, lists } = cases[name];
    const streams = arbitraries.hostileStreams(fc, codecs[0], lists);
    const result = fc.check(
      fc.property(streams, (stream) => check(name, codecs, stream)),
      { seed: seed + round, numRuns: 20 },
    );
    if (result.failed)
      fail(name, `with --seed ${seed + round}: ${result.errorInstance?.stack}`, result.counterexample?.[0]);
  }
}
console.log(JSON.stringify({ seed, seconds, counts: Object.fromEntries(names.map((name) => [name, counts[name]])) }));
