/** What a registration promises: items 1-22 of the list of select reactors, as far as they concern this API. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { ERROR, HANGUP, READ_CLOSED, READABLE, Reactor, type Socket, WRITABLE } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { NodeProcess, runNode } from '../support/node-process.js';
import { arrived, owned, pair, pairs, withPeer } from '../support/sockets.js';
import { Log, once, rounds, thrown, until } from '../support/waiting.js';

const nothing = () => {};

describeBackends('registration', (stage) => {
  it('register returns the socket, the interest and the data, and is active (1)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const data = { name: 'mine' };
    const registration = reactor.register(socket, READABLE | WRITABLE, nothing, { data });
    expect(registration.socket).toBe(socket);
    expect(registration.interest).toBe(READABLE | WRITABLE);
    expect(registration.data).toBe(data);
    expect(registration.active).toBe(true);
    expect(registration.readiness).toBe(0);
  });

  it.each([
    ['an unknown bit', 64, 'READABLE, WRITABLE, ERROR and READ_CLOSED, got 0x40'],
    ['an unknown bit beside known ones', READABLE | 32, 'got READABLE|0x20'],
    ['HANGUP', HANGUP, 'HANGUP is a hint'],
    ['HANGUP beside READABLE', READABLE | HANGUP, 'HANGUP is a hint'],
    ['a negative number', -1, 'got '],
    ['a fraction', 1.5, 'got '],
    ['no number', 'READABLE' as unknown as number, "got 'READABLE'"],
  ])('register refuses %s as an interest, and the socket stays free (2)', async (_what, interest, message) => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const error = thrown(() => reactor.register(socket, interest, nothing));
    expect(error).toMatchObject({ code: 'ERR_REACTOR_INTEREST' });
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(message);
    expect(reactor.registrationOf(socket)).toBeUndefined();
    expect(reactor.register(socket, READABLE, nothing).active).toBe(true);
  });

  it('register refuses an interest without its method, and names the method (2)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    for (const [interest, method] of [
      [READABLE, 'readable'],
      [WRITABLE, 'writable'],
      [ERROR, 'error'],
    ] as const) {
      const error = thrown(() => reactor.register(socket, interest, {}));
      expect(error).toMatchObject({ code: 'ERR_REACTOR_INTEREST' });
      expect(error.message).toContain(`'${method}'`);
    }
    const registration = reactor.register(socket, READABLE, { readable: nothing });
    expect(thrown(() => registration.modify(WRITABLE))).toMatchObject({ code: 'ERR_REACTOR_INTEREST' });
    expect(registration.interest).toBe(READABLE);
  });

  it('register refuses what is no socket, and no handler (3)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    for (const wrong of [undefined, null, 7, {}, { host: reactor }])
      expect(thrown(() => reactor.register(wrong as never, READABLE, nothing))).toMatchObject({
        code: 'ERR_REACTOR_SOCKET',
      });
    for (const wrong of [undefined, null, 'readable'])
      expect(thrown(() => reactor.register(socket, READABLE, wrong as never))).toMatchObject({
        code: 'ERR_REACTOR_ARGUMENT',
      });
  });

  it('register refuses a closed socket with EBADF (3)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    socket.close();
    for (const interest of [READABLE, 0])
      expect(thrown(() => reactor.register(socket, interest, nothing))).toMatchObject({ code: 'EBADF' });
    expect([...reactor.registrations()]).toEqual([]);
  });

  it('a second registration of a socket is refused, and the first one stands (4)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const first = reactor.register(socket, READABLE, nothing);
    const error = thrown(() => reactor.register(socket, WRITABLE, nothing));
    expect(error).toMatchObject({ code: 'ERR_REACTOR_REGISTERED' });
    expect(error.message).toContain('modify it, or unregister it first');
    expect(reactor.registrationOf(socket)).toBe(first);
    expect(first.interest).toBe(READABLE);
    first.unregister();
    expect(reactor.register(socket, WRITABLE, nothing).active).toBe(true);
  });

  stage.needs('adopt')('a descriptor that is a socket already cannot become another one (4, 20)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    expect(thrown(() => reactor.adopt(socket.fileno()))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    expect(socket.closed).toBe(false);
  });

  it('unregister is idempotent, and modify refuses an ended registration (5, 18)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const registration = reactor.register(socket, READABLE, nothing);
    registration.unregister();
    registration.unregister();
    expect(registration.active).toBe(false);
    expect(registration.interest).toBe(0);
    expect(thrown(() => registration.modify(READABLE))).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
    expect(socket.closed).toBe(false);
  });

  it('an ended registration cannot end the one that follows it (5)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const old = reactor.register(socket, READABLE, nothing);
    old.unregister();
    const current = reactor.register(socket, WRITABLE, nothing);
    old.unregister();
    expect(current.active).toBe(true);
    expect(reactor.registrationOf(socket)).toBe(current);
    expect(reactor.metrics.registrations).toBe(1);
  });

  stage.needs('rawDescriptors')(
    'unregister after the descriptor was closed behind our back does not throw (6)',
    async () => {
      const reactor = stage.reactor();
      const [socket, other] = await pair(reactor);
      const registration = reactor.register(socket, READABLE, nothing);
      closeSync(socket.fileno());
      registration.unregister();
      socket.detach();
      other.close();
      expect([...reactor.registrations()]).toEqual([]);
    },
  );

  stage.needs('rawDescriptors')('unregister after another file took the number does not throw (7)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const registration = reactor.register(socket, READABLE, nothing);
    const number = socket.fileno();
    closeSync(number);
    let file = -1;
    while (file < number) {
      const opened = openSync('/dev/null', 'r');
      afterTest(() => closeSync(opened));
      file = opened;
    }
    expect(file).toBe(number);
    registration.unregister();
    expect(registration.active).toBe(false);
    socket.detach();
  });

  stage.needs('rawDescriptors')(
    'an ended registration does not touch the socket that has its number now (D6)',
    async () => {
      const reactor = stage.reactor();
      const { socket: old, peer: _peer } = await withPeer(reactor);
      const registration = reactor.register(old, READABLE, nothing);
      const number = old.fileno();
      old.close();
      // The lowest free numbers are taken first: those below it go before.
      let [mine, other] = reactor.socketPair().map(owned) as [Socket, Socket];
      while (Math.max(mine.fileno(), other.fileno()) < number)
        [mine, other] = reactor.socketPair().map(owned) as [Socket, Socket];
      if (other.fileno() === number) [mine, other] = [other, mine];
      expect(mine.fileno()).toBe(number);
      const called = new Log<number>();
      reactor.register(mine, READABLE, (ready) => called.add(ready.recv(Buffer.alloc(8))));
      registration.unregister();
      old.close();
      old[Symbol.dispose]();
      other.send(Buffer.from('x'));
      await called.reaches(1);
      expect(called.entries).toEqual([1]);
    },
  );

  stage.needs('rawDescriptors', 'adopt')(
    'a number that got another file behind our back is watched anew by modify (D7)',
    async () => {
      const reactor = stage.reactor();
      const [socket] = reactor.socketPair().map(owned) as [Socket, Socket];
      const called = new Log<number>();
      const registration = reactor.register(socket, READABLE, (_socket, readiness) => {
        called.add(readiness);
        registration.modify(0);
      });
      const number = socket.fileno();
      // The kernel's entry goes with the file; a pipe of the child takes the number.
      closeSync(number);
      const child = spawn('cat', { stdio: 'pipe' });
      expect(readlinkSync(`/proc/self/fd/${number}`)).toMatch(/^socket:/);
      registration.modify(READABLE | WRITABLE);
      await called.reaches(1);
      expect(called.entries).toEqual([WRITABLE]);
      registration.unregister();
      socket.detach();
      child.stdin.end();
      await once(child, 'close');
    },
  );

  stage.needs('rawDescriptors', 'adopt')(
    'a descriptor that node:net watches too can be adopted and given back: no EEXIST, no abort (D22)',
    async () => {
      const reactor = stage.reactor();
      const { socket, peer } = await withPeer(reactor);
      const { fd } = (peer.socket as unknown as { _handle: { fd: number } })._handle;
      const adopted = reactor.adopt(fd);
      const called = new Log<number>();
      reactor.register(adopted, WRITABLE, (_socket, readiness, registration) => {
        called.add(readiness);
        registration.unregister();
      });
      await called.reaches(1);
      expect(adopted.detach()).toBe(fd);
      socket.send(Buffer.from('still there'));
      expect((await peer.receives(11)).toString()).toBe('still there');
    },
  );

  stage.needs('adopt', 'socketPair')(
    'two descriptors of one socket are two sockets; close of one leaves nothing of it in the kernel (20, 87)',
    async () => {
      const reactor = stage.reactor();
      const [near, far] = reactor.socketPair().map(owned) as [Socket, Socket];
      const node = new NodeProcess(
        `
        import { Reactor, READABLE } from '@fdset/reactor';
        const reactor = new Reactor();
        const [first, second] = [reactor.adopt(3), reactor.adopt(4)];
        reactor.register(first, READABLE, (_socket, _readiness, own) => { own.modify(0); console.log('first'); });
        let calls = 0;
        const kept = reactor.register(second, READABLE, (_socket, _readiness, own) => {
          own.modify(0);
          console.log('second');
          calls += 1;
          if (calls === 2) setTimeout(() => look(reactor.metrics), 50);
        });
        const look = ({ turns, stale }) => setTimeout(() => {
          console.log(reactor.metrics.turns - turns, stale, second.recv(Buffer.alloc(8)));
          process.exit();
        }, 50);
        process.stdin.once('data', () => {
          reactor.registrationOf(first).modify(READABLE);
          first.close();
          kept.modify(READABLE);
        });
        console.log('ready');`,
        { backend: stage.backend, descriptors: [near.fileno(), near.fileno()] },
      );
      await node.line(0);
      far.send(Buffer.from('x'));
      await node.line(2);
      expect(node.lines.entries.slice(1, 3).sort()).toEqual(['first', 'second']);
      node.child.stdin?.write('go');
      expect((await node.ended()).lines.slice(3)).toEqual(['second', '0 0 1']);
    },
  );

  stage.needs('rawDescriptors')('each reactor costs two descriptors at most, and gives them back (L10)', async () => {
    const count = () => readdirSync('/proc/self/fd').length;
    const before = count();
    const reactors = Array.from({ length: 50 }, () => new Reactor({ backend: stage.choice() }));
    expect(count() - before).toBeLessThanOrEqual(100);
    for (const reactor of reactors) reactor.close();
    await until(() => count() <= before);
  });

  stage.needs('rawDescriptors')(
    'without descriptors a reactor or socket is EMFILE, and those that are there go on (L10)',
    async () => {
      const { lines, code } = await runNode(
        `
      import { Reactor, WRITABLE } from '@fdset/reactor';
      const reactor = new Reactor();
      const [socket] = reactor.socketPair();
      const made = [];
      const codes = new Set();
      try { for (;;) made.push(new Reactor()); } catch (error) { codes.add(error.code + ' ' + error.syscall); }
      try { for (;;) made.push(reactor.socket()); } catch (error) { codes.add(error.code + ' ' + error.syscall); }
      try { reactor.socketPair(); } catch (error) { codes.add(error.code + ' ' + error.syscall); }
      console.log([...codes].join(', '));
      await new Promise((resolve) => reactor.register(socket, WRITABLE, (_socket, _bits, own) => { own.unregister(); resolve(); }));
      for (const each of made) each.close();
      await new Promise((resolve) => setTimeout(resolve, 10));
      new Reactor().close();
      console.log('served');`,
        { backend: stage.backend, through: ['prlimit', '--nofile=96:96'] },
      );
      expect({ lines, code }).toEqual({
        lines: ['EMFILE epoll_create1, EMFILE socket, EMFILE socketpair', 'served'],
        code: 0,
      });
    },
  );

  it('close ends the registration; unregister afterwards is fine (8)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const registration = reactor.register(socket, READABLE, nothing);
    socket.close();
    expect(registration.active).toBe(false);
    expect(reactor.registrationOf(socket)).toBeUndefined();
    expect(reactor.metrics.registrations).toBe(0);
    registration.unregister();
  });

  it('modify replaces the whole interest at once (9, 17)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    peer.write('x');
    await arrived(socket, 1);
    const log = new Log<string>();
    const registration = reactor.register(socket, READABLE, {
      readable: () => {
        log.add('readable');
        registration.modify(WRITABLE);
      },
      writable: () => {
        log.add('writable');
        registration.modify(0);
      },
    });
    await log.reaches(2);
    await rounds(4);
    expect(log.entries).toEqual(['readable', 'writable']);
    expect(registration.interest).toBe(0);
  });

  it('data may be replaced at any time and costs no turn (9)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const registration = reactor.register<number>(socket, 0, nothing, { data: 1 });
    await rounds(8);
    const { turns } = reactor.metrics;
    registration.data = 2;
    await rounds(8);
    expect(reactor.metrics.turns).toBe(turns);
    expect((reactor.registrationOf(socket) as typeof registration).data).toBe(2);
  });

  stage.needs('rawDescriptors')('a modify that the system refuses leaves the interest as it was (10)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const registration = reactor.register(socket, READABLE, nothing);
    closeSync(socket.fileno());
    expect(thrown(() => registration.modify(WRITABLE))).toMatchObject({ code: 'EBADF', syscall: 'epoll_ctl' });
    expect(registration.interest).toBe(READABLE);
    registration.unregister();
    expect(reactor.metrics.registrations).toBe(0);
    socket.detach();
  });

  stage.needs('rawDescriptors')('a register that the system refuses leaves the socket unregistered (10)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    closeSync(socket.fileno());
    expect(thrown(() => reactor.register(socket, READABLE, nothing))).toMatchObject({
      code: 'EBADF',
      syscall: 'epoll_ctl',
    });
    expect(reactor.registrationOf(socket)).toBeUndefined();
    expect(reactor.metrics.registrations).toBe(0);
    socket.detach();
  });

  it('close of the reactor ends all registrations, leaves the sockets open, and is idempotent (11)', async () => {
    const reactor = stage.reactor();
    const [socket, other] = await pair(reactor);
    const registration = reactor.register(socket, READABLE, nothing);
    reactor.close();
    reactor.close();
    expect(registration.active).toBe(false);
    expect([...reactor.registrations()]).toEqual([]);
    expect([socket.closed, other.closed]).toEqual([false, false]);
    registration.unregister();
    for (const use of [
      () => reactor.register(socket, READABLE, nothing),
      () => reactor.socket(),
      () => reactor.setTimer(1, nothing),
      () => reactor.post(nothing),
    ])
      expect(thrown(use)).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
    for (const use of [
      () => reactor.select([], [], [], 0),
      () => reactor.listen({ host: '127.0.0.1', port: 0 }),
      () => reactor.connect({ host: '127.0.0.1', port: 1 }),
      () => reactor.serve({ host: '127.0.0.1', port: 0 }, {}),
      () => reactor.open({ host: '127.0.0.1', port: 1 }),
    ])
      await expect(use()).rejects.toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
  });

  it('registrationOf and registrations are live (12, 22)', async () => {
    const reactor = stage.reactor();
    const sockets = (await pairs(reactor, 3)).flat();
    const registrations = sockets.map((socket) => reactor.register(socket, READABLE, nothing));
    expect(new Set(reactor.registrations())).toEqual(new Set(registrations));
    expect(reactor.metrics.registrations).toBe(6);
    registrations[0]?.unregister();
    sockets[1]?.close();
    expect(new Set(reactor.registrations())).toEqual(new Set(registrations.slice(2)));
    expect(reactor.registrationOf(sockets[0] as never)).toBeUndefined();
    for (const registration of reactor.registrations()) registration.unregister();
    expect([...reactor.registrations()]).toEqual([]);
    expect(reactor.metrics.registrations).toBe(0);
  });

  it('Symbol.dispose closes: of a reactor and of a socket (13)', async () => {
    const reactor = new Reactor({ backend: stage.choice() });
    const [socket] = await pair(reactor);
    reactor.register(socket, READABLE, nothing);
    socket[Symbol.dispose]();
    expect(socket.closed).toBe(true);
    reactor[Symbol.dispose]();
    expect(thrown(() => reactor.socket())).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
  });

  it('what a timer registers is served, though nothing else wakes the reactor (15)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const log = new Log<number>();
    reactor.setTimer(5, () => {
      reactor.register(socket, WRITABLE, (_socket, readiness, registration) => {
        log.add(readiness);
        registration.unregister();
      });
    });
    await log.reaches(1);
    expect(log.entries).toEqual([WRITABLE]);
  });

  it('a socket belongs to its reactor: another one refuses it (16)', async () => {
    const [mine, other] = [stage.reactor(), stage.reactor()];
    const [socket] = await pair(mine);
    expect(thrown(() => other.register(socket, READABLE, nothing))).toMatchObject({ code: 'ERR_REACTOR_SOCKET' });
    expect(mine.register(socket, READABLE, nothing).active).toBe(true);
  });

  stage.needs('adopt')('a regular file and a directory are refused by name, and stay the caller’s (19)', () => {
    const reactor = stage.reactor();
    for (const path of ['/etc/passwd', '/etc']) {
      const fd = openSync(path, 'r');
      afterTest(() => closeSync(fd));
      const error = thrown(() => reactor.adopt(fd));
      expect(error).toMatchObject({ code: 'ERR_REACTOR_NOT_POLLABLE' });
      expect(error.message).toContain(`descriptor ${fd}`);
    }
  });

  stage.needs('socketPair', 'rawDescriptors')(
    'descriptors beyond FD_SETSIZE are served as all others (21)',
    async () => {
      const reactor = stage.reactor();
      const made = Array.from({ length: 560 }, () => reactor.socketPair().map(owned));
      const highest = Math.max(...made.flat().map((socket) => socket.fileno()));
      expect(highest).toBeGreaterThan(1024);
      const log = new Log<number>();
      for (const [near, far] of made) {
        reactor.register(near as never, READABLE, (socket, _readiness, registration) => {
          log.add(socket.fileno());
          registration.unregister();
        });
        far?.send(Buffer.from('x'));
      }
      await log.reaches(made.length);
      expect(new Set(log.entries)).toEqual(new Set(made.map(([near]) => near?.fileno())));
      const last = made.at(-1)?.[0] as never;
      expect((await reactor.select([last], [], []))[0]).toEqual([last]);
    },
  );

  it('readiness is what is being dispatched, with hints, and 0 outside of it', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const seen = new Log<number>();
    const registration = reactor.register(socket, READABLE, {
      readable(_socket, current) {
        seen.add(current.readiness);
        current.modify(0);
      },
    });
    peer.end();
    await seen.reaches(1);
    expect((seen.entries[0] as number) & (READABLE | READ_CLOSED)).toBe(READABLE | READ_CLOSED);
    expect(registration.readiness).toBe(0);
  });

  it('a function is told all that is ready at once, and only what was asked for', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    peer.write('x');
    await arrived(socket, 1);
    const seen = new Log<number>();
    const registration = reactor.register(socket, READABLE | WRITABLE, (_socket, readiness, current) => {
      seen.add(readiness);
      current.modify(seen.entries.length === 1 ? READABLE : 0);
    });
    await seen.reaches(2);
    expect(seen.entries).toEqual([READABLE | WRITABLE, READABLE]);
    expect(registration.interest).toBe(0);
  });

  it('one handler object serves many sockets', async () => {
    const reactor = stage.reactor();
    const sockets = (await pairs(reactor, 4)).map(([client]) => client);
    const served = new Log<unknown>();
    const shared = {
      writable(_socket: unknown, registration: { data: number; unregister(): void }) {
        served.add(registration.data);
        registration.unregister();
      },
    };
    for (const [i, socket] of sockets.entries()) reactor.register(socket, WRITABLE, shared, { data: i });
    await served.reaches(4);
    expect([...served.entries].sort()).toEqual([0, 1, 2, 3]);
  });

  it('a peer that goes while nothing is registered is told at the registration', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    peer.end('last');
    await arrived(socket, 4);
    const counts = new Log<number>();
    reactor.register(socket, READABLE, (ready, _readiness, registration) => {
      const count = ready.recv(Buffer.alloc(16));
      counts.add(count);
      if (count === 0) registration.unregister();
    });
    await counts.reaches(2);
    expect(counts.entries).toEqual([4, 0]);
  });
});
