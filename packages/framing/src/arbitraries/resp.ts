import { RespError, type RespMessage, RespPush, RespSet, RespVerbatim } from '../protocols/resp-types.js';
import { type ArbitraryLike, type FastCheck, textOf } from './fast-check.js';
import { payloads } from './streams.js';

/** Options of {@link respMessages}. */
export interface RespMessagesOptions {
  /** `2`: only what RESP2 has a type for. Default 3. */
  version?: 2 | 3 | undefined;
  /** How deep arrays are nested. Default 3. */
  maxDepth?: number | undefined;
}

const INTEGERS = [0, 1, -1, 9, 10, 255, -128, 2 ** 31, -(2 ** 32), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
const LARGE = [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)];
const DOUBLES = [0.5, -0, -1.25e21, 5e-324, 1.7976931348623157e308, Number.NaN, Infinity, -Infinity];
const BIG = [0n, -5n, 2n ** 63n, -(2n ** 64n), 10n ** 100n];

/** Messages of `resp`. */
export function respMessages(fc: FastCheck, options: RespMessagesOptions = {}): ArbitraryLike<RespMessage> {
  const { version = 3, maxDepth = 3 } = options;
  const line = textOf(fc, 'OK abcé€\u{1f4a9}:$*-+\t"');
  const simple: ArbitraryLike<RespMessage>[] = [
    line,
    payloads(fc),
    fc.oneof(fc.constantFrom(...INTEGERS), fc.nat(0x7fffffff)),
    fc.constantFrom<RespMessage>(null, ...LARGE),
    line.map((text) => new RespError(text)),
  ];
  if (version === 3) {
    simple.push(
      fc.constantFrom<RespMessage>(true, false, ...DOUBLES, ...BIG),
      textOf(fc, 'ERR é\r\n').map((text) => new RespError(text)),
      fc
        .tuple(fc.constantFrom('txt', 'mkd'), payloads(fc))
        .map(([format, content]) => new RespVerbatim(format, content)),
    );
  }
  const lists: ((items: RespMessage[]) => RespMessage)[] = [(items) => items];
  if (version === 3) {
    lists.push(
      (items) => RespSet.from(items),
      (items) => RespPush.from(items),
      (items) => new Map(items.map((item, i): [RespMessage, RespMessage] => [item, items[items.length - 1 - i]!])),
    );
  }
  let messages = fc.oneof(...simple);
  for (let depth = 0; depth < maxDepth; depth++) {
    const nested = fc.tuple(fc.constantFrom(...lists), fc.array(messages, { maxLength: 4 }));
    messages = fc.oneof(
      ...simple,
      nested.map(([list, items]) => list(items)),
    );
  }
  return messages;
}
