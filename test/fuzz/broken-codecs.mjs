/** Codecs that the fuzz must find fault with: cases for `scripts/fuzz-framing.mjs --also`. */
import { pbkdf2Sync } from 'node:crypto';
import fc from 'fast-check';

const lists = fc.constant([Uint8Array.of(1, 2, 3)]);
const encode = (bytes, output) => output.bytes(bytes);
const broken = (decode) => ({ codecs: [{ decode, encode }], lists });
const kept = [];

export default {
  cuts: broken((input) => input.take(input.length)),
  throws: broken(() => {
    throw new TypeError('oh');
  }),
  allocates: broken((input) => {
    kept.push(new Uint8Array(100_000));
    return input.take(1);
  }),
  holds: broken((input) => {
    input.state ??= [new Uint8Array(70_000)];
    return undefined;
  }),
  slow: broken((input) => {
    if (input.offset === 0) pbkdf2Sync('a', 'b', 500_000, 64, 'sha512');
    return input.take(1);
  }),
};
