import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { MISUSE, notSupported, SocketError, socketError } from './errors.js';

describe('errors', () => {
  it('the README has the table of codes as it is in the code', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const rows = [...readme.matchAll(/^\| `(ERR_(?:PLUGIN|REACTOR)_\w+)` +\| (.+?) +\|$/gm)].map(
      ([, code, meaning]) => [code, meaning],
    );
    expect(Object.fromEntries(rows)).toEqual(MISUSE);
  });

  it('a SocketError has the fields of Node’s own system errors', () => {
    const error = new SocketError(-constants.errno.ECONNREFUSED, 'connect', { host: '127.0.0.1', port: 9 });
    expect(error).toMatchObject({
      name: 'SocketError',
      code: 'ECONNREFUSED',
      errno: -constants.errno.ECONNREFUSED,
      syscall: 'connect',
      address: '127.0.0.1',
      port: 9,
      message: 'connect ECONNREFUSED 127.0.0.1:9',
    });
  });

  it('an errno that libuv does not know gets the system’s name', () => {
    expect(new SocketError(-constants.errno.ENOSR, 'send').code).toBe('ENOSR');
  });

  it('what a backend cannot do names the capability', () => {
    const error = notSupported('recv', 'oob', 'emulated');
    expect(error.code).toBe('ENOTSUP');
    expect(error.message).toContain("capability 'oob'");
  });

  it('keeps the cause', () => {
    const cause = new Error('below');
    expect(socketError('EIO', 'read', undefined, { cause }).cause).toBe(cause);
  });
});
