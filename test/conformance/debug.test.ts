/** The debug mode: what it warns of, what it explains, and what it spoils. */
import {
  type Connection,
  type InetAddress,
  MSG_PEEK,
  READABLE,
  SocketError,
  WARNINGS,
  WOULD_BLOCK,
  WRITABLE,
} from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { closing, connected, serving } from '../support/connections.js';
import { NetPeer, NetServer } from '../support/net-peer.js';
import { runNode } from '../support/node-process.js';
import { pair, pattern, withPeer } from '../support/sockets.js';
import { Log, rejection, rounds, thrown } from '../support/waiting.js';
import { warnings } from '../support/warnings.js';

/** Holds the thread. */
function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** What warns of everything but slow handlers: where the process is held up, any handler is one. */
const DEBUG = { debug: { slowHandlerMs: 3_600_000 } };
/** A limit that no handler of a test comes near unless it spins, also on a busy machine. */
const LIMIT = { debug: { slowHandlerMs: 150 } };
const SLOW_MS = 160;

describeBackends('debug', (stage) => {
  it('a verb on a closed socket throws EBADF with the stack of the close as its cause, and warns once (100)', async () => {
    const warned = warnings();
    const [socket] = await pair(stage.reactor(DEBUG));
    function whoClosesIt(): void {
      socket.close();
    }
    function whoUsesIt(): void {
      socket.recv(Buffer.alloc(1));
    }
    whoClosesIt();
    const error = thrown(whoUsesIt);
    expect(error).toBeInstanceOf(SocketError);
    expect(error.code).toBe('EBADF');
    const cause = error.cause as Error;
    expect(cause.message).toMatch(/^socket #\d+ was closed by close\(\)$/);
    expect(cause.stack?.split('\n')[1]).toContain('whoClosesIt');
    expect(thrown(() => socket.send(Buffer.from('x'))).cause).toBe(cause);
    await rounds(2);
    const [warning] = warned.entries;
    expect(warned.entries).toHaveLength(1);
    expect(warning).toMatchObject({ code: 'WARN_REACTOR_USE_AFTER_CLOSE', cause });
    expect(warning?.message).toMatch(/^recv\(\) on socket #\d+, which is closed$/);
    expect(warning?.stack?.split('\n')[1]).toContain('whoUsesIt');
    expect(warning?.detail).toContain('whoClosesIt');
    expect(warning?.detail).toContain('whoUsesIt');
  });

  it('to register a closed socket is a use after close (100)', async () => {
    const warned = warnings();
    const reactor = stage.reactor(DEBUG);
    const [socket] = await pair(reactor);
    socket.reset();
    const error = thrown(() => reactor.register(socket, WRITABLE, () => {}));
    expect(error.code).toBe('EBADF');
    expect((error.cause as Error).message).toContain('was closed by reset()');
    await warned.reaches(1);
    expect(warned.entries[0]?.message).toContain('register()');
  });

  it('a second close warns with the stack of the first, and does nothing (100)', async () => {
    const warned = warnings();
    const [socket] = await pair(stage.reactor(DEBUG));
    function theFirst(): void {
      socket.close();
    }
    theFirst();
    socket.close();
    socket.reset();
    await rounds(2);
    expect(warned.entries.map(({ code }) => code)).toEqual(['WARN_REACTOR_DOUBLE_CLOSE']);
    expect(warned.entries[0]?.cause?.stack).toContain('theFirst');
  });

  it('a write to a closed connection warns that the data is dropped, and says who closed it (100)', async () => {
    const warned = warnings();
    const { connection, peer } = await connected(stage.reactor(DEBUG), { data() {} });
    const gone = closing(connection);
    peer.end();
    await gone;
    expect(connection.write('late')).toBe(false);
    expect(connection.write('later')).toBe(false);
    await rounds(2);
    expect(warned.entries.map(({ code }) => code)).toEqual(['WARN_REACTOR_USE_AFTER_CLOSE']);
    expect(warned.entries[0]?.message).toMatch(/^write\(\) on connection #\d+, which is closed \(by peer\)/);
    expect(warned.entries[0]?.cause?.message).toContain('was closed by close()');
  });

  it('a write after end is an error of the connection, as without debug (100)', async () => {
    const warned = warnings();
    const errors = new Log<string | undefined>();
    const { connection, peer } = await connected(stage.reactor(DEBUG), {
      data() {},
      error: (_connection, error) => errors.add((error as NodeJS.ErrnoException).code),
    });
    connection.end('bye');
    expect(connection.write('more')).toBe(false);
    await peer.ended;
    expect(errors.entries).toEqual(['ERR_REACTOR_WRITE_AFTER_END']);
    expect(warned.entries).toEqual([]);
    connection.destroy();
  });

  it('a connection that its user closes twice warns once (100)', async () => {
    const warned = warnings();
    const { connection } = await connected(stage.reactor(DEBUG), { data() {} });
    connection.reset();
    connection.destroy();
    await connection.close();
    await rounds(2);
    expect(warned.entries.map(({ code, message }) => [code, message.replace(/\d+/, 'N')])).toEqual([
      ['WARN_REACTOR_DOUBLE_CLOSE', 'destroy() on connection #N, which is closed (by local)'],
    ]);
  });

  it('whoever closes a connection that its peer has closed closes it once', async () => {
    const warned = warnings();
    const { connection, peer } = await connected(stage.reactor(DEBUG), { data() {} });
    const gone = closing(connection);
    peer.reset();
    await gone;
    connection.destroy();
    await rounds(2);
    expect(warned.entries).toEqual([]);
  });

  it('what the reactor itself closes warns of nothing: connects, resets, listeners, stop', async () => {
    const warned = warnings();
    const reactor = stage.reactor(DEBUG);
    const aborted = AbortSignal.abort();
    const server = await NetServer.listen();
    await rejection(reactor.connect(server.address, { signal: aborted }));
    const controller = new AbortController();
    const connecting = rejection(reactor.connect(server.address, { signal: controller.signal }));
    // The connect is under way once the microtasks have run, and is decided in a turn.
    for (let i = 0; i < 20; i += 1) await Promise.resolve();
    controller.abort();
    await connecting;
    await rejection(reactor.connect({ host: '127.0.0.1', port: 1 }));
    const { next, address } = await serving(reactor, { data() {} }, { maxConnections: 1, overload: 'close' });
    const first = await NetPeer.connect(address);
    const connection = await next();
    const second = await NetPeer.connect(address);
    await second.ended;
    connection.reset();
    await first.closed;
    const third = await reactor.open(server.address);
    const end = closing(third);
    await reactor.stop();
    await end;
    reactor.close();
    await rounds(3);
    expect(warned.entries.map(({ message }) => message)).toEqual([]);
  });

  it('a slow handler is warned of by its name (100)', async () => {
    const warned = warnings();
    const reactor = stage.reactor(LIMIT);
    class SlowEcho {
      #answer = 'done';
      data(connection: Connection): void {
        spin(SLOW_MS);
        connection.write(this.#answer);
      }
    }
    const listener = await reactor.serve({ host: '127.0.0.1', port: 0 }, new SlowEcho());
    const peer = await NetPeer.connect(listener.socket.localAddress as InetAddress);
    peer.write('x');
    expect((await peer.receives(4)).toString()).toBe('done');
    await warned.reaches(1);
    expect(warned.entries.map(({ code }) => code)).toEqual(['WARN_REACTOR_SLOW_HANDLER']);
    expect(warned.entries[0]?.message).toMatch(
      /^the handler SlowEcho.data ran for \d+\.\d ms \(slowHandlerMs is 150\): nothing else was served meanwhile$/,
    );
  });

  it('slow callbacks of every kind are warned of, each once', async () => {
    const warned = warnings();
    const reactor = stage.reactor(LIMIT);
    const { socket, peer } = await withPeer(reactor);
    reactor.register(socket, READABLE, function ofTheSocket(ready) {
      ready.recv(Buffer.alloc(9));
      spin(SLOW_MS);
    });
    peer.write('x');
    await warned.reaches(1);
    socket.close();
    reactor.setTimer(0, function ofTheTimer() {
      spin(SLOW_MS);
    });
    await warned.reaches(2);
    reactor.post(function ofTheTask() {
      spin(SLOW_MS);
    });
    await warned.reaches(3);
    const { connection } = await connected(reactor, {}, {});
    connection.on('close', () => spin(SLOW_MS));
    connection.destroy();
    await warned.reaches(4);
    await rounds(3);
    expect(warned.entries.map(({ message }) => message.replace(/ ran for.*/, '').replace(/\d+/, 'N'))).toEqual([
      'the handler ofTheSocket',
      'the handler ofTheTimer',
      'the handler ofTheTask',
      "a listener of 'close' of connection #N",
    ]);
  });

  it('a slow listener that a handler has called is told, and the handler is not', async () => {
    const warned = warnings();
    const reactor = stage.reactor(LIMIT);
    const { connection } = await connected(reactor, {});
    connection.on('timeout', () => spin(SLOW_MS));
    reactor.post(() => void connection.emit('timeout'));
    await warned.reaches(1);
    await rounds(3);
    expect(warned.entries.map(({ message }) => message.slice(0, 26))).toEqual(["a listener of 'timeout' of"]);
  });

  it('a quick handler is not warned of, and without debug a slow one neither', async () => {
    const warned = warnings();
    const ran = new Log<number>();
    stage.reactor(LIMIT).post(() => ran.add(1));
    stage.reactor({ debug: false }).post(() => {
      spin(SLOW_MS);
      ran.add(2);
    });
    await ran.reaches(2);
    await rounds(3);
    expect(warned.entries).toEqual([]);
  });

  it('what a slow handler throws is treated as always', async () => {
    const warned = warnings();
    const failures = new Log<unknown>();
    const reactor = stage.reactor({
      ...LIMIT,
      onHandlerError(error) {
        failures.add(error);
        return 'close';
      },
    });
    const { connection, peer } = await connected(reactor, {
      data() {
        spin(SLOW_MS);
        throw new Error('slowly');
      },
    });
    const gone = closing(connection);
    peer.write('x');
    expect((await gone).by).toBe('error');
    expect(failures.entries).toEqual([expect.objectContaining({ message: 'slowly' })]);
    await warned.reaches(1);
  });

  it('a borrowed chunk that was kept is spoilt when the handler has returned (L6)', async () => {
    const kept = new Log<Buffer>();
    const seen: string[] = [];
    const { connection, peer } = await connected(
      stage.reactor({ debug: true }),
      {
        data(_connection, chunk) {
          seen.push(chunk.toString());
          kept.add(chunk);
        },
      },
      { borrowChunks: true },
    );
    connection.on('data', (chunk) => seen.push(`listener: ${chunk}`));
    peer.write('borrowed');
    await kept.reaches(1);
    await rounds(1);
    expect(seen).toEqual(['borrowed', 'listener: borrowed']);
    expect([...(kept.entries[0] as Buffer)]).toEqual(new Array(8).fill(0xdb));
  });

  it('a borrowed chunk that is written back arrives whole, also where it cannot leave at once (L6)', async () => {
    const bytes = pattern(3_000_000);
    const { connection, peer } = await connected(
      stage.reactor({ debug: true }),
      { data: (echo, chunk) => void echo.write(chunk) },
      { borrowChunks: true },
    );
    peer.write(bytes);
    expect((await peer.receives(bytes.length)).equals(bytes)).toBe(true);
    expect(connection.bufferedBytes).toBe(0);
  });

  it('a borrowed chunk is spoilt also when its handler throws', async () => {
    const failures = new Log<unknown>();
    const kept: Buffer[] = [];
    const reactor = stage.reactor({
      debug: true,
      onHandlerError(error) {
        failures.add(error);
        return 'close';
      },
    });
    const { connection, peer } = await connected(
      reactor,
      {
        data(_connection, chunk) {
          kept.push(chunk);
          throw new Error('kept');
        },
      },
      { borrowChunks: true },
    );
    const gone = closing(connection);
    peer.write('1234');
    await gone;
    expect(failures.entries).toHaveLength(1);
    expect([...(kept[0] as Buffer)]).toEqual([0xdb, 0xdb, 0xdb, 0xdb]);
  });

  it('chunks that are not borrowed are left alone', async () => {
    const kept = new Log<Buffer>();
    const { peer } = await connected(stage.reactor({ debug: true }), {
      data: (_connection, chunk) => kept.add(chunk),
    });
    peer.write('mine');
    await kept.reaches(1);
    await rounds(2);
    expect(String(kept.entries[0])).toBe('mine');
  });

  it('a handler that is frozen serves as any other', async () => {
    warnings();
    const told = new Log<string>();
    const handler = Object.freeze({ data: (_connection: Connection, chunk: Buffer) => told.add(String(chunk)) });
    const reactor = stage.reactor({ debug: true });
    const listener = await reactor.serve({ host: '127.0.0.1', port: 0 }, handler);
    const peer = await NetPeer.connect(listener.socket.localAddress as InetAddress);
    peer.write('frozen');
    await told.reaches(1);
    expect(told.entries).toEqual(['frozen']);
    const { socket, peer: second } = await withPeer(reactor);
    reactor.register(socket, READABLE, Object.freeze({ readable: () => told.add(`${socket.recv(Buffer.alloc(9))}`) }));
    second.write('four');
    await told.reaches(2);
    expect(told.entries[1]).toBe('4');
  });

  it('a handler whose method is exchanged while it serves is followed', async () => {
    const handler = { data: (connection: Connection) => void connection.write('old') };
    const listener = await stage.reactor({ debug: true }).serve({ host: '127.0.0.1', port: 0 }, handler);
    const peer = await NetPeer.connect(listener.socket.localAddress as InetAddress);
    peer.write('x');
    await peer.receives(3);
    handler.data = (connection) => void connection.write('new');
    peer.write('x');
    expect((await peer.receives(6)).toString()).toBe('oldnew');
  });

  it('an observed socket behaves as one that is not', async () => {
    warnings();
    const { socket, peer } = await withPeer(stage.reactor({ debug: true, record: [] }));
    expect(socket.recv(Buffer.alloc(1), 0, 1, MSG_PEEK)).toBe(WOULD_BLOCK);
    expect(thrown(() => socket.recv(Buffer.alloc(0))).code).toBe('ERR_REACTOR_BUFFER');
    socket[Symbol.dispose]();
    expect(socket.closed).toBe(true);
    await peer.ended;
  });

  it('a process without a listener prints the warning with both places', async () => {
    const { code, stderr } = await runNode(
      `
      import { Reactor } from '@fdset/reactor';
      const socket = new Reactor({ debug: true }).socket();
      function first() { socket.close(); }
      function second() { socket.close(); }
      first();
      second();
    `,
      { backend: stage.backend },
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /\[WARN_REACTOR_DOUBLE_CLOSE\] FdsetWarning: close\(\) on socket #1, which is closed already/,
    );
    expect(stderr).toMatch(/at second[\s\S]*socket #1 was closed by close\(\)\n +at first/);
  });

  it('every warning has its meaning in the table', () => {
    expect(Object.keys(WARNINGS)).toEqual([
      'WARN_REACTOR_DOUBLE_CLOSE',
      'WARN_REACTOR_SLOW_HANDLER',
      'WARN_REACTOR_USE_AFTER_CLOSE',
    ]);
  });
});
