/** What a user's compiler shows of the package: no type that cannot be imported, and of the classes what users may touch. */
import { bytes, type Field, type Infer, struct, u8 } from '@fdset/framing';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { PublishedTypes } from '../support/published-types.js';

const SHOWN = {
  Framed: [
    ...['paused', 'finished', 'failure', 'buffered', 'needed', 'leftover', 'queued', 'push', 'end', 'send', 'flush'],
    ...['consumed', 'pause', 'resume', 'use'],
  ],
  Input: [
    ...['length', 'offset', 'matched', 'state', 'has', 'u8', 'u16', 'u24', 'u32', 'u64', 'indexOf', 'skip', 'take'],
    ...['text', 'rewind', 'discard', 'dropNext'],
  ],
  Output: ['length', 'state', 'u8', 'u16', 'u24', 'u32', 'u64', 'bytes', 'text', 'reserve'],
  Field: ['size', 'least', 'valueType'],
};

describe('the published types', () => {
  const types = new PublishedTypes(
    '@fdset/framing',
    '@fdset/framing/protocols',
    '@fdset/framing/node',
    '@fdset/framing/arbitraries',
  );

  it('name no type that a user cannot import', () => {
    expect(types.unexported()).toEqual([]);
  });

  it.each(Object.entries(SHOWN))('show of %s what users may touch, and nothing else', (name, members) => {
    expect(types.membersOf(name)).toEqual([...members].sort());
  });

  it('tell the type of the values of a field', () => {
    const layout = struct({ type: u8, payload: bytes(u8) });
    expectTypeOf<Infer<typeof u8>>().toEqualTypeOf<number>();
    expectTypeOf<Infer<typeof layout>>().toEqualTypeOf<{ type: number; payload: Uint8Array }>();
    expectTypeOf<Field<string>>().not.toExtend<Field<number>>();
  });
});
