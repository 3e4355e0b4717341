import { copyInto, View } from '../bytes.js';
import { HOST_LITTLE } from '../struct/byte-order.js';

/** Unmasked payloads are cut from blocks of this size, so that small ones do not cost a buffer each. */
const BLOCK_BYTES = 32_768;
/** Larger payloads get memory of their own. */
const LARGEST_POOLED = 2048;
/** Up to so many bytes a loop over the bytes is cheaper than the calls that words need. */
const LOOP_BYTES = 48;

let block = new ArrayBuffer(0);
let blockBytes = new Uint8Array(block);
let blockWords = new Int32Array(block);
/** Where the room of the block begins; a multiple of 4. */
let from = 0;

/**
 * A copy of `masked` with the mask taken off (RFC 6455 5.3). The bytes that were received may be lent to others, and are
 * left alone.
 */
export function unmask(masked: Uint8Array, mask: number): Uint8Array {
  const { length } = masked;
  if (length > LARGEST_POOLED) {
    const own = new View(new ArrayBuffer(length), 0, length);
    maskInto(own, masked, mask);
    return own;
  }
  if (from + length > blockBytes.length) {
    block = new ArrayBuffer(BLOCK_BYTES);
    blockBytes = new Uint8Array(block);
    blockWords = new Int32Array(block);
    from = 0;
  }
  const at = from;
  from = (at + length + 3) & ~3;
  if (length <= LOOP_BYTES) {
    maskBytes(blockBytes, at, masked, mask);
  } else {
    copyInto.call(blockBytes, masked, at);
    xorWords(blockWords, blockBytes, at, length, mask);
  }
  return new View(block, at, length);
}

/** Writes `plain` to `target`, which begins at a multiple of 4 in its buffer, with the mask put on; or taken off. */
export function maskInto(target: Uint8Array, plain: Uint8Array, mask: number): void {
  copyInto.call(target, plain, 0);
  xorWords(new Int32Array(target.buffer, target.byteOffset, plain.length >> 2), target, 0, plain.length, mask);
}

function maskBytes(target: Uint8Array, at: number, masked: Uint8Array, mask: number): void {
  const { length } = masked;
  const m0 = mask >>> 24;
  const m1 = (mask >>> 16) & 0xff;
  const m2 = (mask >>> 8) & 0xff;
  const m3 = mask & 0xff;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    target[at + i] = masked[i]! ^ m0;
    target[at + i + 1] = masked[i + 1]! ^ m1;
    target[at + i + 2] = masked[i + 2]! ^ m2;
    target[at + i + 3] = masked[i + 3]! ^ m3;
  }
  if (i < length) target[at + i] = masked[i]! ^ m0;
  if (i + 1 < length) target[at + i + 1] = masked[i + 1]! ^ m1;
  if (i + 2 < length) target[at + i + 2] = masked[i + 2]! ^ m2;
}

/** Four bytes at a time, in place; `at` is a multiple of 4 in both. */
function xorWords(words: Int32Array, bytes: Uint8Array, at: number, length: number, mask: number): void {
  const key = HOST_LITTLE ? swapped(mask) : mask;
  const end = (at + length) >> 2;
  for (let i = at >> 2; i < end; i++) words[i]! ^= key;
  for (let i = length & ~3; i < length; i++) bytes[at + i]! ^= mask >>> (24 - 8 * (i & 3));
}

function swapped(value: number): number {
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
}

/** 5.3: masks come from a strong source, a new one for each frame. Asked for a thousand at a time: a call is not cheap. */
const masks = new Uint32Array(1024);
let nextMask = masks.length;

export function newMask(): number {
  if (nextMask === masks.length) {
    globalThis.crypto.getRandomValues(masks);
    nextMask = 0;
  }
  const mask = masks[nextMask]!;
  masks[nextMask++] = 0;
  return mask;
}
