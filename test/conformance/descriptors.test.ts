/** Descriptors over unix sockets (SCM_RIGHTS), and who is at the other end (SO_PEERCRED). */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync, readSync, writeSync } from 'node:fs';
import path from 'node:path';
import { READABLE, type Reactor, type Socket, WOULD_BLOCK } from '@fdset/reactor';
import { describe, expect } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { runNode } from '../support/node-process.js';
import { python } from '../support/python-peer.js';
import { pipe } from '../support/socket-states.js';
import { accepted, owned, pair, received } from '../support/sockets.js';
import { folder, unixPair } from '../support/unix.js';
import { once, thrown } from '../support/waiting.js';

type Received = NonNullable<ReturnType<Socket['recvDescriptors']>>;

/** What comes next, waited for; the descriptors are closed when the test is over, unless they were adopted. */
async function receivedDescriptors(reactor: Reactor, socket: Socket, bytes = 64): Promise<Received & { text: string }> {
  const into = Buffer.alloc(bytes);
  for (;;) {
    const got = socket.recvDescriptors(into);
    if (got !== null) return { ...got, text: into.toString('latin1', 0, got.bytes) };
    await reactor.select([socket], [], []);
  }
}

/** FD_CLOEXEC is O_CLOEXEC among the flags that proc(5) shows. */
function closedOnExec(fd: number): boolean {
  const [, flags = '0'] = /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? [];
  return (Number.parseInt(flags, 8) & 0o2000000) !== 0;
}

/** What the descriptor stands for; empty where it was that of a listing which is over. */
function linkOf(fd: string | number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

describeBackends('descriptor passing', (stage) => {
  const check = stage.needs('descriptorPassing');

  describe.each(['stream', 'datagram', 'seqpacket'] as const)('over a %s', (type) => {
    check('a connection changes its owner: adopted, it goes on where it was (94)', async () => {
      const reactor = stage.reactor();
      const [near, far] = unixPair(reactor, type);
      const [client, server] = await pair(reactor);
      expect(near.recvDescriptors(Buffer.alloc(8))).toBeNull();
      expect(near.sendDescriptors([server.fileno()], Buffer.from('take it'))).toBe(7);
      server.close();
      const got = await receivedDescriptors(reactor, far);
      expect(got).toMatchObject({ bytes: 7, text: 'take it', truncated: false });
      expect(got.descriptors).toHaveLength(1);
      const [fd = -1] = got.descriptors;
      expect(closedOnExec(fd)).toBe(true);
      const taken = owned(reactor.adopt(fd));
      expect([taken.type, taken.family, taken.remoteAddress]).toEqual(['stream', 'ipv4', client.localAddress]);
      client.send(Buffer.from('still here'));
      expect((await received(reactor, taken, 10)).toString()).toBe('still here');
    });

    check('several come in their order, and each is a duplicate of its own (94)', async () => {
      const reactor = stage.reactor();
      const [near, far] = unixPair(reactor, type);
      const [read, write] = pipe(reactor);
      near.sendDescriptors([write.fileno(), read.fileno(), write.fileno()], Buffer.from('x'));
      write.close();
      read.close();
      const { descriptors } = await receivedDescriptors(reactor, far);
      const [one, two, three] = descriptors.map((fd) => owned(reactor.adopt(fd))) as [Socket, Socket, Socket];
      expect(descriptors.map(closedOnExec)).toEqual([true, true, true]);
      one.send(Buffer.from('a'));
      three.send(Buffer.from('b'));
      expect((await received(reactor, two, 2)).toString()).toBe('ab');
      expect(two.recv(Buffer.alloc(1))).toBe(WOULD_BLOCK);
      one.close();
      expect(two.recv(Buffer.alloc(1))).toBe(WOULD_BLOCK);
      three.close();
      expect(two.recv(Buffer.alloc(1))).toBe(0);
    });

    check('the most that a message carries arrive, one more is refused (94)', async () => {
      const reactor = stage.reactor();
      const [near, far] = unixPair(reactor, type);
      const most = Array.from({ length: 253 }, () => near.fileno());
      expect(near.sendDescriptors(most, Buffer.from('many'))).toBe(4);
      const { descriptors, truncated } = await receivedDescriptors(reactor, far);
      for (const fd of descriptors) closeSync(fd);
      expect([descriptors.length, new Set(descriptors).size, truncated]).toEqual([253, 253, false]);
      expect(thrown(() => near.sendDescriptors([...most, 0], Buffer.from('x')))).toMatchObject({
        code: 'ERR_REACTOR_ARGUMENT',
      });
    });
  });

  check('bytes without descriptors have an empty list, and the end of the stream is 0 bytes (94)', async () => {
    const reactor = stage.reactor();
    const [near, far] = unixPair(reactor);
    near.send(Buffer.from('plain'));
    near.shutdown('write');
    expect(await receivedDescriptors(reactor, far)).toMatchObject({ bytes: 5, descriptors: [], truncated: false });
    expect(far.recvDescriptors(Buffer.alloc(8))).toEqual({ bytes: 0, descriptors: [], truncated: false });
  });

  check('a plain recv closes what came along, and the rest of a datagram that is cut is told (94)', async () => {
    const reactor = stage.reactor();
    const [near, far] = unixPair(reactor, 'datagram');
    // Of this socket: what else the process opens and closes is the test runner's.
    const open = () => readdirSync('/proc/self/fd').filter((fd) => linkOf(fd) === linkOf(near.fileno())).length;
    expect(open()).toBe(1);
    near.sendDescriptors([near.fileno()], Buffer.from('unread'));
    await reactor.select([far], [], []);
    expect(far.recv(Buffer.alloc(8))).toBe(6);
    expect(open()).toBe(1);
    near.send(Buffer.from('too long'));
    expect(await receivedDescriptors(reactor, far, 3)).toMatchObject({ bytes: 3, text: 'too', truncated: true });
  });

  check('descriptors that this process cannot open any more are lost, which is told; none leaks (94)', async () => {
    const outcome = await runNode(
      `
      import { closeSync, openSync, readdirSync } from 'node:fs';
      import { Reactor } from '@fdset/reactor';
      const reactor = new Reactor();
      const [near, far] = reactor.socketPair();
      near.sendDescriptors([0, 1, 2, 0, 1], Buffer.from('x'));
      const filler = [];
      try { for (;;) filler.push(openSync('/dev/null')); } catch (error) { console.log(error.code); }
      for (const fd of filler.splice(-2)) closeSync(fd);
      const { bytes, descriptors, truncated } = far.recvDescriptors(Buffer.alloc(8));
      console.log(bytes, descriptors.length, truncated);
      for (const fd of [...descriptors, ...filler]) closeSync(fd);
      // Nothing but the descriptors that it told of was opened.
      near.close();
      far.close();
      let free = 0;
      try { for (;;) { openSync('/dev/null'); free += 1; } } catch {}
      console.log(free - filler.length - 2);`,
      { backend: stage.backend, through: ['prlimit', '--nofile=64:64'] },
    );
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    const [code, got, spare] = outcome.lines;
    expect([code, got]).toEqual(['EMFILE', '1 2 true']);
    // The two ends of the pair.
    expect(Number(spare)).toBe(2);
  });

  check('wrong lists and payloads are refused, a closed descriptor is EBADF, and nothing is sent (94)', async () => {
    const reactor = stage.reactor();
    const [near, far] = unixPair(reactor);
    const x = Buffer.from('x');
    const [tcp] = await pair(reactor);
    for (const [call, expected] of [
      [() => near.sendDescriptors([], x), { code: 'ERR_REACTOR_ARGUMENT' }],
      [() => near.sendDescriptors('0' as never, x), { code: 'ERR_REACTOR_ARGUMENT' }],
      [() => near.sendDescriptors([-1], x), { code: 'ERR_REACTOR_ARGUMENT' }],
      [() => near.sendDescriptors([0.5], x), { code: 'ERR_REACTOR_ARGUMENT' }],
      [() => near.sendDescriptors([0, undefined as never], x), { code: 'ERR_REACTOR_ARGUMENT' }],
      [() => near.sendDescriptors([0], Buffer.alloc(0)), { code: 'ERR_REACTOR_BUFFER', name: 'RangeError' }],
      [() => near.sendDescriptors([0], 'x' as never), { code: 'ERR_REACTOR_BUFFER', name: 'TypeError' }],
      [() => near.sendDescriptors([1_000_000], x), { code: 'EBADF', syscall: 'sendmsg' }],
      [() => near.recvDescriptors(Buffer.alloc(0)), { code: 'ERR_REACTOR_BUFFER' }],
      [() => near.recvDescriptors(null as never), { code: 'ERR_REACTOR_BUFFER' }],
      [() => tcp.sendDescriptors([0], x), { code: 'ENOTSUP' }],
      [() => tcp.recvDescriptors(x), { code: 'ENOTSUP' }],
    ] as const)
      expect(thrown(call)).toMatchObject(expected);
    expect(far.recvDescriptors(x)).toBeNull();
    far.close();
    expect(thrown(() => near.sendDescriptors([0], x))).toMatchObject({ code: 'EPIPE' });
  });

  check('a full socket would block, and has sent no descriptor (94)', async () => {
    const reactor = stage.reactor();
    const [near, far] = unixPair(reactor);
    const block = Buffer.alloc(65536);
    let total = 0;
    for (let count = near.send(block); count !== WOULD_BLOCK; count = near.send(block)) total += count;
    expect(near.sendDescriptors([near.fileno()], Buffer.from('x'))).toBe(WOULD_BLOCK);
    expect((await received(reactor, far, total)).length).toBe(total);
    expect(far.recvDescriptors(Buffer.alloc(8))).toBeNull();
  });

  check('Python’s send_fds and recv_fds understand it (94, 95)', async () => {
    const reactor = stage.reactor();
    const listener = owned(reactor.socket({ family: 'unix' }));
    const address = path.join(folder(), 'socket');
    listener.bind({ path: address });
    listener.listen();
    const script = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
r, w = os.pipe()
socket.send_fds(s, [b'from python'], [r])
os.write(w, b'through its pipe')
data, fds, flags, address = socket.recv_fds(s, 64, 4)
os.write(fds[0], b'python got ' + data)
`;
    const child = spawn(python(), ['-c', script, address], { stdio: ['ignore', 'inherit', 'inherit'] });
    const gone = once<number>(child, 'close');
    afterTest(() => gone);
    const socket = await accepted(reactor, listener);
    expect(socket.getOption('peerCredentials')).toEqual({
      pid: child.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    });
    const got = await receivedDescriptors(reactor, socket);
    expect(got.text).toBe('from python');
    const theirs = owned(reactor.adopt(got.descriptors[0] as number));
    expect((await received(reactor, theirs, 16)).toString()).toBe('through its pipe');
    const [read, write] = pipe(reactor);
    socket.sendDescriptors([write.fileno()], Buffer.from('ours'));
    write.close();
    expect((await received(reactor, read)).toString()).toBe('python got ours');
    expect(await gone).toBe(0);
  });

  check('peerCredentials: of a pair this process, without a peer ENOTCONN; they cannot be set (95)', async () => {
    const reactor = stage.reactor();
    const [near] = unixPair(reactor);
    const self = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() };
    expect(near.getOption('peerCredentials')).toEqual(self);
    const [tcp] = await pair(reactor);
    for (const socket of [tcp, owned(reactor.socket({ family: 'unix' }))])
      expect(thrown(() => socket.getOption('peerCredentials'))).toMatchObject({ code: 'ENOTCONN' });
    const error = thrown(() => near.setOption('peerCredentials', self as never));
    expect(error).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    expect(error.message).toContain('can only be read');
  });
});

describeBackends('pipes and terminals', (stage) => {
  const check = stage.needs('adopt');

  check('a child speaks through FIFOs whose ends are ours: what it reads and what it writes (96)', async () => {
    const reactor = stage.reactor();
    const place = folder();
    const [input, output] = [path.join(place, 'in'), path.join(place, 'out')];
    execFileSync('mkfifo', [input, output]);
    // Both ends at once: an end by itself waits for the other (fifo(7)). The child's are its own descriptions, blocking.
    const hold = [openSync(input, constants.O_RDWR), openSync(output, constants.O_RDWR)];
    const write = owned(reactor.adopt(openSync(input, constants.O_WRONLY | constants.O_NONBLOCK)));
    const read = owned(reactor.adopt(openSync(output, constants.O_RDONLY | constants.O_NONBLOCK)));
    const theirs = [openSync(input, constants.O_RDONLY), openSync(output, constants.O_WRONLY)] as [number, number];
    const child = spawn('tr', ['a-z', 'A-Z'], { stdio: [theirs[0], theirs[1], 'inherit'] });
    const gone = once<number>(child, 'close');
    afterTest(() => gone);
    for (const fd of [...hold, ...theirs]) closeSync(fd);
    expect([write.type, read.family]).toEqual(['pipe', 'pipe']);
    expect(write.send(Buffer.from('spoken to a child'))).toBe(17);
    write.close();
    expect((await received(reactor, read)).toString()).toBe('SPOKEN TO A CHILD');
    expect(read.recv(Buffer.alloc(1))).toBe(0);
    expect(await gone).toBe(0);
  });

  check('a full pipe would block, and is writable again when it was read (96)', async () => {
    const reactor = stage.reactor();
    const [read, write] = pipe(reactor);
    const block = Buffer.alloc(65536, 'x');
    let total = 0;
    for (let count = write.send(block); count !== WOULD_BLOCK; count = write.send(block)) total += count;
    expect(await reactor.select([], [write], [], 0)).toEqual([[], [], []]);
    expect((await received(reactor, read, total)).length).toBe(total);
    expect(await reactor.select([], [write], [])).toEqual([[], [write], []]);
  });

  check('what a pipe is not is said by its errors (96)', () => {
    const reactor = stage.reactor();
    const [read, write] = pipe(reactor);
    expect([read.localAddress, read.remoteAddress]).toEqual([undefined, undefined]);
    for (const call of [
      () => read.shutdown('read'),
      () => read.accept(),
      () => read.getOption('receiveBuffer'),
      () => read.takeError(),
      () => read.recvFrom(Buffer.alloc(1)),
      () => read.atMark(),
    ])
      expect(['ENOTSOCK', 'ENOTTY']).toContain(thrown(call).code);
    expect(thrown(() => read.send(Buffer.from('x')))).toMatchObject({ code: 'EBADF' });
    expect(thrown(() => write.connect({ host: '127.0.0.1', port: 9 }))).toMatchObject({ code: 'ERR_REACTOR_ADDRESS' });
    expect(thrown(() => write.sendDescriptors([0], Buffer.from('x')))).toMatchObject({ code: 'ENOTSUP' });
    expect(thrown(() => write.joinGroup('239.255.77.7'))).toMatchObject({ code: 'ENOTSUP' });
  });

  check('a terminal is read and written, and its hang-up is told', async () => {
    const reactor = stage.reactor();
    const script = `
import os, pty, sys, tty
master, slave = pty.openpty()
tty.setraw(slave)
print(os.ttyname(slave), flush=True)
sys.stdin.readline()
os.write(master, b'typed')
sys.stdout.write(os.read(master, 64).decode() + '\\n')
sys.stdout.flush()
sys.stdin.readline()
`;
    const child = spawn(python(), ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const gone = once<number>(child, 'close');
    afterTest(() => gone);
    const line = async () => String(await once<Buffer>(child.stdout, 'data')).trim();
    const name = await line();
    const terminal = owned(reactor.adopt(openSync(name, constants.O_RDWR | constants.O_NOCTTY)));
    expect([terminal.type, terminal.recv(Buffer.alloc(8))]).toEqual(['pipe', WOULD_BLOCK]);
    child.stdin.write('go\n');
    expect((await received(reactor, terminal, 5)).toString()).toBe('typed');
    const answer = line();
    terminal.send(Buffer.from('shown'));
    expect(await answer).toBe('shown');
    child.stdin.end('\n');
    expect(await gone).toBe(0);
    await reactor.select([terminal], [], []);
    expect(terminal.recv(Buffer.alloc(8))).toBe(0);
    expect(thrown(() => terminal.send(Buffer.from('x')))).toMatchObject({ code: 'EIO', syscall: 'send' });
  });

  check('a file is refused and stays open; a device that cannot be waited on is, when it is registered (19)', () => {
    const reactor = stage.reactor();
    const place = path.join(folder(), 'file');
    const file = openSync(place, 'w+');
    expect(thrown(() => reactor.adopt(file))).toMatchObject({ code: 'ERR_REACTOR_NOT_POLLABLE' });
    expect(writeSync(file, 'open')).toBe(4);
    expect(readSync(file, Buffer.alloc(8), 0, 8, 0)).toBe(4);
    closeSync(file);
    const nowhere = owned(reactor.adopt(openSync('/dev/null', 'r+')));
    expect(thrown(() => reactor.register(nowhere, READABLE, () => {}))).toMatchObject({
      code: 'ERR_REACTOR_NOT_POLLABLE',
    });
    expect([nowhere.send(Buffer.from('x')), nowhere.recv(Buffer.alloc(1))]).toEqual([1, 0]);
  });
});
