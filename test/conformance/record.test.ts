/** What `trace` and `record` tell, against what has happened. */
import {
  formatTraceEvent,
  MSG_PEEK,
  READABLE,
  type ReactorOptions,
  type TraceEvent,
  WOULD_BLOCK,
} from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { closing, connected, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { runNode } from '../support/node-process.js';
import { accepted, arrived, listening, owned, pair, pattern, withPeer } from '../support/sockets.js';
import { Log, rounds, thrown, until } from '../support/waiting.js';

/** The events of one socket, `[call, result or error]` each. */
function of(events: readonly TraceEvent[], socket: number): [string, unknown][] {
  return events
    .filter((event) => event.socket === socket && event.call !== 'watch')
    .map(({ call, result, error }) => [call, error ?? result]);
}

/** The payloads of all events of these calls, one behind the other. */
function bytesOf(events: readonly TraceEvent[], calls: readonly string[]): Buffer {
  const told = events.filter(({ call, payload }) => calls.includes(call) && payload !== undefined);
  return Buffer.concat(told.map(({ payload }) => Buffer.from(payload as string, 'base64')));
}

describeBackends('record', (stage) => {
  it('each verb is told with its arguments, its result or its error, and its bytes', async () => {
    const record: TraceEvent[] = [];
    const reactor = stage.reactor({ record });
    const { socket, peer } = await withPeer(reactor);
    peer.write('hello');
    await arrived(socket, 5);
    record.length = 0;
    const into = Buffer.alloc(64);
    socket.recv(into, 0, 2, MSG_PEEK);
    socket.recv(into, 1, 3);
    socket.recv(into);
    socket.recv(into);
    socket.send(Buffer.from('abc'));
    socket.sendv([Buffer.from('de'), Buffer.from('f')]);
    thrown(() => socket.recv(into, 65));
    thrown(() => socket.shutdown('sideways' as never));
    socket.shutdown('write');
    thrown(() => socket.send(Buffer.from('late')));
    socket.close();
    thrown(() => socket.recv(into));
    const told = record.map(({ sequence, time, socket, ...rest }) => rest).filter(({ call }) => call !== 'watch');
    expect(told).toEqual([
      { call: 'recv', args: [2, 'MSG_PEEK'], result: 2 },
      { call: 'recv', args: [3], result: 3, bytes: 3 },
      { call: 'recv', args: [64], result: 2, bytes: 2 },
      { call: 'recv', args: [64], result: WOULD_BLOCK },
      { call: 'send', args: [3], result: 3, bytes: 3 },
      { call: 'sendv', args: ['[2, 1]'], result: 3, bytes: 3 },
      { call: 'recv', args: [-1], error: 'ERR_REACTOR_BUFFER' },
      { call: 'shutdown', args: ['sideways'], error: 'ERR_REACTOR_ARGUMENT' },
      { call: 'shutdown', args: ['write'] },
      { call: 'send', args: [4], error: 'EPIPE' },
      { call: 'close', args: [] },
      { call: 'recv', args: [64], error: 'EBADF' },
    ]);
    expect(new Set(record.map(({ socket }) => socket)).size).toBe(1);
    expect((await peer.receives(6)).toString()).toBe('abcdef');
  });

  it('sockets are numbered from 1 as they are made, and accept tells the number of what it gives', async () => {
    const record: TraceEvent[] = [];
    const reactor = stage.reactor({ record });
    const { listener, address } = await listening(reactor);
    const client = owned(reactor.socket());
    client.connect(address);
    const server = await accepted(reactor, listener);
    await until(() => client.finishConnect());
    server.close();
    expect(of(record, 1)).toContainEqual(['accept', 3]);
    expect(of(record, 2)[0]).toEqual(['socket', undefined]);
    expect(of(record, 2)[1]?.[0]).toBe('connect');
    expect(of(record, 2).at(-1)).toEqual(['finishConnect', true]);
    expect(of(record, 3)).toEqual([['close', undefined]]);
    const connect = record.find(({ call }) => call === 'connect');
    expect(connect?.args).toEqual([`127.0.0.1:${address.port}`]);
  });

  it('waits tell which sockets are ready, and turns what they took', async () => {
    const record: TraceEvent[] = [];
    const reactor = stage.reactor({ record });
    const { socket, peer } = await withPeer(reactor);
    const heard = new Log<number>();
    const registration = reactor.register(socket, READABLE, () => {
      socket.recv(Buffer.alloc(16));
      heard.add(1);
    });
    const before = record.length;
    peer.write('x');
    await heard.reaches(1);
    await rounds(2);
    registration.unregister();
    const told = record.slice(before);
    const id = told.find(({ call }) => call === 'recv')?.socket as number;
    const wait = told.find(({ call, ready }) => call === 'wait' && ready?.length === 1) as TraceEvent;
    expect(wait.result).toBe(1);
    expect(wait.ready?.[0]?.[0]).toBe(id);
    expect((wait.ready?.[0]?.[1] as number) & READABLE).toBe(READABLE);
    const turn = told.find(({ call, sequence }) => call === 'turn' && sequence > wait.sequence) as TraceEvent;
    expect(turn).toMatchObject({ socket: 0, result: 1, elapsedMs: expect.any(Number) });
    expect(
      told.some(({ call, socket, sequence }) => call === 'recv' && socket === id && sequence < turn.sequence),
    ).toBe(true);
    expect(record.filter(({ call }) => call === 'turn')).toHaveLength(reactor.metrics.turns);
    expect(record.filter(({ call }) => call === 'wait').reduce((sum, { result }) => sum + (result as number), 0)).toBe(
      reactor.metrics.events,
    );
  });

  it('every byte of a connection goes through a told verb, in order, with payloads on demand (101)', async () => {
    const record: TraceEvent[] = [];
    const reactor = stage.reactor({ record: { sink: record, payloads: true } });
    const { address } = await serving(reactor, {
      data(connection, chunk) {
        connection.write(chunk.subarray(0, 1));
        connection.write(chunk.subarray(1));
      },
    });
    const peer = await NetPeer.connect(address);
    const bytes = pattern(300_000);
    for (let at = 0; at < bytes.length; at += 50_000) {
      peer.write(bytes.subarray(at, at + 50_000));
      await peer.receives(at + 50_000);
    }
    expect(bytesOf(record, ['receive']).equals(bytes)).toBe(true);
    expect(bytesOf(record, ['send', 'sendv']).equals(bytes)).toBe(true);
    const moved = (calls: string[]) =>
      record.filter(({ call }) => calls.includes(call)).reduce((sum, event) => sum + (event.bytes ?? 0), 0);
    expect(moved(['receive', 'recv'])).toBe(reactor.metrics.bytesIn);
    expect(moved(['send', 'sendv'])).toBe(reactor.metrics.bytesOut);
  });

  it('payloads are left out where they are not asked for', async () => {
    const record: TraceEvent[] = [];
    const { connection, peer } = await connected(stage.reactor({ record: { sink: record } }), {
      data: (echo, chunk) => void echo.write(chunk),
    });
    peer.write('secret');
    await peer.receives(6);
    expect(record.some(({ bytes }) => bytes === 6)).toBe(true);
    expect(record.filter(({ payload }) => payload !== undefined)).toEqual([]);
    connection.destroy();
  });

  it('the payload of a send are the bytes that were taken, and of those alone', async () => {
    const record: TraceEvent[] = [];
    const reactor = stage.reactor({ record: { sink: record, payloads: true } });
    const [client] = await pair(reactor);
    const block = pattern(65536);
    while (client.send(block) !== WOULD_BLOCK);
    const sends = record.filter(({ call, bytes }) => call === 'send' && bytes !== undefined);
    for (const { bytes, payload } of sends)
      expect(Buffer.from(payload as string, 'base64').equals(block.subarray(0, bytes))).toBe(true);
    expect(record.at(-1)).toMatchObject({ call: 'send', result: WOULD_BLOCK });
    expect(record.at(-1)?.payload).toBe(undefined);
  });

  it('an event is plain data: JSON keeps all of it', async () => {
    const record: TraceEvent[] = [];
    const reactor = stage.reactor({ record: { sink: record, payloads: true } });
    const { connection, peer } = await connected(reactor, { data: (echo, chunk) => void echo.write(chunk) });
    peer.write('x');
    await peer.receives(1);
    connection.socket.getOption('noDelay');
    connection.socket.takeError();
    peer.reset();
    await closing(connection);
    expect(JSON.parse(JSON.stringify(record))).toEqual(record);
    expect(record.map(({ sequence }) => sequence)).toEqual(record.map((_event, i) => i + 1));
    for (let i = 1; i < record.length; i += 1)
      expect(record[i]?.time).toBeGreaterThanOrEqual(record[i - 1]?.time as number);
  });

  it('trace and record are told the same events, in the same order', async () => {
    const [traced, record]: [TraceEvent[], TraceEvent[]] = [[], []];
    const reactor = stage.reactor({ trace: (event) => void traced.push(event), record });
    await pair(reactor);
    expect(traced.length).toBeGreaterThan(5);
    expect(traced).toEqual(record);
  });

  it('what a trace function does itself is not told: it may use the reactor', async () => {
    const told: TraceEvent[] = [];
    const reactor = stage.reactor({
      trace(event) {
        told.push(event);
        if (event.call === 'close') reactor.socket().close();
      },
    });
    const [client] = await pair(reactor);
    const before = told.length;
    client.close();
    expect(told.slice(before).map(({ call }) => call)).toEqual(['close']);
  });

  it('a trace function that throws is an uncaughtException, and the verb has its result all the same', async () => {
    const { code, lines, stderr } = await runNode(
      `
      import { Reactor } from '@fdset/reactor';
      process.on('uncaughtException', (error) => console.log('uncaught', error.message));
      const kept = [];
      const reactor = new Reactor({ record: kept, trace() { throw new Error('of the trace'); } });
      const socket = reactor.socket();
      console.log(socket.closed, kept.length);
      socket.close();
      console.log(socket.closed, kept.length);
    `,
      { backend: stage.backend },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(lines).toEqual(['false 1', 'true 2', 'uncaught of the trace', 'uncaught of the trace']);
  });

  it('what could not be made is told with its error', () => {
    const record: TraceEvent[] = [];
    const reactor = stage.reactor({ record });
    const { code } = thrown(() => reactor.socket({ protocol: 9999 }));
    expect(code).toMatch(/^E/);
    expect(record.map(({ time, ...rest }) => rest)).toEqual([
      { sequence: 1, socket: 0, call: 'socket', args: ['ipv4', 'stream', 9999], error: code },
    ]);
  });

  stage.needs('adopt')('a descriptor that cannot be adopted is told with the error', () => {
    const record: TraceEvent[] = [];
    const reactor = stage.reactor({ record });
    expect(thrown(() => reactor.adopt(99_999)).code).toBe('EBADF');
    const errors = record.filter(({ error }) => error !== undefined);
    expect(errors.map(({ call, args, error }) => [call, ...args, error])).toEqual([['adopt', 99_999, 'EBADF']]);
  });

  it('a bad trace, record or debug is refused at once', () => {
    const refusals: [Record<string, unknown>, RegExp][] = [
      [{ trace: true }, /^trace must be a function, got true$/],
      [{ record: true }, /^record must be a function, an object with push, or \{ sink, payloads \}, got true$/],
      [{ record: null }, /got null$/],
      [{ record: {} }, /got the sink undefined$/],
      [{ record: { sink: [], payloads: 1 } }, /^record.payloads must be a boolean, got 1$/],
      [{ debug: 'yes' }, /^debug must be a boolean or \{ slowHandlerMs \}, got 'yes'$/],
      [{ debug: { slowHandlerMs: '5' } }, /^debug.slowHandlerMs must be a number of ms, got '5'$/],
      [{ debug: { slowHandlerMs: -1 } }, /^debug.slowHandlerMs must be 0 or more ms, got -1$/],
      [{ debug: { slowHandlerMs: Number.NaN } }, /got NaN$/],
    ];
    for (const [options, message] of refusals) {
      const error = thrown(() => stage.reactor(options as ReactorOptions));
      expect(error.code).toBe('ERR_REACTOR_ARGUMENT');
      expect(error.message).toMatch(message);
    }
    expect(thrown(() => stage.reactor({ debug: { slowHandlerMs: -1 } }))).toBeInstanceOf(RangeError);
  });

  it('a reactor that nobody observes has the verbs of its backend', async () => {
    const [plain] = await pair(stage.reactor());
    const [observed] = await pair(stage.reactor({ record: [] }));
    const verbs = ['recv', 'send', 'sendv', 'close'];
    expect(verbs.filter((verb) => Object.hasOwn(plain, verb))).toEqual([]);
    expect(verbs.filter((verb) => Object.hasOwn(observed, verb))).toEqual(verbs);
  });

  it('the same program over the same input is recorded the same, but for the times', async () => {
    const run = async (): Promise<unknown[]> => {
      const record: TraceEvent[] = [];
      const reactor = stage.reactor({ record: { sink: record, payloads: true } });
      const { listener, address } = await listening(reactor);
      const peer = await NetPeer.connect(address);
      const socket = await accepted(reactor, listener);
      peer.write('the same');
      await arrived(socket, 8);
      socket.recv(Buffer.alloc(100));
      socket.send(Buffer.from('answer'));
      socket.close();
      await peer.receives(6);
      // How often it was waited and looked in vain is the machine's doing, not the program's.
      const idle = ['wait', 'turn', 'look', 'watch'];
      return record
        .filter(({ call, args, result }) => !idle.includes(call) && args[1] !== 'MSG_PEEK' && result !== null)
        .map(({ sequence, time, ...rest }) => rest);
    };
    const [first, second] = [await run(), await run()];
    expect(first.length).toBeGreaterThan(5);
    expect(first).toEqual(second);
  });

  stage.needs('blocking')('the blocking verbs and what they accept are told once, as themselves', async () => {
    const record: TraceEvent[] = [];
    const reactor = stage.reactor({ record: { sink: record, payloads: true } });
    const { listener, address } = await listening(reactor);
    const client = owned(reactor.socket());
    record.length = 0;
    client.connectSync(address, { timeoutMs: 2000 });
    const server = owned(listener.acceptSync({ timeoutMs: 2000 }));
    client.sendAllSync(Buffer.from('sync'));
    const into = Buffer.alloc(8);
    server?.recvSync(into, { offset: 2, length: 4, timeoutMs: 2000 });
    expect(record.map(formatTraceEvent).map((line) => line.trim().split(' ').slice(1).join(' '))).toEqual([
      `#2 connectSync(127.0.0.1:${address.port}, 2000 ms)`,
      '#1 acceptSync(2000 ms) = #3',
      '#2 sendAllSync(4) = 4 "sync"',
      '#3 recvSync(4, 2000 ms) = 4 "sync"',
    ]);
  });

  stage.needs('socketPair', 'adopt')('socketPair and adopt tell what they made', () => {
    const record: TraceEvent[] = [];
    const reactor = stage.reactor({ record });
    const [first, second] = reactor.socketPair();
    owned(first);
    const fd = second.detach();
    owned(reactor.adopt(fd));
    expect(record.map(({ sequence, time, ...rest }) => rest)).toEqual([
      { socket: 1, call: 'socketPair', args: ['stream'], result: 2 },
      { socket: 2, call: 'detach', args: [], result: fd },
      { socket: 3, call: 'adopt', args: [fd] },
    ]);
  });
});
