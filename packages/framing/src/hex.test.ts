import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { hexdump } from './index.js';

/** util-linux has it. */
function systemHexdump(bytes: Uint8Array): string | undefined {
  try {
    return execFileSync('hexdump', ['-v', '-C'], { input: bytes, encoding: 'utf8' });
  } catch {
    return undefined;
  }
}

describe('hexdump', () => {
  it('writes offset, bytes and text', () => {
    expect(hexdump(new TextEncoder().encode('GET / HTTP/1.1\r\nHost: x\r\n'))).toBe(
      [
        '00000000  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|',
        '00000010  48 6f 73 74 3a 20 78 0d  0a                       |Host: x..|',
      ].join('\n'),
    );
  });

  it('writes what hexdump -C writes', (context) => {
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => i & 0xff);
    const wanted = systemHexdump(bytes);
    if (wanted === undefined) context.skip('there is no hexdump here');
    // Its last line is the length.
    expect(hexdump(bytes)).toBe(wanted!.trimEnd().split('\n').slice(0, -1).join('\n'));
  });

  it('counts from an offset, and says what it leaves out', () => {
    expect(hexdump(Uint8Array.of(1, 2, 3), { offset: 0x20, maxBytes: 1 })).toBe(
      `00000020  01${' '.repeat(47)} |.|\n… 2 bytes more`,
    );
    expect(hexdump(new Uint8Array())).toBe('');
  });

  it('refuses what is no bytes', () => {
    expect(() => hexdump('text' as never)).toThrowError(expect.objectContaining({ code: 'ERR_FRAMING_CHUNK' }));
  });
});
