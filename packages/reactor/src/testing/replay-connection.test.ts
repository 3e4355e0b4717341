/** What a recording says of a connection, played again: by events that are written out here. */
import { describe, expect, it } from 'vitest';
import { type InetAddress, Reactor, type Socket, type TraceEvent, WOULD_BLOCK } from '../index.js';
import { SimulatedNetwork } from './network.js';
import { recordedConnection } from './recording.js';
import { replayConnection } from './replay-connection.js';

const ADDRESS: InetAddress = { host: '127.0.0.1', port: 7000 };

type Told = Partial<TraceEvent> & { call: string };

/** Events of socket 2, a ms apart, which socket 1 has accepted. */
function recording(...told: Told[]): TraceEvent[] {
  return [{ call: 'accept', socket: 1, result: 2 } as Told, ...told].map((event, i) => ({
    sequence: i + 1,
    time: 100 + i,
    socket: 2,
    args: [],
    ...event,
  }));
}

const received = (text: string): Told => ({
  call: 'receive',
  result: text.length,
  bytes: text.length,
  payload: Buffer.from(text).toString('base64'),
});

describe('a replayed connection', () => {
  it('gives the program the bytes as they were cut, when they came, and the end', async () => {
    const network = new SimulatedNetwork();
    const reactor = new Reactor({ backend: network.backend() });
    const seen: [number, string][] = [];
    let began = 0;
    await reactor.serve(ADDRESS, {
      open: () => {
        began = reactor.now();
      },
      data: (connection, chunk) => {
        seen.push([reactor.now() - began, chunk.toString()]);
        connection.write(chunk);
      },
      end: () => void seen.push([reactor.now() - began, 'the end']),
    });
    const events = recording(
      received('GET /'),
      { call: 'receive', result: WOULD_BLOCK },
      received(' HTTP/1'),
      received('.1\r\n'),
      { call: 'receive', result: 0 },
    );
    const replayed = await network.run(() =>
      replayConnection(network, recordedConnection(events, 2), { address: ADDRESS }),
    );
    expect(seen).toEqual([
      [1, 'GET /'],
      [3, ' HTTP/1'],
      [4, '.1\r\n'],
      [5, 'the end'],
    ]);
    expect([replayed.received.toString(), replayed.ended]).toEqual(['GET / HTTP/1.1\r\n', 'end']);
    reactor.close();
  });

  it('never gives more at once than was received at once, however late the program reads', async () => {
    const network = new SimulatedNetwork();
    const reactor = new Reactor({ backend: network.backend() });
    const listener = await reactor.listen(ADDRESS);
    const events = recording(received('one'), received('three'), received('five!'));
    const replay = replayConnection(network, recordedConnection(events, 2), { address: ADDRESS });
    await network.advance(1000);
    const socket = listener.accept() as Socket;
    const into = Buffer.alloc(64);
    const sizes = [1, 2, 3, 4].map(() => socket.recv(into));
    expect(sizes).toEqual([3, 5, 5, WOULD_BLOCK]);
    socket.close();
    expect(await network.run(() => replay)).toMatchObject({ ended: 'end' });
    reactor.close();
  });

  it('a reset comes behind the bytes', async () => {
    const network = new SimulatedNetwork();
    const reactor = new Reactor({ backend: network.backend() });
    const told: string[] = [];
    await reactor.serve(ADDRESS, {
      data: (_connection, chunk) => void told.push(chunk.toString()),
      error: (_connection, error) => void told.push((error as NodeJS.ErrnoException).code as string),
    });
    const events = recording(received('last words'), { call: 'receive', error: 'ECONNRESET' });
    await network.run(async () => {
      const replayed = await replayConnection(network, recordedConnection(events, 2), { address: ADDRESS });
      expect(replayed.ended).toBe('reset');
    });
    await network.runUntilIdle();
    expect(told).toEqual(['last words', 'ECONNRESET']);
    reactor.close();
  });

  it('sends take a part, and would-block, where they did', async () => {
    const network = new SimulatedNetwork();
    const reactor = new Reactor({ backend: network.backend() });
    const listener = await reactor.listen(ADDRESS);
    const events = recording(
      { call: 'send', args: [10], result: 4, bytes: 4 },
      { call: 'send', args: [6], result: WOULD_BLOCK },
      { call: 'sendv', args: ['[3, 3]'], result: 5, bytes: 5 },
      { call: 'send', args: [1], result: 1, bytes: 1 },
    );
    const replay = replayConnection(network, recordedConnection(events, 2), { address: ADDRESS });
    await network.runUntilIdle();
    const socket = listener.accept() as Socket;
    const bytes = Buffer.from('0123456789');
    expect([0, 4, 4, 9].map((at) => socket.send(bytes, at))).toEqual([4, WOULD_BLOCK, 5, 1]);
    socket.close();
    expect((await network.run(() => replay)).received.toString()).toBe('0123456789');
    reactor.close();
  });

  it('of a program that connects, the replay listens', async () => {
    const network = new SimulatedNetwork();
    const reactor = new Reactor({ backend: network.backend() });
    const events = [
      { sequence: 1, time: 5, socket: 4, call: 'connect', args: ['127.0.0.1:7000'], result: 'connecting' },
      { sequence: 2, time: 6, socket: 4, call: 'finishConnect', args: [], result: true },
      { sequence: 3, time: 9, socket: 4, call: 'recv', args: [64], result: 2, bytes: 2 },
      { sequence: 4, time: 9, socket: 4, call: 'recv', args: [64], result: 3, bytes: 3 },
    ];
    const recorded = recordedConnection(events, 4);
    const replay = replayConnection(network, recorded, { address: ADDRESS, bytes: Buffer.from('hello') });
    await network.run(async () => {
      const connection = await reactor.open(ADDRESS);
      const chunks: string[] = [];
      connection.on('data', (chunk) => chunks.push(chunk.toString()));
      await reactor.sleep(10);
      expect(chunks).toEqual(['he', 'llo']);
      connection.end();
      await replay;
    });
    reactor.close();
  });

  it('says what the recording lacks', async () => {
    const network = new SimulatedNetwork();
    const sizes = recordedConnection(recording({ call: 'receive', result: 5, bytes: 5 }), 2);
    await expect(replayConnection(network, sizes, { address: ADDRESS })).rejects.toThrow('has no payloads');
    await expect(replayConnection(network, sizes, { address: ADDRESS, bytes: Buffer.from('four') })).rejects.toThrow(
      'bytes must hold the 5 that socket 2 received, got 4',
    );
    expect(() => recordedConnection(recording(), 3)).toThrow('no connection that socket 3 accepted or connected');
  });
});
