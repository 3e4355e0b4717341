/** Sockets that Node has opened, taken over: adoptNode. */
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import { Reactor } from '@fdset/reactor';
import { describe, expect } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { Child } from '../support/child.js';
import { expectAlive, socketsOf } from '../support/hand-off.js';
import { NetPeer } from '../support/net-peer.js';
import { owned, received } from '../support/sockets.js';
import { abstractName, folder } from '../support/unix.js';
import { once, thrown, until } from '../support/waiting.js';

const CHILD = new URL('./fixtures/node-child.mjs', import.meta.url);

async function nodeServer(options: net.ServerOpts = {}): Promise<{ server: net.Server; port: number }> {
  const server = net.createServer(options);
  afterTest(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as net.AddressInfo).port };
}

/** A connection of Node's, and its peer. */
async function nodeConnection(options: net.ServerOpts = {}): Promise<{ node: net.Socket; peer: NetPeer }> {
  const { server, port } = await nodeServer(options);
  const [node, peer] = await Promise.all([
    once<net.Socket>(server, 'connection'),
    NetPeer.connect({ host: '127.0.0.1', port }),
  ]);
  server.close();
  afterTest(() => node.destroy());
  return { node, peer };
}

describeBackends(
  'sockets of node:net',
  (stage) => {
    const check = stage.needs('adopt');

    check('a connection goes on here, and its peer notices nothing', async () => {
      const reactor = stage.reactor();
      const { node, peer } = await nodeConnection();
      const { socket, unread } = reactor.adoptNode(node);
      expect(node.destroyed).toBe(true);
      expect(unread).toHaveLength(0);
      await once(node, 'close');
      await expectAlive(reactor, owned(socket), peer);
      expect(socket.localAddress).toMatchObject({ host: '127.0.0.1' });
    });

    check('what Node had read and nobody had taken is handed out; not a byte is lost or doubled', async () => {
      const reactor = stage.reactor();
      const { node, peer } = await nodeConnection();
      // Read by Node, and wanted by nobody yet.
      node.once('readable', () => {});
      peer.write('read by node;');
      await until(() => node.readableLength === 13);
      node.unshift('put back;');
      peer.write('still in the kernel');
      const { socket, unread } = reactor.adoptNode(node);
      const rest = await received(reactor, owned(socket), 41 - unread.length);
      expect(unread.toString()).toMatch(/^put back;read by node;/);
      expect(Buffer.concat([unread, rest]).toString()).toBe('put back;read by node;still in the kernel');
    });

    check('the end of a stream that Node has seen is told again', async () => {
      const reactor = stage.reactor();
      const { node, peer } = await nodeConnection({ allowHalfOpen: true });
      node.resume();
      peer.end();
      await once(node, 'end');
      const { socket } = reactor.adoptNode(node);
      expect((await received(reactor, owned(socket))).length).toBe(0);
      socket.send(Buffer.from('half open'));
      expect((await peer.receives(9)).toString()).toBe('half open');
    });

    check('a server goes on here: those in its queue, and those that come', async () => {
      const reactor = stage.reactor();
      const { server, port } = await nodeServer();
      const { socket } = reactor.adoptNode(server);
      expect(server.listening).toBe(false);
      const listener = await reactor.serve({ fd: socket.detach() }, (connection) => connection.end('taken over'));
      const peer = await NetPeer.connect({ host: '127.0.0.1', port });
      await peer.ended;
      expect(peer.received.toString()).toBe('taken over');
      await listener.close();
    });

    check('a server in the abstract namespace, too', async () => {
      const reactor = stage.reactor();
      const path = abstractName();
      const server = net.createServer();
      server.listen(path);
      await once(server, 'listening');
      const { socket } = reactor.adoptNode(server);
      const listener = await reactor.serve({ fd: socket.detach() }, (connection) => connection.end('taken over'));
      const peer = await NetPeer.connect({ path });
      await peer.ended;
      expect(peer.received.toString()).toBe('taken over');
      await listener.close();
    });

    check('a child to which Node sends them goes on with both', async () => {
      const child = new Child(CHILD, null);
      await child.tells(0);
      const { node, peer } = await nodeConnection({ pauseOnConnect: true });
      peer.write('before;');
      child.process.send('connection', node);
      await child.tells(1);
      expect((await peer.receives(14)).toString()).toBe('child: before;');
      const { server, port } = await nodeServer();
      child.process.send('server', server);
      await child.tells(2);
      server.close();
      const other = await NetPeer.connect({ host: '127.0.0.1', port });
      await other.ended;
      expect(other.received.toString()).toBe('served by the child');
    });

    check('a thousand leave no descriptor', async () => {
      const reactor = stage.reactor();
      const { server, port } = await nodeServer();
      const before = socketsOf('self').length;
      for (let i = 0; i < 1000; i += 1) {
        const accepted = once<net.Socket>(server, 'connection');
        const client = net.connect(port, '127.0.0.1');
        const { socket } = reactor.adoptNode(await accepted);
        socket.close();
        await once(client.resume(), 'close');
      }
      await until(() => socketsOf('self').length <= before);
    });

    describe('are left alone', () => {
      const code = (reactor: Reactor, node: unknown) =>
        (thrown(() => reactor.adoptNode(node as never)) as { code: string }).code;

      check('where something would be lost', async () => {
        const reactor = stage.reactor();
        const { node, peer } = await nodeConnection();
        peer.socket.pause();
        while (node.write(Buffer.alloc(1_000_000)));
        expect(code(reactor, node)).toBe('ERR_REACTOR_DETACH');
        const text = (await nodeConnection()).node;
        text.setEncoding('utf8');
        expect(code(reactor, text)).toBe('ERR_REACTOR_SOCKET');
        const path = `${folder()}/s`;
        const server = net.createServer().listen(path);
        await once(server, 'listening');
        expect(code(reactor, server)).toBe('ERR_REACTOR_SOCKET');
        expect(server.listening).toBe(true);
        server.close();
        const encrypted = new tls.TLSSocket((await nodeConnection()).node);
        expect(code(reactor, encrypted)).toBe('ERR_REACTOR_SOCKET');
        encrypted.destroy();
      });

      check('where there is nothing to take', async () => {
        const reactor = stage.reactor();
        const { node } = await nodeConnection();
        node.destroy();
        expect(code(reactor, node)).toBe('ERR_REACTOR_CLOSED');
        expect(code(reactor, net.createServer())).toBe('ERR_REACTOR_CLOSED');
        expect(code(reactor, new net.Socket())).toBe('ERR_REACTOR_SOCKET');
        const connecting = net.connect((await nodeServer()).port, '127.0.0.1');
        expect(code(reactor, connecting)).toBe('ERR_REACTOR_CLOSED');
        connecting.destroy();
        for (const wrong of [undefined, null, 3, {}, http.Server])
          expect(code(reactor, wrong)).toBe('ERR_REACTOR_ARGUMENT');
        const closed = new Reactor({ backend: stage.choice() });
        closed.close();
        expect(code(closed, node)).toBe('ERR_REACTOR_CLOSED');
      });
    });
  },
  { only: 'kernel', timeoutMs: 30_000 },
);
