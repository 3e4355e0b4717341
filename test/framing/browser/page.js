/** The page: every vector through the bundles as a browser loads them. What it finds becomes the text of the document. */
import * as framing from '/framing/index.js';
import * as protocols from '/framing/protocols.js';
import vectors from '/vectors.js';

const { checkCodec, decodeAll, Framed } = framing;
const factories = { ...protocols, ...framing };
const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** Their frames are the raw bytes of a message. */
const RAW = new Set(['resp', 'ber', 'stomp', 'memcacheReply', 'proxyHeader']);
/** What the frame of a vector is of the message, where it is not the message. */
const FRAMES = {
  websocket: ({ payload }) => payload,
  statusReply: ({ code, lines }) => [code, ...lines].join('\n'),
};

/** The codec of a vector: byte strings in its options are hex. */
function codecOf(name, options) {
  const given = { ...options };
  if (given.delimiters !== undefined) given.delimiters = given.delimiters.map(unhex);
  if (given.trailer !== undefined) given.trailer = unhex(given.trailer);
  if (given.table !== undefined)
    given.table = Object.fromEntries(
      Object.entries(given.table).map(([type, size]) => [Number.parseInt(type, 16), size]),
    );
  if (RAW.has(name)) given.raw = true;
  const codec = factories[name](given);
  return FRAMES[name] === undefined
    ? codec
    : { decode: (input) => frameOf(codec.decode(input)), end: codec.end && ((input) => frameOf(codec.end(input))) };

  function frameOf(message) {
    return message === undefined ? undefined : FRAMES[name](message);
  }
}

/** `switch` is no factory: it stands for `use` after so many messages. Byte by byte is the hardest way. */
function switched({ name, options, chunks, frames }) {
  const { first, after, then } = options;
  const got = [];
  const take = (message) => got.push(message);
  const framer = new Framed(codecOf(first.codec, first.options), (message) => {
    take(message);
    if (got.length === after) framer.use(codecOf(then.codec, then.options), take);
  });
  for (const byte of unhex(chunks.join(''))) framer.push(Uint8Array.of(byte));
  framer.end();
  const shown = got.map((message) => Array.from(message, (byte) => byte.toString(16).padStart(2, '0')).join(''));
  return JSON.stringify(shown) === JSON.stringify(frames) ? [] : [`${name}: ${JSON.stringify(shown)}`];
}

const failures = [];
let runs = 0;
for (const vector of vectors) {
  try {
    if (vector.codec === 'switch') failures.push(...switched(vector));
    else {
      const report = checkCodec(codecOf(vector.codec, vector.options), [vector]);
      runs += report.runs;
      if (!report.ok) failures.push(String(report));
    }
  } catch (error) {
    failures.push(`${vector.name}: ${error.stack}`);
  }
}

// Messages are plain arrays of bytes here, and text needs nothing of Node.js.
const [message] = decodeAll(framing.lengthField({ size: 1 }), Uint8Array.of(1, 97));
if (message.constructor !== Uint8Array) failures.push(`a message is a ${message.constructor.name}`);
if (globalThis.Buffer !== undefined) failures.push('there is a Buffer');

document.body.textContent = JSON.stringify({ agent: navigator.userAgent, vectors: vectors.length, runs, failures });
