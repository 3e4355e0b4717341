/** Bad input gets a clear error at once, with its code, and what was there before goes on. */
import { DatagramBatch, MSG_OOB, READABLE, Reactor } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { ADDRESSES, bytes, type Kind, OPTIONS, RANGES, VERBS, wrong } from '../support/bad-calls.js';
import { listening, owned, pair, received } from '../support/sockets.js';
import { rejection, thrown } from '../support/waiting.js';

describeBackends('bad input', (stage) => {
  function refuses(call: () => unknown, kind: Kind, code: string, message: string): void {
    const error = thrown(call);
    expect(error).toMatchObject({ code });
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toContain(message);
  }

  describe('a range or a buffer', () => {
    it.each(RANGES)('%s is refused, and the connection goes on', async (_what, call, kind, code, message) => {
      const reactor = stage.reactor();
      const [socket, other] = await pair(reactor);
      refuses(() => call(socket), kind, code, message);
      socket.send(Buffer.from('unharmed'));
      expect((await received(reactor, other, 8)).toString()).toBe('unharmed');
    });
  });

  describe('an address', () => {
    it.each(ADDRESSES)('%s is refused, and the socket can still be bound', (_what, call, kind, code, message) => {
      const socket = owned(stage.reactor().socket());
      refuses(() => call(socket), kind, code, message);
      socket.bind({ host: '127.0.0.1', port: 0 });
    });

    it.each(['listen', 'connect', 'serve', 'open'] as const)(
      'is refused by reactor.%s as a rejection',
      async (verb) => {
        const reactor = stage.reactor();
        const call = (address: unknown) =>
          (reactor[verb] as (address: unknown, handler: object) => Promise<unknown>)(address, {});
        expect(await rejection(call({ host: '127.0.0.1', port: 70000 }))).toMatchObject({
          code: 'ERR_REACTOR_ARGUMENT',
          message: expect.stringContaining('got 70000'),
        });
        expect(await rejection(call(undefined))).toMatchObject({ code: 'ERR_REACTOR_ADDRESS' });
        expect(await rejection(call({ port: 1 }))).toMatchObject({ code: 'ERR_REACTOR_ADDRESS' });
      },
    );

    it('port 0 cannot be connected to', async () => {
      const reactor = stage.reactor();
      expect(await rejection(reactor.connect({ host: '127.0.0.1', port: 0 }))).toMatchObject({
        code: 'ERR_REACTOR_ARGUMENT',
        message: expect.stringContaining('port 0'),
      });
    });
  });

  describe('an option', () => {
    it.each(OPTIONS)('%s is refused', async (_what, call, kind, code, message) => {
      const [socket] = await pair(stage.reactor());
      refuses(() => call(socket), kind, code, message);
    });

    it.each([
      ['eventBudget', 0],
      ['byteBudget', -1],
      ['turnBudgetMs', Number.NaN],
      ['acceptBudget', 'many'],
    ])('of the reactor: %s %j', (name, value) => {
      const error = thrown(() => stage.reactor({ [name]: value }));
      expect(error).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
      expect(error.message).toContain(name);
    });

    it('of a socket: an unknown type or family', () => {
      const reactor = stage.reactor();
      expect(thrown(() => reactor.socket({ type: wrong('sream') })).message).toContain("one of 'stream', 'datagram'");
      expect(thrown(() => reactor.socket({ family: wrong('ipv5') })).message).toContain(
        "one of 'ipv4', 'ipv6', 'unix'",
      );
    });

    it('of connect: a timeout that is none', async () => {
      const reactor = stage.reactor();
      const { address } = await listening(reactor);
      for (const timeoutMs of [-1, Number.NaN, wrong('soon')])
        expect(await rejection(reactor.connect(address, { timeoutMs }))).toMatchObject({
          code: 'ERR_REACTOR_ARGUMENT',
        });
    });
  });

  describe('a closed socket', () => {
    it.each(VERBS)('%s throws EBADF', async (_verb, call) => {
      const reactor = stage.reactor();
      const [socket] = await pair(reactor);
      socket.close();
      expect(thrown(() => call(socket))).toMatchObject({ name: 'SocketError', code: 'EBADF', errno: -9 });
    });

    it('tells that it is closed, has no addresses and no number, and can be closed again', async () => {
      const [socket] = await pair(stage.reactor());
      socket.close();
      socket.close();
      socket.reset();
      expect(socket.closed).toBe(true);
      expect(socket.fileno()).toBe(-1);
      expect([socket.localAddress, socket.remoteAddress]).toEqual([undefined, undefined]);
    });
  });

  it('a second registration names the way out; nothing is lost', async () => {
    const reactor = stage.reactor();
    const [socket, other] = await pair(reactor);
    let seen = 0;
    const first = reactor.register(socket, READABLE, (ready) => {
      seen += ready.recv(bytes);
    });
    refuses(() => reactor.register(socket, READABLE, () => {}), TypeError, 'ERR_REACTOR_REGISTERED', 'modify it');
    refuses(() => first.modify(READABLE | 128), TypeError, 'ERR_REACTOR_INTEREST', '0x80');
    other.send(Buffer.from('abc'));
    await reactor.select([socket], [], []);
    expect(seen).toBe(3);
  });

  it('a backend that is unknown, or serves another reactor, is refused', () => {
    const error = thrown(() => new Reactor({ backend: wrong('kernal') }));
    expect(error).toMatchObject({ code: 'ERR_REACTOR_BACKEND' });
    expect(error.message).toContain("'auto', 'kernel', 'emulated' or a Backend, got 'kernal'");
    expect(stage.reactor().backend).toEqual({ name: stage.backend, reason: expect.any(String) });
  });

  if (!stage.capabilities.oob)
    it('what the backend lacks is ENOTSUP, not silence', async () => {
      const reactor = stage.reactor();
      const [socket] = await pair(reactor);
      for (const [capability, call] of [
        ['oob', () => socket.send(bytes, 0, 1, MSG_OOB)],
        ['rawOptions', () => socket.getRawOption(6, 1, 4)],
        ['rawDescriptors', () => socket.detach()],
        ['blocking', () => socket.recvSync(bytes)],
        ['adopt', () => reactor.adopt(0)],
        ['socketPair', () => reactor.socketPair()],
        ['descriptorPassing', () => socket.sendDescriptors([0], bytes)],
        ['descriptorPassing', () => socket.recvDescriptors(bytes)],
        ['raw', () => reactor.socket({ type: 'raw' })],
        ['seqpacket', () => reactor.socket({ type: 'seqpacket', family: 'unix' })],
      ] as const) {
        const error = thrown(call);
        expect(error).toMatchObject({ name: 'SocketError', code: 'ENOTSUP' });
        expect(error.message).toContain(`the ${stage.backend} backend lacks the capability '${capability}'`);
      }
      const batch = new DatagramBatch(1, 8);
      for (const call of [
        () => socket.sendTo(bytes, { host: '127.0.0.1', port: 1 }),
        () => socket.recvBatch(batch),
        () => socket.joinGroup('239.255.77.7'),
        () => socket.leaveGroup('239.255.77.7'),
      ]) {
        const error = thrown(call);
        expect(error).toMatchObject({ name: 'SocketError', code: 'ENOTSUP' });
        expect(error.message).toContain(`a stream socket of the ${stage.backend} backend carries no datagrams`);
      }
      expect(socket.recvFrom(bytes)).toBeNull();
    });
});
