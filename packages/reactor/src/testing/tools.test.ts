/** expectNoLeaks and splitEverywhere. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { expectNoLeaks } from './leaks.js';
import { splitEverywhere } from './split-everywhere.js';

const execute = promisify(execFile);

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
    // In a process of its own: timers of the test's runner begin and end at any time, and would be counted.
    const source = `
      import { openSync } from 'node:fs';
      import { devNull } from 'node:os';
      import { expectNoLeaks } from '${new URL('../../dist/testing/index.js', import.meta.url)}';
      let timer;
      const leak = () => {
        openSync(devNull, 'r');
        timer = setInterval(() => {}, 1000);
      };
      await expectNoLeaks(leak, { settleMs: 10 }).catch((error) => console.log(error.message));
      clearInterval(timer);
    `;
    const { stdout } = await execute(process.execPath, ['--input-type=module', '--eval', source]);
    expect(stdout).toMatch(/^left open: descriptor \d+ \(\/dev\/null\), Timeout\n$/);
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
