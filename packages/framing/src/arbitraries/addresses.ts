import type { ArbitraryLike, FastCheck } from './fast-check.js';

const ODD_ONES = {
  4: ['0.0.0.0', '127.0.0.1', '255.255.255.255'],
  6: ['::', '::1', '1::', '2001:db8::1', '1::2:0:0:3:4', '1:0:2::', '::ffff:1.2.3.4', '::1:2:3:4:5:6'],
};

/** IP addresses as RFC 5952 writes them. */
export function addresses(fc: FastCheck, family: 4 | 6): ArbitraryLike<string> {
  const byte = fc.nat(255).map(String);
  // No group is 0: those would be left out.
  const group = fc.nat(0xfffe).map((value) => (value + 1).toString(16));
  const plain =
    family === 4
      ? fc.tuple(byte, byte, byte, byte).map((parts) => parts.join('.'))
      : fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':'));
  return fc.oneof(plain, fc.constantFrom(...ODD_ONES[family]));
}
