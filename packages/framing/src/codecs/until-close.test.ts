import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll, Framed, untilClose } from '../index.js';
import { comesBack, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';

describe('untilClose', () => {
  it('gives one message at the end, and nothing before', () => {
    const got: string[] = [];
    const framer = new Framed(untilClose(), (message) => got.push(String(message)));
    framer.push(Buffer.from('ab'));
    framer.push(Buffer.from('cd'));
    expect(got).toEqual([]);
    framer.end();
    expect(got).toEqual(['abcd']);
    expect(decodeAll(untilClose(), new Uint8Array(0)).map(String)).toEqual(['']);
  });

  it('the limit strikes when the byte too many comes, and passes what it allows', () => {
    const framer = new Framed(untilClose({ maxFrameLength: 3 }), () => {});
    framer.push(Buffer.from('abc'));
    expect(() => framer.push(Buffer.from('d'))).toThrow(fails('FRAME_TOO_LONG', { offset: 0 }));
    expect(decodeAll(untilClose({ maxFrameLength: 3 }), Buffer.from('abc')).map(String)).toEqual(['abc']);
    expect(() => encodeAll(untilClose({ maxFrameLength: 1 }), ['ab'])).toThrow(fails('FRAME_TOO_LONG'));
  });

  it('a large message in small chunks is put together once', () => {
    const chunk = Buffer.alloc(1024, 7);
    let length = 0;
    const framer = new Framed(untilClose(), (message) => {
      length = message.length;
    });
    for (let i = 0; i < 4096; i++) framer.push(chunk);
    framer.end();
    expect(length).toBe(4096 * 1024);
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    sameInAnyChunking(
      fc.constantFrom(0, 3, 1000).map((maxFrameLength) => untilClose({ maxFrameLength })),
      streamsOf('ab'),
    );
    comesBack(fc.constant(untilClose()), fc.tuple(fc.uint8Array({ maxLength: 3000 })));
  });
});
