/** Batches of datagrams: received and sent by one call, in order, resumable where it stopped. */
import {
  type Address,
  DatagramBatch,
  ERROR,
  type InetAddress,
  READABLE,
  type Socket,
  WOULD_BLOCK,
} from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { bound } from '../support/datagrams.js';
import { owned, pair } from '../support/sockets.js';
import { Log, thrown } from '../support/waiting.js';

function texts(batch: DatagramBatch): string[] {
  return Array.from({ length: batch.length }, (_, i) => batch.payload(i).toString());
}

/** A batch of `count` datagrams that are numbered. */
function numbered(count: number, to?: Address): DatagramBatch {
  const batch = new DatagramBatch(count, 64);
  for (let i = 0; i < count; i += 1) batch.add(Buffer.from(`datagram ${i}`), to);
  return batch;
}

/** Sends from `start` to the end, as often as it takes. Returns what each call sent. */
async function sentAll(select: (socket: Socket) => Promise<unknown>, socket: Socket, batch: DatagramBatch) {
  const counts: number[] = [];
  for (let start = 0; start < batch.length; ) {
    const count = socket.sendBatch(batch, start);
    if (count === WOULD_BLOCK) await select(socket);
    else {
      counts.push(count);
      start += count;
    }
  }
  return counts;
}

describeBackends('datagram batches', (stage) => {
  describe.each(['ipv4', 'ipv6'] as const)('over %s', (family) => {
    it('come in the order they were sent, with their senders (90, U4)', async () => {
      const reactor = stage.reactor();
      const [server, one, two] = [bound(reactor, family), bound(reactor, family), bound(reactor, family)];
      const batch = new DatagramBatch(8, 32);
      expect(server.socket.recvBatch(batch)).toBe(WOULD_BLOCK);
      one.socket.sendTo(Buffer.from('a'), server.address);
      two.socket.sendTo(Buffer.alloc(0), server.address);
      one.socket.sendTo(Buffer.from('ccc'), server.address);
      await reactor.select([server.socket], [], []);
      expect(server.socket.recvBatch(batch)).toBe(3);
      expect(texts(batch)).toEqual(['a', '', 'ccc']);
      expect([0, 1, 2].map((i) => batch.address(i))).toEqual([one.address, two.address, one.address]);
      expect([0, 1, 2].map((i) => batch.truncated(i))).toEqual([false, false, false]);
      expect(server.socket.recvBatch(batch)).toBe(WOULD_BLOCK);
      expect(batch.length).toBe(0);
    });

    it('are sent back as they were received, without an address being looked at (90)', async () => {
      const reactor = stage.reactor();
      const server = bound(reactor, family);
      const clients = Array.from({ length: 5 }, () => bound(reactor, family));
      for (const [i, { socket }] of clients.entries()) socket.sendTo(Buffer.from(`echo ${i}`), server.address);
      await reactor.select([server.socket], [], []);
      const batch = new DatagramBatch(16, 32);
      expect(server.socket.recvBatch(batch)).toBe(5);
      expect(server.socket.sendBatch(batch)).toBe(5);
      for (const [i, { socket }] of clients.entries()) {
        const into = Buffer.alloc(32);
        await reactor.select([socket], [], []);
        expect(socket.recvFrom(into)).toEqual({ bytes: 6, address: server.address, truncated: false });
        expect(into.toString('latin1', 0, 6)).toBe(`echo ${i}`);
      }
    });
  });

  it('hold as many as their capacity: the others come with the next call, and the reactor tells of them (90)', async () => {
    const reactor = stage.reactor();
    const [server, client] = [bound(reactor), bound(reactor)];
    expect(client.socket.sendBatch(numbered(10, server.address))).toBe(10);
    const batch = new DatagramBatch(4, 64);
    const seen = new Log<string[]>();
    reactor.register(server.socket, READABLE, (socket) => {
      expect(socket.recvBatch(batch)).toBe(batch.length);
      seen.add(texts(batch));
    });
    await seen.reaches(3);
    expect(seen.entries.map((each) => each.length)).toEqual([4, 4, 2]);
    expect(seen.entries.flat()).toEqual(texts(numbered(10)));
  });

  stage.needs('socketPair')(
    '45 datagrams into a receiver that is full: each call goes on at the first unsent, and none is lost (90, U3)',
    async () => {
      const reactor = stage.reactor();
      // A unix socket holds a sender back when its receiver is full; UDP would drop.
      const [near, far] = reactor.socketPair({ type: 'datagram' }).map(owned) as [Socket, Socket];
      near.setOption('sendBuffer', 4096);
      const received: string[] = [];
      const batch = numbered(45);
      const counts = sentAll((socket) => reactor.select([], [socket], []), near, batch);
      const into = new DatagramBatch(7, 64);
      while (received.length < 45) {
        if (far.recvBatch(into) === WOULD_BLOCK) await reactor.select([far], [], []);
        else received.push(...texts(into));
      }
      expect(received).toEqual(texts(batch));
      const sent = await counts;
      expect(sent.length).toBeGreaterThan(1);
      expect(sent.reduce((sum, count) => sum + count)).toBe(45);
    },
  );

  it('a datagram that cannot be sent stops the batch before it, and its error comes when it is the first (U3)', async () => {
    const reactor = stage.reactor();
    const [server, client] = [bound(reactor), bound(reactor)];
    const batch = new DatagramBatch(4, 70_000);
    batch.add(Buffer.from('one'), server.address);
    batch.add(Buffer.alloc(70_000), server.address);
    batch.add(Buffer.from('three'), server.address);
    expect(client.socket.sendBatch(batch)).toBe(1);
    expect(thrown(() => client.socket.sendBatch(batch, 1))).toMatchObject({
      code: 'EMSGSIZE',
      syscall: 'sendmmsg',
      port: server.address.port,
    });
    expect(client.socket.sendBatch(batch, 2)).toBe(1);
    const got = new DatagramBatch(4, 16);
    await reactor.select([server.socket], [], []);
    expect([server.socket.recvBatch(got), texts(got)]).toEqual([2, ['one', 'three']]);
  });

  it('what is longer than maxBytes is cut and marked, and the next one is whole (90, U2)', async () => {
    const reactor = stage.reactor();
    const [server, client] = [bound(reactor), bound(reactor)];
    for (const text of ['fits', 'too long', 'also']) client.socket.sendTo(Buffer.from(text), server.address);
    await reactor.select([server.socket], [], []);
    const batch = new DatagramBatch(8, 4);
    expect(server.socket.recvBatch(batch)).toBe(3);
    expect(texts(batch)).toEqual(['fits', 'too ', 'also']);
    expect([0, 1, 2].map((i) => batch.truncated(i))).toEqual([false, true, false]);
    batch.clear();
    expect([batch.length, batch.capacity, batch.maxBytes]).toEqual([0, 8, 4]);
  });

  it('the socket may be closed in the handler that received a batch: the batch stays (90, U5)', async () => {
    const reactor = stage.reactor();
    const [server, client] = [bound(reactor), bound(reactor)];
    const batch = new DatagramBatch(2, 64);
    const calls = new Log<number>();
    reactor.register(server.socket, READABLE | ERROR, {
      readable(socket) {
        calls.add(socket.recvBatch(batch));
        socket.close();
      },
      error() {
        calls.add(-1);
      },
    });
    expect(client.socket.sendBatch(numbered(5, server.address))).toBe(5);
    await calls.reaches(1);
    expect(calls.entries).toEqual([2]);
    expect(batch.address(1)).toEqual(client.address);
    expect(thrown(() => server.socket.sendBatch(batch))).toMatchObject({ code: 'EBADF' });
    expect(thrown(() => server.socket.recvBatch(batch))).toMatchObject({ code: 'EBADF' });
  });

  it('of a connected socket need no addresses; a refusal is told and the batch can be sent again (89, U1)', async () => {
    const reactor = stage.reactor();
    const gone = bound(reactor);
    gone.socket.close();
    const client = owned(reactor.socket({ type: 'datagram' }));
    client.connect(gone.address);
    const batch = numbered(3);
    expect(batch.address(0)).toEqual({ path: '' });
    expect(client.sendBatch(batch, 0, 1)).toBe(1);
    await reactor.select([], [], [client]);
    expect(thrown(() => client.sendBatch(batch))).toMatchObject({
      code: 'ECONNREFUSED',
      port: gone.address.port,
    });
    const back = owned(reactor.socket({ type: 'datagram' }));
    back.bind(gone.address);
    expect(client.sendBatch(batch)).toBe(3);
    await reactor.select([back], [], []);
    const into = new DatagramBatch(8, 64);
    expect([back.recvBatch(into), texts(into)]).toEqual([3, texts(batch)]);
  });

  stage.needs('unixDatagram', 'socketPair')(
    'one batch serves sockets of several kinds, received, added to, and sent (90)',
    async () => {
      const reactor = stage.reactor();
      const [four, six] = [bound(reactor), bound(reactor, 'ipv6')];
      const path = `\0fdset-batch-${process.pid}`;
      const unix = owned(reactor.socket({ type: 'datagram', family: 'unix' }));
      unix.bind({ path });
      const batch = new DatagramBatch(4, 32);
      for (const [socket, to] of [
        [four.socket, four.address],
        [six.socket, six.address],
        [unix, { path }],
      ] as const) {
        batch.clear();
        expect(batch.add(Buffer.from('added'), to)).toBe(0);
        expect(batch.address(0)).toEqual(to);
        expect(socket.sendBatch(batch)).toBe(1);
        await reactor.select([socket], [], []);
        expect(socket.recvBatch(batch)).toBe(1);
        expect(batch.address(0)).toEqual(to);
        expect(batch.add(Buffer.from('behind'), to)).toBe(1);
        expect(socket.sendBatch(batch)).toBe(2);
        await reactor.select([socket], [], []);
        expect(socket.recvBatch(batch)).toBe(2);
        expect(texts(batch)).toEqual(['added', 'behind']);
      }
      unix.sendTo(Buffer.from('x'), { path });
      const [nameless] = reactor.socketPair({ type: 'datagram' }).map(owned) as [Socket, Socket];
      nameless.sendTo(Buffer.from('who?'), { path });
      await reactor.select([unix], [], []);
      expect(unix.recvBatch(batch)).toBe(2);
      expect([batch.address(0), batch.address(1)]).toEqual([{ path }, { path: '' }]);
    },
  );

  it('streams have no datagrams, and wrong spans and addresses are refused before anything is sent', async () => {
    const reactor = stage.reactor();
    const [server, client] = [bound(reactor), bound(reactor)];
    const batch = numbered(3, server.address);
    const [stream] = await pair(reactor);
    expect(thrown(() => stream.recvBatch(batch))).toMatchObject({ code: 'ENOTSUP' });
    expect(thrown(() => stream.sendBatch(batch))).toMatchObject({ code: 'ENOTSUP' });
    const send = (...args: unknown[]) => thrown(() => client.socket.sendBatch(...(args as [DatagramBatch])));
    expect(send({})).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    expect(thrown(() => client.socket.recvBatch(null as never)).message).toContain('recvBatch takes a DatagramBatch');
    for (const [start, end] of [[-1], [4], [0, 4], [2, 1], [0.5], [0, Number.NaN], ['0']])
      expect(send(batch, start, end)).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    batch.clear();
    batch.add(Buffer.from('good'), server.address);
    batch.add(Buffer.from('bad'), { host: '::1', port: 9 });
    expect(send(batch)).toMatchObject({ code: 'ERR_REACTOR_ADDRESS' });
    expect(client.socket.sendBatch(batch, 1, 1)).toBe(0);
    expect(server.socket.recvFrom(Buffer.alloc(8))).toBeNull();
    const lent = new DatagramBatch(2, 8);
    lent.add(Buffer.from('x'), server.address);
    structuredClone(lent.payload(0), { transfer: [lent.payload(0).buffer as ArrayBuffer] });
    expect(send(lent)).toMatchObject({ code: 'ERR_REACTOR_BUFFER' });
    expect(thrown(() => client.socket.recvBatch(lent))).toMatchObject({ code: 'ERR_REACTOR_BUFFER' });
  });
});

describe('a datagram batch', () => {
  it('tells what it was given wrong', () => {
    const batch = new DatagramBatch(2, 4);
    for (const [capacity, maxBytes] of [
      [0, 1],
      [1025, 1],
      [1, 0],
      [1.5, 1],
      [1024, 2 ** 30],
      ['2', 1],
    ])
      expect(thrown(() => new DatagramBatch(capacity as number, maxBytes as number))).toMatchObject({
        code: 'ERR_REACTOR_ARGUMENT',
      });
    expect(thrown(() => batch.add('text' as never))).toMatchObject({ code: 'ERR_REACTOR_BUFFER' });
    expect(thrown(() => batch.add(Buffer.alloc(5))).message).toContain('5 bytes does not fit into maxBytes (4)');
    expect(thrown(() => batch.add(Buffer.alloc(1), { host: 'x' } as never))).toMatchObject({
      code: 'ERR_REACTOR_ARGUMENT',
    });
    expect(thrown(() => batch.payload(0)).message).toContain('below length (0), got 0');
    expect([batch.add(Buffer.from('1')), batch.add(Buffer.from('22'))]).toEqual([0, 1]);
    expect(thrown(() => batch.add(Buffer.from('3'))).message).toContain('the batch is full, with 2 datagrams');
    for (const i of [-1, 2, 0.5, Number.NaN])
      expect(thrown(() => batch.address(i))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
  });

  it('keeps the address that it was given, whatever becomes of the object', () => {
    const batch = new DatagramBatch(1, 4);
    const to: InetAddress = { host: '127.0.0.1', port: 7 };
    batch.add(Buffer.from('x'), to);
    to.port = 9;
    expect(batch.address(0)).toEqual({ host: '127.0.0.1', port: 7 });
  });
});
