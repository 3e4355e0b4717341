/** Faults of the verbs for datagrams and descriptors: each of them asks the plan, as those of streams do. */
import { closeSync, openSync } from 'node:fs';
import {
  DatagramBatch,
  type FaultCalls,
  type InetAddress,
  type InjectedFault,
  type Reactor,
  type Socket,
  WOULD_BLOCK,
} from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends, type Stage } from '../support/backends.js';
import { accepted, owned } from '../support/sockets.js';
import { Log, thrown, until } from '../support/waiting.js';

const HELLO = Buffer.from('hello');
const HERE = { host: '127.0.0.1', port: 0 };

function failing(stage: Stage, calls: FaultCalls): { reactor: Reactor; injected: Log<InjectedFault> } {
  const injected = new Log<InjectedFault>();
  const reactor = stage.reactor({ faults: { calls, onFault: (fault) => injected.add(fault) } });
  return { reactor, injected };
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  readonly to: InetAddress;
}

function udp(reactor: Reactor): Pair {
  const [near, far] = [0, 1].map(() => {
    const socket = owned(reactor.socket({ type: 'datagram' }));
    socket.bind(HERE);
    return socket;
  }) as [Socket, Socket];
  return { near, far, to: far.localAddress as InetAddress };
}

function unix(reactor: Reactor, type: 'stream' | 'datagram' = 'stream'): Pair {
  const [near, far] = reactor.socketPair({ type }).map(owned) as [Socket, Socket];
  return { near, far, to: HERE };
}

function batchOf(payloads: readonly Buffer[], to?: InetAddress): DatagramBatch {
  const batch = new DatagramBatch(payloads.length, 64);
  for (const payload of payloads) batch.add(payload, to);
  return batch;
}

function descriptor(): number {
  const fd = openSync('/dev/null', 'r');
  afterTest(() => closeSync(fd));
  return fd;
}

/** Sends one datagram of 5 bytes to `far`. */
function deliver({ near, to }: Pair): void {
  if (to.port === 0) near.send(HELLO);
  else near.sendTo(HELLO, to);
}

/** The bytes that `recvDescriptors` gave, with the descriptors closed again. */
function bytesWithDescriptors(socket: Socket): number | null {
  const received = socket.recvDescriptors(Buffer.alloc(64));
  for (const fd of received?.descriptors ?? []) closeSync(fd);
  return received?.bytes ?? null;
}

interface Verb {
  readonly pair: (reactor: Reactor) => Pair;
  readonly act: (pair: Pair) => unknown;
  readonly syscall: string;
  readonly wouldBlock: unknown;
  readonly done: unknown;
}

/** Each moves one datagram of 5 bytes. */
const SENDING: Record<string, Verb> = {
  sendTo: {
    pair: udp,
    act: ({ near, to }) => near.sendTo(HELLO, to),
    syscall: 'sendto',
    wouldBlock: WOULD_BLOCK,
    done: 5,
  },
  sendBatch: {
    pair: udp,
    act: ({ near, to }) => near.sendBatch(batchOf([HELLO], to)),
    syscall: 'sendmmsg',
    wouldBlock: WOULD_BLOCK,
    done: 1,
  },
  sendDescriptors: {
    pair: (reactor) => unix(reactor, 'datagram'),
    act: ({ near }) => near.sendDescriptors([descriptor()], HELLO),
    syscall: 'sendmsg',
    wouldBlock: WOULD_BLOCK,
    done: 5,
  },
};

const RECEIVING: Record<string, Verb> = {
  recvFrom: {
    pair: udp,
    act: ({ far }) => far.recvFrom(Buffer.alloc(64))?.bytes ?? null,
    syscall: 'recvfrom',
    wouldBlock: null,
    done: 5,
  },
  recvBatch: {
    pair: udp,
    act: ({ far }) => far.recvBatch(new DatagramBatch(4, 64)),
    syscall: 'recvmmsg',
    wouldBlock: WOULD_BLOCK,
    done: 1,
  },
  recvDescriptors: {
    pair: (reactor) => unix(reactor, 'datagram'),
    act: ({ far }) => bytesWithDescriptors(far),
    syscall: 'recvmsg',
    wouldBlock: null,
    done: 5,
  },
};

const CASES = [
  ...Object.entries(SENDING).map(([name, verb]) => [name, 'send', verb] as const),
  ...Object.entries(RECEIVING).map(([name, verb]) => [name, 'recv', verb] as const),
];

describeBackends(
  'faults at datagrams and descriptors',
  (stage) => {
    it.each(CASES)('%s: EINTR is not seen, EAGAIN would block, an errno is thrown (102)', (_name, call, verb) => {
      const { reactor, injected } = failing(stage, {
        [call]: { EINTR: [1], EAGAIN: [2], ENOMEM: [3], ECONNREFUSED: [4] },
      });
      const pair = verb.pair(reactor);
      const make = (): unknown => {
        if (call === 'recv') deliver(pair);
        return verb.act(pair);
      };
      expect(make()).toEqual(verb.done);
      expect(verb.act(pair)).toEqual(verb.wouldBlock);
      expect(thrown(() => verb.act(pair))).toMatchObject({ code: 'ENOMEM', syscall: verb.syscall });
      expect(thrown(() => verb.act(pair))).toMatchObject({ code: 'ECONNREFUSED', syscall: verb.syscall });
      // The socket goes on.
      expect(make()).toEqual(verb.done);
      expect(injected.entries.map(({ call: at, fault }) => `${at} ${fault}`)).toEqual(
        ['EINTR', 'EAGAIN', 'ENOMEM', 'ECONNREFUSED'].map((fault) => `${call} ${fault}`),
      );
    });

    it('a batch that is cut sends some of its datagrams, and goes on at the first unsent (90, U3)', () => {
      const { reactor, injected } = failing(stage, { send: { short: 1 } });
      const { near, far, to } = udp(reactor);
      const payloads = Array.from({ length: 40 }, (_, i) => Buffer.from(`number ${i}`));
      const batch = batchOf(payloads, to);
      const counts: number[] = [];
      for (let sent = 0; sent < 40; sent += counts.at(-1) as number) counts.push(near.sendBatch(batch, sent));
      expect(counts.length).toBeGreaterThan(2);
      expect(injected.entries).toHaveLength(counts.length);
      const received = new DatagramBatch(64, 64);
      expect(far.recvBatch(received)).toBe(40);
      expect(payloads.map((_, i) => received.payload(i).toString())).toEqual(payloads.map(String));
    });

    it('a batch that is cut receives some of the datagrams, and the others with the next calls (90)', () => {
      const { reactor, injected } = failing(stage, { recv: { short: 1 } });
      const { near, far, to } = udp(reactor);
      for (let i = 0; i < 40; i += 1) near.sendTo(Buffer.from(`number ${i}`), to);
      const batch = new DatagramBatch(64, 64);
      const texts: string[] = [];
      let calls = 0;
      while (far.recvBatch(batch) !== WOULD_BLOCK) {
        calls += 1;
        for (let i = 0; i < batch.length; i += 1) texts.push(batch.payload(i).toString());
        expect(batch.address(0)).toEqual(near.localAddress);
      }
      expect(texts).toEqual(Array.from({ length: 40 }, (_, i) => `number ${i}`));
      expect(calls).toBeGreaterThan(1);
      expect(injected.entries.length).toBeGreaterThanOrEqual(calls);
    });

    it('a datagram is whole or not at all, and tells its sender and whether it was cut (88)', () => {
      const { reactor } = failing(stage, { '*': { short: 1 } });
      const { near, far, to } = udp(reactor);
      expect(near.sendTo(Buffer.alloc(60, 'x'), to)).toBe(60);
      expect(near.sendTo(HELLO, to)).toBe(5);
      const into = Buffer.alloc(10);
      expect(far.recvFrom(into)).toEqual({ bytes: 10, address: near.localAddress, truncated: true });
      expect(far.recvFrom(into)).toEqual({ bytes: 5, address: near.localAddress, truncated: false });
    });

    it('a stream with descriptors is cut, and they come once, with its first byte', async () => {
      const { reactor } = failing(stage, { '*': { short: 1 } });
      const { near, far } = unix(reactor);
      const sent = near.sendDescriptors([descriptor(), descriptor()], Buffer.alloc(50, 'x'));
      expect(sent).toBeLessThan(50);
      const got: { bytes: number; descriptors: number }[] = [];
      await until(() => {
        const received = far.recvDescriptors(Buffer.alloc(50));
        if (received !== null) {
          for (const fd of received.descriptors) closeSync(fd);
          got.push({ bytes: received.bytes, descriptors: received.descriptors.length });
        }
        return got.reduce((sum, { bytes }) => sum + bytes, 0) === sent;
      });
      expect(got.map(({ descriptors }) => descriptors)).toEqual([2, ...got.slice(1).map(() => 0)]);
    });

    it('a reset told to recvDescriptors is the end of the stream', () => {
      const { reactor } = failing(stage, { recv: { ECONNRESET: [1] } });
      const { near, far } = unix(reactor);
      expect(thrown(() => near.recvDescriptors(Buffer.alloc(8)))).toMatchObject({ code: 'ECONNRESET' });
      expect(near.recvDescriptors(Buffer.alloc(8))).toEqual({ bytes: 0, descriptors: [], truncated: false });
      expect(thrown(() => far.send(HELLO)).code).toBe('EPIPE');
    });

    it('wrong arguments are refused as without faults, cut or not', () => {
      const { reactor } = failing(stage, { '*': { short: 1 } });
      const { near, to } = udp(reactor);
      const { near: local } = unix(reactor);
      const wrong = 'text' as unknown as Uint8Array;
      for (const act of [
        () => near.recvFrom(wrong),
        () => near.sendTo(wrong, to),
        () => near.sendv([HELLO, null as unknown as Uint8Array]),
        () => local.sendDescriptors([0], wrong),
        () => local.recvDescriptors(wrong),
      ])
        expect(thrown(act), String(act)).toMatchObject({ code: 'ERR_REACTOR_BUFFER', name: 'TypeError' });
    });

    it('the address of a connection is told by a reactor with faults beside one without', async () => {
      const { reactor } = failing(stage, { accept: { EAGAIN: [1] } });
      const sound = stage.reactor();
      const listeners = await Promise.all([reactor, sound].map((each) => each.listen(HERE)));
      for (const [i, listener] of listeners.map(owned).entries()) {
        const client = owned(await sound.connect(listener.localAddress as InetAddress));
        expect((await accepted(i === 0 ? reactor : sound, listener)).remoteAddress).toEqual(client.localAddress);
      }
    });
  },
  { only: 'kernel' },
);
