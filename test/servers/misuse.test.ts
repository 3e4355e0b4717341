/** Bad input gets a clear error at once. */

import type { ByteChannel, Reader, Writer } from '@fdset/framing';
import type { Address, Connection } from '@fdset/reactor';
import * as servers from '@fdset/servers';
import {
  createServer,
  SERVER_ERRORS,
  type Server,
  ServerError,
  type ServerOptions,
  STYLE_NAMES,
  StreamRequestHandler,
} from '@fdset/servers';
import { describe, expect, expectTypeOf, it } from 'vitest';
import Echo from './fixtures/echo.mjs';

const GOOD = { style: 'reactor', handler: Echo, address: { host: '127.0.0.1', port: 0 } } as const;

function attempt(options: object): Error & { code?: string } {
  try {
    createServer({ ...GOOD, ...options } as never);
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was accepted');
}

describe('createServer', () => {
  it.each([
    ['reacter', "is 'reactor' meant?"],
    ['iteratve', "is 'iterative' meant?"],
    ['thread', "is 'thread-per-connection' meant?"],
    ['thread-per-conection', "is 'thread-per-connection' meant?"],
    ['process-per-connecton', "is 'process-per-connection' meant?"],
    ['REACTOR', "is 'reactor' meant?"],
    ['select', 'there is no server style'],
    [undefined, 'there is no server style undefined'],
  ])('names the style that %s is near to, and all that there are', (style, message) => {
    const error = attempt({ style });
    expect(error).toBeInstanceOf(TypeError);
    expect(error.code).toBe('ERR_SERVER_STYLE');
    expect(error.message).toContain(message);
    for (const name of STYLE_NAMES) expect(error.message).toContain(`'${name}'`);
  });

  it.each([
    [{ adress: {} }, TypeError, "there is no option 'adress': is 'address' meant?"],
    [{ address: undefined }, TypeError, 'address must be { host, port }, { path } or { fd }, got undefined'],
    [{ io: 'async' }, TypeError, "io must be 'reactor' or 'blocking', got 'async'"],
    [{ io: 'blocking' }, TypeError, "io: 'blocking' is for the style 'thread-per-connection', got 'reactor'"],
    [{ maxThreads: 0 }, RangeError, 'maxThreads must be an integer of 1 or more, got 0'],
    [{ maxChildren: '5' }, TypeError, "maxChildren must be a number, got '5'"],
    [{ timeoutMs: -1 }, RangeError, 'timeoutMs must be from 0 to 2147483647 ms, got -1'],
    [{ shutdownGraceMs: Number.NaN }, RangeError, 'shutdownGraceMs must be from 0 to 2147483647 ms, got NaN'],
    [{ verifyRequest: 1 }, TypeError, 'verifyRequest must be a function, got 1'],
    [{ resourceLimits: null }, TypeError, 'resourceLimits must be an object, got null'],
  ])('refuses %j with ERR_SERVER_ARGUMENT', (options, kind, message) => {
    const error = attempt(options);
    expect(error).toBeInstanceOf(kind);
    expect(error.code).toBe('ERR_SERVER_ARGUMENT');
    expect(error.message).toBe(message);
  });

  it.each([[undefined], [42], ['echo'], [class Foreign {}], [() => {}], [StreamRequestHandler]])(
    'refuses %s as a handler with ERR_SERVER_HANDLER_CLASS',
    (handler) => {
      const error = attempt({ handler });
      expect(error).toBeInstanceOf(TypeError);
      expect(error.code).toBe('ERR_SERVER_HANDLER_CLASS');
      expect(error.message).toMatch(/^handler must be a /);
    },
  );

  it.each(['thread-per-connection', 'process-per-connection'])(
    '%s refuses a class without a module with ERR_SERVER_HANDLER_MODULE, and says what to do',
    (style) => {
      class Homeless extends StreamRequestHandler {
        handle() {}
      }
      const error = attempt({ style, handler: Homeless });
      expect(error.code).toBe('ERR_SERVER_HANDLER_MODULE');
      expect(error.message).toContain('give function Homeless a `static module = import.meta.url`');
    },
  );
});

it.each([
  [{ host: '127.0.0.1', port: 70_000 }, 'ERR_REACTOR_ARGUMENT'],
  [{ host: '127.0.0.1', port: '80' }, 'ERR_REACTOR_ARGUMENT'],
  [{ port: 80 }, 'ERR_REACTOR_ADDRESS'],
])('the address %j rejects listening with %s', async (address, code) => {
  const server = createServer({ ...GOOD, address: address as never });
  await expect(server.activate()).rejects.toMatchObject({ code });
  expect(server.health()).toBe('stopped');
});

it('an unknown backend rejects listening', async () => {
  const server = createServer({ ...GOOD, backend: 'native' as never });
  await expect(server.serveForever()).rejects.toMatchObject({ code: 'ERR_REACTOR_BACKEND' });
});

it('every error code that the sources use is in the table, and the table holds no other', async () => {
  const { readdirSync, readFileSync } = await import('node:fs');
  const folder = new URL('../../packages/servers/src/', import.meta.url);
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /(?<!\.test)\.ts$/.test(file),
  );
  const used = new Set<string>();
  for (const file of sources) {
    const text = readFileSync(new URL(file, folder), 'utf8').replace(
      /export const SERVER_ERRORS = \{.*?\} as const;/s,
      '',
    );
    for (const [, code] of text.matchAll(/'(ERR_SERVER_\w+[A-Z])'/g)) used.add(code as string);
  }
  expect([...used].sort()).toEqual(Object.keys(SERVER_ERRORS).sort());
});

it('the types say what may be given and what is got', () => {
  expectTypeOf(createServer).parameter(0).toEqualTypeOf<ServerOptions>();
  expectTypeOf<ServerOptions['style']>().toEqualTypeOf<
    'iterative' | 'reactor' | 'thread-per-connection' | 'process-per-connection'
  >();
  expectTypeOf<Server['listening']>().toEqualTypeOf<Promise<Address>>();
  expectTypeOf<Server['handleRequest']>().returns.toEqualTypeOf<Promise<'handled' | 'timeout' | 'rejected'>>();
  expectTypeOf<StreamRequestHandler['rfile']>().toEqualTypeOf<Reader>();
  expectTypeOf<StreamRequestHandler['wfile']>().toEqualTypeOf<Writer>();
  // What works on a Connection works on a handler's connection: it can be framed.
  expectTypeOf<StreamRequestHandler['connection']>().toExtend<ByteChannel>();
  expectTypeOf<Connection>().toExtend<StreamRequestHandler['connection']>();
});

it('the package exports what its documentation names, and nothing else', () => {
  expect(Object.keys(servers).sort()).toEqual(
    [
      'BaseRequestHandler',
      'SERVER_ERRORS',
      'STYLE_NAMES',
      'ServerError',
      'StreamRequestHandler',
      'createServer',
    ].sort(),
  );
  expect(new ServerError('ERR_SERVER_CLOSED', 'x')).toMatchObject({ name: 'ServerError', code: 'ERR_SERVER_CLOSED' });
});
