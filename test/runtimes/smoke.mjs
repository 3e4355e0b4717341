// What a program does with the reactor, on the runtime that runs this: Node, Bun or Deno. It takes the built packages as
// their users do, has no test runner (that of Node runs on Node alone), prints a line for each deed, and must end by itself.
// usage: <runtime> smoke.mjs [backend that must run]
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { framed, lengthField, lines } from '@fdset/framing';
import { DatagramBatch, ERROR, READABLE, Reactor, Waker, WOULD_BLOCK, WRITABLE } from '@fdset/reactor';
import { LIMITS } from './limits.mjs';

const wanted = process.argv[2] ?? 'emulated';
const { bun, deno } = process.versions;
const runtime = bun !== undefined ? 'bun' : deno !== undefined ? 'deno' : 'node';
const version = `${runtime} ${bun ?? deno ?? process.versions.node}`;

/** A deed that takes longer is stuck. */
const LONGEST_MS = 10_000;
const ANY_PORT = { host: '127.0.0.1', port: 0 };

const deeds = {
  async 'the backend says why it runs'(reactor) {
    const { name, reason } = reactor.backend;
    assert.equal(name, wanted);
    if (runtime !== 'node') assert.match(reason, new RegExp(`^${runtime === 'bun' ? 'Bun' : 'Deno'} `));
  },

  async 'an echo over serve and open, to the end of the stream'(reactor) {
    const listener = await reactor.serve(ANY_PORT, { data: (connection, chunk) => void connection.write(chunk) });
    const connection = await reactor.open(listener.socket.localAddress);
    const sent = Buffer.alloc(3_000_000, 'fdset ');
    connection.write('a small one first, ');
    connection.end(sent);
    const [got, bytes] = [createHash('sha1'), createHash('sha1').update('a small one first, ').update(sent)];
    for await (const chunk of connection) got.update(chunk);
    assert.equal(got.digest('hex'), bytes.digest('hex'));
    await listener.close();
  },

  async 'many connections at a time'(reactor) {
    const listener = await reactor.serve(ANY_PORT, { data: (connection, chunk) => void connection.write(chunk) });
    const texts = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const connection = await reactor.open(listener.socket.localAddress);
        connection.end(`client ${i}`);
        let text = '';
        for await (const chunk of connection) text += chunk;
        return text;
      }),
    );
    assert.deepEqual(
      texts,
      texts.map((_, i) => `client ${i}`),
    );
    await listener.close();
  },

  async 'sockets by the verbs: listen, connect, accept, select, recv, send, shutdown'(reactor) {
    const [client, server] = await connectedPair(reactor);
    const into = Buffer.alloc(64);
    assert.equal(server.recv(into), WOULD_BLOCK);
    const [readable, writable] = await reactor.select([server, client], [client], []);
    assert.ok(readable.length === 0 && writable.length === 1 && writable[0] === client);
    assert.equal(client.send(Buffer.from('hello')), 5);
    await reactor.select([server], [], []);
    assert.equal(server.recv(into), 5);
    assert.equal(into.toString('latin1', 0, 5), 'hello');
    client.shutdown('write');
    await reactor.select([server], [], []);
    assert.equal(server.recv(into), 0);
    assert.equal(server.send(Buffer.from('still')), 5);
    await reactor.select([client], [], []);
    assert.equal(client.recv(into), 5);
    assert.equal(client.remoteAddress.port, server.localAddress.port);
    assert.equal(server.remoteAddress.port, client.localAddress.port);
    client.close();
    server.close();
  },

  async 'a full peer: send takes a part, then would block, then is writable again'(reactor) {
    const [client, server] = await connectedPair(reactor);
    const block = Buffer.alloc(65_536, 'x');
    let sent = 0;
    for (let idle = 0; idle < 3; ) {
      const count = client.send(block);
      if (count === WOULD_BLOCK) {
        const [, writable] = await reactor.select([], [client], [], 100);
        idle = writable.length === 0 ? idle + 1 : 0;
      } else sent += count;
    }
    const into = Buffer.alloc(65_536);
    for (let got = 0; got < sent; ) {
      const count = server.recv(into);
      if (count === WOULD_BLOCK) await reactor.select([server], [], []);
      else got += count;
    }
    await reactor.select([], [client], []);
    assert.ok(client.send(block) > 0);
    client.reset();
    server.reset();
  },

  async 'a connect that is refused, and a bind to an address in use'(reactor) {
    const listener = await reactor.listen(ANY_PORT);
    const address = listener.localAddress;
    await assert.rejects(reactor.listen(address), { name: 'SocketError', code: 'EADDRINUSE' });
    listener.close();
    await assert.rejects(reactor.connect(address), { name: 'SocketError', code: 'ECONNREFUSED' });
  },

  async 'a reset is told as one, and what came before it is delivered'(reactor) {
    const [client, server] = await connectedPair(reactor);
    const into = Buffer.alloc(64);
    client.send(Buffer.from('last'));
    await reactor.select([server], [], []);
    assert.equal(server.recv(into), 4);
    client.reset();
    await reactor.select([server], [], []);
    assert.throws(() => server.recv(into), { name: 'SocketError', code: 'ECONNRESET' });
    server.close();
  },

  async 'registrations are level-triggered, and end with the socket'(reactor) {
    const [client, server] = await connectedPair(reactor);
    const seen = [];
    await new Promise((resolve) => {
      reactor.register(server, READABLE | WRITABLE | ERROR, {
        readable(socket, registration) {
          const into = Buffer.alloc(1);
          socket.recv(into);
          seen.push(into.toString());
          if (seen.length === 3) {
            registration.unregister();
            resolve();
          }
        },
        writable(_socket, registration) {
          registration.modify(READABLE);
          client.send(Buffer.from('abc'));
        },
        error() {},
      });
    });
    assert.deepEqual(seen, ['a', 'b', 'c']);
    client.close();
    server.close();
    assert.equal([...reactor.registrations()].length, 0);
  },

  async 'timers in the order of their deadlines, a select that times out, posted tasks'(reactor) {
    const order = [];
    reactor.setTimer(20, () => order.push('20'));
    reactor.setTimer(5, () => order.push('5'));
    const cancelled = reactor.setTimer(10, () => order.push('cancelled'));
    cancelled.cancel();
    reactor.post(() => order.push('posted'));
    assert.deepEqual(await reactor.select([], [], [], 40), [[], [], []]);
    assert.deepEqual(order, ['posted', '5', '20']);
    const before = reactor.now();
    await reactor.sleep(10);
    assert.ok(reactor.now() - before >= 9.5);
  },

  async 'messages: lines and length fields over a connection'(reactor) {
    for (const [codec, messages] of [
      [lines(), ['one', 'two', 'three'].map((text) => Buffer.from(text))],
      [lengthField({ size: 2 }), [0, 1, 300].map((bytes) => Buffer.alloc(bytes, 'm'))],
    ]) {
      const listener = await reactor.serve(ANY_PORT, (connection) => {
        const channel = framed(connection, codec);
        channel.on('message', (message) => channel.send(message));
      });
      const channel = framed(await reactor.open(listener.socket.localAddress), codec);
      for (const message of messages) channel.send(message);
      const back = [];
      for await (const message of channel) if (back.push(Buffer.from(message)) === messages.length) break;
      assert.deepEqual(back, messages);
      channel.end();
      await listener.close();
    }
  },

  async 'datagrams: sent, received, answered, cut, and empty'(reactor) {
    const [server, client] = [await boundDatagram(reactor), await boundDatagram(reactor)];
    client.sendTo(Buffer.from('ping'), server.localAddress);
    const ping = await datagram(reactor, server);
    assert.deepEqual([ping.text, ping.address.port], ['ping', client.localAddress.port]);
    server.sendTo(Buffer.from('pong'), ping.address);
    assert.equal((await datagram(reactor, client)).text, 'pong');
    client.sendTo(Buffer.alloc(0), server.localAddress);
    assert.equal((await datagram(reactor, server)).bytes, 0);
    client.sendTo(Buffer.from('too long'), server.localAddress);
    const cut = await datagram(reactor, server, 3);
    assert.deepEqual([cut.text, cut.truncated], ['too', true]);
    assert.throws(() => client.sendTo(Buffer.alloc(70_000), server.localAddress), { code: 'EMSGSIZE' });
    server.close();
    client.close();
  },

  async 'batches of datagrams, sent back as they were received'(reactor) {
    const [server, client] = [await boundDatagram(reactor), await boundDatagram(reactor)];
    const batch = new DatagramBatch(8, 64);
    for (let i = 0; i < 5; i += 1) batch.add(Buffer.from(`datagram ${i}`), server.localAddress);
    const sendAll = async (socket) => {
      for (let start = 0; start < batch.length; ) {
        const count = socket.sendBatch(batch, start);
        if (count === WOULD_BLOCK) await reactor.select([], [socket], []);
        else start += count;
      }
    };
    await sendAll(client);
    const texts = [];
    for (let got = 0; got < 5; ) {
      await reactor.select([server], [], []);
      got += Math.max(0, server.recvBatch(batch));
      await sendAll(server);
    }
    while (texts.length < 5) texts.push((await datagram(reactor, client)).text);
    assert.deepEqual(
      texts,
      texts.map((_, i) => `datagram ${i}`),
    );
    server.close();
    client.close();
  },

  async 'datagrams of a connected socket, and close while it binds'(reactor) {
    const server = await boundDatagram(reactor);
    const client = reactor.socket({ type: 'datagram' });
    client.connect(server.localAddress);
    while (!client.finishConnect()) await reactor.select([], [client], []);
    client.send(Buffer.from('to the peer'));
    const { text, address } = await datagram(reactor, server);
    assert.equal(text, 'to the peer');
    server.sendTo(Buffer.from('back'), address);
    assert.equal((await datagram(reactor, client)).text, 'back');
    const hasty = reactor.socket({ type: 'datagram' });
    hasty.bind(ANY_PORT);
    hasty.close();
    client.close();
    server.close();
  },

  async 'a datagram that nobody received is ECONNREFUSED of a connected socket'(reactor) {
    const [gone, client] = [await boundDatagram(reactor), reactor.socket({ type: 'datagram' })];
    const address = gone.localAddress;
    gone.close();
    client.connect(address);
    while (!client.finishConnect()) await reactor.select([], [client], []);
    client.send(Buffer.from('anyone?'));
    const [, , errored] = await reactor.select([], [], [client], 2000);
    assert.equal(errored.length, 1);
    assert.throws(() => client.recv(Buffer.alloc(8)), { code: 'ECONNREFUSED' });
    client.close();
  },

  async 'a datagram socket binds to an address in use: the next verb tells'(reactor) {
    const first = await boundDatagram(reactor);
    const second = reactor.socket({ type: 'datagram' });
    assert.throws(
      () => {
        second.bind(first.localAddress);
        throw second;
      },
      (error) => error === second || error.code === 'EADDRINUSE',
    );
    if (!reactor.capabilities.syncBind) {
      await reactor.select([], [], [second], 2000);
      assert.equal(second.takeError()?.code, 'EADDRINUSE');
    }
    first.close();
    second.close();
  },

  async 'multicasts that stay on this host: multicastTtl 0'(reactor) {
    const socket = await boundDatagram(reactor);
    socket.setOption('multicastTtl', 0);
    socket.close();
  },

  async 'multicast groups are joined and left'(reactor) {
    const socket = await boundDatagram(reactor);
    socket.setOption('multicastTtl', 2);
    socket.setOption('multicastLoop', true);
    socket.setOption('multicastInterface', '127.0.0.1');
    socket.joinGroup('239.255.77.7', { interface: '127.0.0.1' });
    socket.leaveGroup('239.255.77.7', { interface: '127.0.0.1' });
    socket.close();
  },

  async 'wakers: a reactor in a worker thread is woken, and one here by threads, without a wake that is lost'(reactor) {
    const thread = (fixture, workerData) => {
      const worker = new Worker(new URL(`../threads/fixtures/${fixture}.mjs`, import.meta.url), { workerData });
      // Where it fails, the program is to end all the same.
      worker.unref();
      return worker;
    };
    const worker = thread('waker', {});
    const [handle] = await once(worker, 'message');
    for (let i = 1; i <= 3; i += 1) {
      const told = once(worker, 'message');
      assert.equal(Waker.from(handle).wake(), true);
      assert.deepEqual(await told, [`woken ${i}`]);
    }
    worker.postMessage('exit');
    await once(worker, 'exit');

    const [threads, rings] = [2, 500];
    const counters = new Int32Array(new SharedArrayBuffer(4 * threads));
    const seen = () => counters.reduce((sum, count) => sum + count, 0);
    await new Promise((resolve, reject) => {
      const waker = reactor.waker(() => {
        if (seen() === threads * rings) resolve();
      });
      for (let index = 0; index < threads; index += 1)
        thread('ringer', { handle: waker.handle, counters, index, rings }).once('error', reject);
    });
  },

  async 'a connection over a unix path, which is gone afterwards'(reactor) {
    const at = path.join(tmpdir(), `fdset-smoke-${process.pid}.sock`);
    rmSync(at, { force: true });
    const listener = await reactor.serve({ path: at }, { data: (connection, chunk) => connection.end(chunk) });
    const connection = await reactor.open({ path: at });
    connection.write('over a path');
    let text = '';
    for await (const chunk of connection) text += chunk;
    assert.equal(text, 'over a path');
    connection.end();
    await listener.close();
  },
};

async function connectedPair(reactor) {
  const listener = await reactor.listen(ANY_PORT);
  const client = await reactor.connect(listener.localAddress);
  await reactor.select([listener], [], []);
  const server = listener.accept();
  listener.close();
  return [client, server];
}

/** Bound, also where that takes a tick: a socket that binds is not writable. */
async function boundDatagram(reactor) {
  const socket = reactor.socket({ type: 'datagram' });
  socket.bind(ANY_PORT);
  await reactor.select([], [socket], []);
  return socket;
}

async function datagram(reactor, socket, bytes = 64) {
  const into = Buffer.alloc(bytes);
  for (;;) {
    const received = socket.recvFrom(into);
    if (received !== null) return { ...received, text: into.toString('latin1', 0, received.bytes) };
    const [readable] = await reactor.select([socket], [], [], 5000);
    if (readable.length === 0) throw new Error('no datagram has come');
  }
}

const limits = LIMITS[runtime] ?? {};
let failed = 0;
for (const [name, deed] of Object.entries(deeds)) {
  const reactor = new Reactor();
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${LONGEST_MS / 1000} s`)), LONGEST_MS);
  });
  let error;
  try {
    await Promise.race([deed(reactor), late]);
  } catch (thrown) {
    error = thrown;
  }
  clearTimeout(timer);
  reactor.close();
  const limit = limits[name];
  // A limit that is none any more must go from the list, and from the documentation.
  if (error === undefined && limit === undefined) console.log(`ok       ${name}`);
  else if (error !== undefined && limit !== undefined) console.log(`limited  ${name}: ${limit}`);
  else {
    failed += 1;
    console.log(`FAILED   ${name}: ${error === undefined ? `works now, but is listed: ${limit}` : error.stack}`);
  }
}
for (const name of Object.keys(limits)) if (!(name in deeds)) throw new Error(`limits.mjs names no deed: ${name}`);
console.log(`${version}: ${Object.keys(deeds).length - failed} of ${Object.keys(deeds).length} as they should be`);
process.exitCode = failed === 0 ? 0 : 1;
