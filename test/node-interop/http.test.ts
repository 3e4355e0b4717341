/** node:http over connections: a server that is fed with them, and a client that opens them. */
import http, { Agent, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { InetAddress, Reactor, ServeOptions } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends, REAL_BACKENDS } from '../support/backends.js';
import { serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { digest, pattern } from '../support/sockets.js';
import { delay, Log, once, rejection, until } from '../support/waiting.js';
import { Program } from './program.js';

const MIB = 1024 * 1024;

/** A node:http server whose sockets are connections of `reactor`. */
async function fedServer(
  reactor: Reactor,
  listener: http.RequestListener,
  options: ServeOptions = {},
): Promise<{ server: http.Server; address: InetAddress; open(): number }> {
  const server = http.createServer(listener);
  const { address, listener: serve } = await serving(
    reactor,
    { open: (connection) => void server.emit('connection', connection.toDuplex()) },
    options,
  );
  afterTest(() => server.closeAllConnections());
  return { server, address, open: () => serve.connections };
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Makes a request and gives its answer with its body. */
async function fetched(
  options: http.RequestOptions,
  body?: string | Uint8Array,
): Promise<{ status: number | undefined; body: Buffer; reused: boolean }> {
  const request = http.request(options);
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
  });
  request.end(body);
  const response = await answer;
  return { status: response.statusCode, body: await bodyOf(response), reused: request.reusedSocket };
}

/** An agent whose sockets are connections of `reactor`. */
function agentOf(reactor: Reactor, options: http.AgentOptions = {}): Agent {
  const agent = new Agent({ keepAlive: true, ...options });
  Object.assign(agent, {
    createConnection(target: InetAddress, done: (error: Error | null, socket?: Duplex) => void) {
      reactor.open({ host: target.host, port: Number(target.port) }).then(
        (connection) => done(null, connection.toDuplex()),
        (error: Error) => done(error),
      );
    },
  });
  afterTest(() => agent.destroy());
  return agent;
}

async function plainServer(
  listener: http.RequestListener,
): Promise<{ host: string; port: number; opened: () => number }> {
  const server = http.createServer(listener);
  let opened = 0;
  server.on('connection', () => {
    opened += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, opened: () => opened };
}

describeBackends(
  'node:http over connections',
  (stage) => {
    it('a server answers thousands of requests over kept connections, each with its own', async () => {
      const { address, open } = await fedServer(stage.reactor(), async (request, response) => {
        const body = await bodyOf(request);
        response.end(`${request.url} ${body}`);
      });
      const agent = new Agent({ keepAlive: true, maxSockets: 10 });
      let next = 0;
      const worker = async () => {
        while (next < 3000) {
          next += 1;
          const path = `/${next}`;
          const { status, body } = await fetched({ ...address, agent, path, method: 'POST' }, `body of ${path}`);
          expect(status).toBe(200);
          expect(body.toString()).toBe(`${path} body of ${path}`);
        }
      };
      await Promise.all(Array.from({ length: 10 }, worker));
      expect(open()).toBeLessThanOrEqual(10);
      agent.destroy();
      await until(() => open() === 0);
    });

    it('curl fetches, sends and keeps its connection', async () => {
      const bytes = pattern(2 * MIB);
      const { address } = await fedServer(stage.reactor(), async (request, response) => {
        if (request.method === 'GET') response.end(bytes);
        else response.end(digest(await bodyOf(request)));
      });
      const url = `http://${address.host}:${address.port}/`;
      const get = new Program('curl', ['-sS', '--max-time', '25', '-w', '%{num_connects}', url, url]);
      expect(await get.ended, get.stderr).toBe(0);
      const text = Buffer.concat([bytes, Buffer.from('1'), bytes, Buffer.from('0')]);
      expect(digest(Buffer.concat(get.output.entries))).toBe(digest(text));
      const post = new Program('curl', ['-sS', '--max-time', '25', '--data-binary', '@-', url], bytes);
      expect(await post.ended, post.stderr).toBe(0);
      expect(post.text).toBe(digest(bytes));
    });

    it('chunked and piped responses are whole, also to a client that reads late', async () => {
      const bytes = pattern(8 * MIB);
      const { address } = await fedServer(stage.reactor(), (_request, response) => {
        for (let at = 0; at < bytes.length; at += MIB) response.write(bytes.subarray(at, at + MIB));
        response.end();
      });
      const request = http.get({ ...address, agent: false });
      const response = await once<IncomingMessage>(request, 'response');
      await delay(30);
      expect(digest(await bodyOf(response))).toBe(digest(bytes));
    });

    it('pipelined requests are answered in their order, and Connection: close closes in order', async () => {
      const { address } = await fedServer(stage.reactor(), (request, response) => response.end(`[${request.url}]`));
      const peer = await NetPeer.connect(address);
      const request = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
      peer.write(request('/1') + request('/2') + request('/3', 'Connection: close\r\n'));
      await peer.ended;
      expect(peer.received.toString().match(/\[\/\d\]/g)).toEqual(['[/1]', '[/2]', '[/3]']);
      peer.end();
      expect(await peer.closed).toBe('clean');
    });

    it('a client that goes in the middle ends its own request only', async () => {
      const aborted = new Log<string>();
      const asked = new Log<string>();
      const { address, open } = await fedServer(stage.reactor(), (request, response) => {
        if (request.url === '/slow') {
          response.once('close', () => aborted.add('close'));
          asked.add('/slow');
        } else response.end('fine');
      });
      const rude = await NetPeer.connect(address);
      rude.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
      await asked.reaches(1);
      rude.reset();
      await aborted.reaches(1);
      expect((await fetched({ ...address, agent: false })).body.toString()).toBe('fine');
      await until(() => open() === 0);
    });

    it('what is no HTTP is answered 400 and closed, and the server goes on', async () => {
      const { address, open } = await fedServer(stage.reactor(), (_request, response) => response.end('fine'));
      const peer = await NetPeer.connect(address);
      peer.write('no such protocol\r\n\r\n');
      await peer.ended;
      expect(peer.received.toString()).toMatch(/^HTTP\/1\.1 400 /);
      peer.end();
      await until(() => open() === 0);
      expect((await fetched({ ...address, agent: false })).body.toString()).toBe('fine');
    });

    it('an upgrade hands the stream over with nothing lost', async () => {
      const { server, address } = await fedServer(stage.reactor(), (_request, response) => response.end());
      server.on('upgrade', (_request, socket: Duplex, head: Buffer) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
        socket.write(head);
        socket.pipe(socket);
      });
      const peer = await NetPeer.connect(address);
      peer.write('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nearly ');
      await until(() => peer.received.toString().endsWith('early '));
      peer.end('late');
      await peer.ended;
      expect(peer.received.toString()).toMatch(/\r\n\r\nearly late$/);
    });

    it('the server’s keep-alive timeout closes a connection that waits', async () => {
      const { server, address } = await fedServer(stage.reactor(), (_request, response) => response.end('x'));
      server.keepAliveTimeout = 60;
      const peer = await NetPeer.connect(address);
      peer.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await peer.ended;
      expect(peer.received.toString()).toMatch(/^HTTP\/1\.1 200 /);
      peer.end();
    });

    it('a client reuses its connections over hundreds of requests', async () => {
      const { opened, ...target } = await plainServer(async (request, response) => {
        response.end(`${request.url} ${digest(await bodyOf(request))}`);
      });
      const agent = agentOf(stage.reactor(), { maxSockets: 5 });
      const bytes = pattern(20_000);
      let next = 0;
      // Not all at once: an agent counts a connection that is opened asynchronously only when it is there.
      const worker = async () => {
        while (next < 500) {
          next += 1;
          const path = `/${next}`;
          const answer = await fetched({ ...target, agent, path, method: 'POST' }, bytes);
          expect(answer.body.toString()).toBe(`${path} ${digest(bytes)}`);
        }
      };
      await Promise.all(Array.from({ length: 5 }, worker));
      expect(opened()).toBe(5);
      // All are free now, and unref'd by the agent: one of them is taken and holds again.
      expect((await fetched({ ...target, agent })).reused).toBe(true);
      expect(opened()).toBe(5);
    });

    it('a client hears of a refused connect, and of a server that goes', async () => {
      const { opened: _, ...target } = await plainServer((request, response) => {
        if (request.url === '/reset') request.socket.resetAndDestroy();
        else response.end('fine');
      });
      const agent = agentOf(stage.reactor());
      expect((await rejection(fetched({ ...target, agent, path: '/reset' }))).code).toBe('ECONNRESET');
      expect((await fetched({ ...target, agent })).body.toString()).toBe('fine');
      expect((await rejection(fetched({ host: '127.0.0.1', port: 1, agent }))).code).toBe('ECONNREFUSED');
    });

    it('a request that times out is destroyed by its own timeout event', async () => {
      const { opened: _, ...target } = await plainServer(() => {});
      const agent = agentOf(stage.reactor());
      const request = http.get({ ...target, agent, timeout: 60 });
      request.once('timeout', () => request.destroy(new Error('too slow')));
      expect((await once<Error>(request, 'error')).message).toBe('too slow');
    });
  },
  { only: REAL_BACKENDS, timeoutMs: 30_000 },
);
