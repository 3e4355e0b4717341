/** expectNoLeaks and splitEverywhere. */
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { describe, expect, it } from 'vitest';
import { expectNoLeaks } from './leaks.js';
import { splitEverywhere } from './split-everywhere.js';

const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

describe('expectNoLeaks', () => {
  it('gives what the function gives, where it leaves nothing', async () => {
    const opened = async () => {
      const fd = openSync(devNull, 'r');
      setTimeout(() => closeSync(fd), 20);
      return 'done';
    };
    expect(await expectNoLeaks(opened)).toBe('done');
  });

  it.runIf(process.platform === 'linux')('names a descriptor and a timer that stay', async () => {
    let fd = -1;
    let timer: NodeJS.Timeout | undefined;
    const leak = () => {
      fd = openSync(devNull, 'r');
      timer = setInterval(() => {}, 1000);
    };
    // The test's own timeout stays; another timer of the runner that ends meanwhile would be missing from the count.
    while (timers() > 1) await new Promise(setImmediate);
    const left = expectNoLeaks(leak, { settleMs: 10 });
    await expect(left).rejects.toThrow(/^left open: descriptor \d+ \(\/dev\/null\), Timeout$/);
    closeSync(fd);
    clearInterval(timer);
  });

  it('rejects with what the function throws', async () => {
    await expect(expectNoLeaks(() => Promise.reject(new Error('its own')))).rejects.toThrow('its own');
    await expect(expectNoLeaks('f' as never)).rejects.toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
  });
});

describe('splitEverywhere', () => {
  it('calls with the bytes whole, cut at each place, and byte by byte', async () => {
    const calls: [number, string[]][] = [];
    await splitEverywhere(Buffer.from('abc'), (pieces, at) => {
      calls.push([at, pieces.map(String)]);
    });
    expect(calls).toEqual([
      [0, ['abc']],
      [1, ['a', 'bc']],
      [2, ['ab', 'c']],
      [-1, ['a', 'b', 'c']],
    ]);
  });

  it('names the cut at which the check failed, also of one that is asynchronous', async () => {
    const check = async (pieces: Buffer[]) => assert.notEqual(pieces[0]?.toString(), 'ab');
    await expect(splitEverywhere(Buffer.from('abc'), check)).rejects.toThrow(/^3 bytes, cut at 2: /);
  });

  it('refuses what is no bytes and no function', async () => {
    await expect(splitEverywhere('abc' as never, () => {})).rejects.toMatchObject({ code: 'ERR_REACTOR_BUFFER' });
    await expect(splitEverywhere(Buffer.alloc(1), 1 as never)).rejects.toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
  });
});
