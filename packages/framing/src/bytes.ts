/**
 * Bytes where the platform makes a difference: in Node.js views are real `Buffer`s and the native search and
 * transcoding are used; elsewhere everything is `Uint8Array`, `TextEncoder` and `TextDecoder`.
 */

interface ViewConstructor {
  new (size: number): Uint8Array;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): Uint8Array;
}

interface NodeBuffer extends Uint8Array {
  toString(encoding?: 'utf8'): string;
}

interface NodeBufferConstructor {
  readonly [Symbol.species]?: unknown;
  readonly prototype: { readonly indexOf: (byte: number, from: number) => number };
  allocUnsafe(size: number): Uint8Array;
  allocUnsafeSlow(size: number): Uint8Array;
  byteLength(text: string, encoding: 'utf8'): number;
  from(text: string, encoding: 'utf8'): Uint8Array;
}

const NodeBuffer = (globalThis as { Buffer?: NodeBufferConstructor }).Buffer;

/**
 * Node's `Buffer[Symbol.species]` is the class that `Buffer` itself instantiates: with it a view costs a third of
 * `subarray`. It is internal, so it is tried before it is trusted.
 */
function viewConstructor(): ViewConstructor {
  const Species = NodeBuffer?.[Symbol.species] as ViewConstructor | undefined;
  try {
    if (Species !== undefined && Species !== (NodeBuffer as unknown)) {
      const view = new Species(new ArrayBuffer(8), 2, 4);
      if (view instanceof Uint8Array && view.byteOffset === 2 && view.length === 4) return Species;
    }
  } catch {
    // Not constructible here: plain typed arrays serve.
  }
  return Uint8Array;
}

/** The class of every view that is handed out. `new View(buffer, byteOffset, length)`. */
export const View: ViewConstructor = viewConstructor();

/** `%TypedArray%.prototype.indexOf` compares element by element; Node's is `memchr`. */
function nativeIndexOf(): (this: Uint8Array, byte: number, from: number) => number {
  const candidate = NodeBuffer?.prototype?.indexOf;
  try {
    if (candidate?.call(new Uint8Array([1, 2, 1]), 1, 1) === 2) return candidate;
  } catch {
    // A Buffer that insists on its own class.
  }
  return Uint8Array.prototype.indexOf;
}

const searchNatively = nativeIndexOf();

/** So many bytes are looked at before the native search is called, whose call costs about as much. */
const LOOP_BELOW = 4;

/** Node's `indexOf` takes no position above, and gives none. */
const NATIVE_MOST = 0x7fffffff;

/** Position of `byte` in `block[from, end)`, or -1. Bytes at and behind `end` are not looked at. */
export function indexOfByte(block: Uint8Array, byte: number, from: number, end: number): number {
  const near = end - from <= LOOP_BELOW ? end : from + LOOP_BELOW;
  for (let at = from; at < near; at++) if (block[at] === byte) return at;
  if (near === end) return -1;
  if (end === block.length && end <= NATIVE_MOST) return searchNatively.call(block, byte, near);
  for (let at = near; at < end; at += NATIVE_MOST) {
    const part = new View(block.buffer, block.byteOffset + at, Math.min(NATIVE_MOST, end - at));
    const found = searchNatively.call(part, byte, 0);
    if (found >= 0) return at + found;
  }
  return -1;
}

/**
 * New memory of `size` bytes or a little more, with arbitrary contents, in a buffer of its own. A plain `Uint8Array`:
 * methods of a `Buffer` are slower to look up.
 */
export function allocate(size: number): Uint8Array {
  // On-heap typed arrays (up to 64 bytes) would move to the outside as soon as a view of them is made.
  const least = Math.max(size, 128);
  if (NodeBuffer === undefined) return new Uint8Array(least);
  const { buffer, byteOffset } = NodeBuffer.allocUnsafeSlow(least);
  return new Uint8Array(buffer, byteOffset, least);
}

/** `size` new bytes, all zero; a `Buffer` where there is one. Small ones live in the heap, which is what they cost least. */
export function zeros(size: number): Uint8Array {
  return new View(size);
}

/** New bytes for a message, with arbitrary contents; small ones may share a block with others, as Node's do. */
export function newBytes(size: number): Uint8Array {
  return NodeBuffer === undefined ? new Uint8Array(size) : NodeBuffer.allocUnsafe(size);
}

/** A copy in memory of its own; a `Buffer` where there is one. */
export function copyOf(buffer: ArrayBufferLike, byteOffset: number, length: number): Uint8Array {
  const copy = new View(new ArrayBuffer(length), 0, length);
  copy.set(new Uint8Array(buffer, byteOffset, length));
  return copy;
}

/** Whether `value` is an array of bytes, of this realm or another. */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || isForeignBytes(value);
}

function isForeignBytes(value: unknown): boolean {
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Uint8Array]';
}

/**
 * `%TypedArray%.prototype.set`, to be called with `call`: looking it up, along the prototypes of a `Buffer`, takes half
 * as long as copying a small payload.
 */
export const copyInto: (this: Uint8Array, bytes: Uint8Array, at: number) => void = Uint8Array.prototype.set;

function nativeLatin1(): ((this: Uint8Array, from: number, to: number) => string) | undefined {
  const slice = (NodeBuffer?.prototype as { latin1Slice?: (this: Uint8Array, from: number, to: number) => string })
    ?.latin1Slice;
  try {
    if (slice?.call(new Uint8Array([65, 0xe9, 66]), 1, 3) === '\xe9B') return slice;
  } catch {
    // A Buffer that insists on its own class.
  }
  return undefined;
}

const sliceNatively = nativeLatin1();
/** So many arguments `fromCharCode` gets at once. */
const PIECE = 4096;

/** `bytes[from, to)` as Latin-1: each byte is the character with its number. */
export function latin1Slice(bytes: Uint8Array, from: number, to: number): string {
  if (sliceNatively !== undefined) return sliceNatively.call(bytes, from, to);
  let text = '';
  for (let at = from; at < to; at += PIECE) {
    text += String.fromCharCode(...bytes.subarray(at, Math.min(at + PIECE, to)));
  }
  return text;
}

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The UTF-8 bytes of `text`, as new bytes. */
export function utf8Bytes(text: string): Uint8Array {
  return NodeBuffer === undefined ? encoder.encode(text) : NodeBuffer.from(text, 'utf8');
}

/** The text of UTF-8 `bytes`, a byte-order mark kept as the character that it is; `undefined` if they are not UTF-8. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  if (NodeBuffer !== undefined && bytes instanceof (NodeBuffer as unknown as new () => NodeBuffer)) {
    const text = bytes.toString('utf8');
    if (!text.includes('\ufffd')) return text;
  }
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The text of `bytes` if all of them are ASCII, so that each character is a byte; otherwise `undefined`. */
export function asciiText(bytes: Uint8Array): string | undefined {
  const text = utf8Text(bytes);
  return text?.length === bytes.length ? text : undefined;
}

/** The chunks in one piece, in memory of its own. */
export function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const size = chunks.reduce((sum, { length }) => sum + length, 0);
  const bytes = new View(new ArrayBuffer(size), 0, size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
