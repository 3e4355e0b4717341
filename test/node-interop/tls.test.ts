/** node:tls over connections, as server and as client, with openssl, curl and Node at the other end. */
import { createServer as createHttpsServer } from 'node:https';
import { pipeline } from 'node:stream/promises';
import tls, { type TLSSocket } from 'node:tls';
import { Connection, type InetAddress, type Reactor } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends, REAL_BACKENDS } from '../support/backends.js';
import { closing, serving } from '../support/connections.js';
import { digest, pattern } from '../support/sockets.js';
import { Log, once, until } from '../support/waiting.js';
import { certificates } from './certificates.js';
import { Program } from './program.js';

const MIB = 1024 * 1024;

interface Secured {
  readonly address: InetAddress;
  /** The decrypted connections that came. */
  readonly connections: Log<{ secure: TLSSocket; connection: Connection }>;
  /** Of the handshakes, and of the decrypted connections. */
  readonly errors: Log<NodeJS.ErrnoException>;
  /** What came, below TLS. */
  readonly plain: Log<Connection>;
}

/** A TLS server that is fed with connections, and connections again over its decrypted sockets, which echo. */
async function securedEcho(reactor: Reactor, options: tls.TlsOptions = {}): Promise<Secured> {
  const { server: identity, ca } = certificates();
  const connections = new Log<{ secure: TLSSocket; connection: Connection }>();
  const errors = new Log<NodeJS.ErrnoException>();
  const server = tls.createServer({ cert: identity.cert, key: identity.key, ca, ...options });
  server.on('tlsClientError', (error: Error) => errors.add(error));
  server.on('secureConnection', (secure) => {
    const connection = Connection.over(secure, reactor, {
      data(echo, chunk) {
        if (!echo.write(chunk)) echo.pause();
      },
      drain: (echo) => echo.resume(),
      error: (_, error) => errors.add(error),
    });
    afterTest(() => connection.destroy());
    connections.add({ secure, connection });
  });
  const { address, connections: plain } = await serving(reactor, {
    open: (connection) => void server.emit('connection', connection.toDuplex()),
  });
  return { address, connections, errors, plain };
}

function sClient(address: InetAddress, ...more: string[]): string[] {
  const { caFile } = certificates();
  const target = ['-connect', `${address.host}:${address.port}`, '-servername', 'localhost'];
  return ['s_client', '-quiet', '-CAfile', caFile, '-verify_return_error', '-no_ign_eof', ...target, ...more];
}

describeBackends(
  'node:tls over connections',
  (stage) => {
    for (const version of ['tls1_2', 'tls1_3'])
      it(`openssl s_client is echoed by a server over connections (${version})`, async () => {
        const { address, connections, errors, plain } = await securedEcho(stage.reactor());
        const client = new Program('openssl', sClient(address, `-${version}`));
        client.child.stdin.write('through TLS\n');
        await client.says('through TLS\n');
        client.child.stdin.write('and again\n');
        await client.says('and again\n');
        client.child.stdin.end();
        expect(await client.ended).toBe(0);
        await until(() => connections.entries[0]?.connection.closed === true && plain.entries[0]?.closed === true);
        expect(errors.entries).toEqual([]);
      });

    it('a client certificate is asked for, checked and seen', async () => {
      const { client: identity } = certificates();
      const { address, connections, errors } = await securedEcho(stage.reactor(), { requestCert: true });
      const { certFile, keyFile } = identity;
      const client = new Program('openssl', sClient(address, '-cert', certFile, '-key', keyFile));
      client.child.stdin.write('who am I\n');
      await client.says('who am I\n');
      const [{ secure }] = connections.entries as [Secured['connections']['entries'][number]];
      expect(secure.authorized).toBe(true);
      expect(secure.getPeerCertificate().subject.CN).toBe('the client');
      client.child.stdin.end();
      expect(await client.ended).toBe(0);
      const stranger = new Program('openssl', sClient(address));
      stranger.child.stdin.write('nobody\n');
      await errors.reaches(1);
      expect(await stranger.ended).not.toBe(0);
      expect(errors.entries[0]?.code).toBe('ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE');
      expect(connections.entries).toHaveLength(1);
    });

    it('a peer that does not speak TLS is one error of its own connection, and the others go on', async () => {
      const { address, plain, errors } = await securedEcho(stage.reactor());
      const good = new Program('openssl', sClient(address));
      good.child.stdin.write('before\n');
      await good.says('before\n');
      const bad = new Program('curl', ['-s', '--max-time', '5', `http://${address.host}:${address.port}/`]);
      await errors.reaches(1);
      expect(await bad.ended).not.toBe(0);
      await until(() => plain.entries[1]?.closed === true);
      expect(errors.entries).toHaveLength(1);
      expect(errors.entries[0]?.code).toMatch(/^ERR_SSL/);
      good.child.stdin.write('after\n');
      await good.says('after\n');
      good.child.stdin.end();
      expect(await good.ended).toBe(0);
    });

    it('a client over a connection talks to openssl s_server, with a certificate of each side', async () => {
      const { server, client, ca, caFile } = certificates();
      const peer = new Program('openssl', [
        ...['s_server', '-accept', '127.0.0.1:0', '-cert', server.certFile, '-key', server.keyFile],
        ...['-CAfile', caFile, '-Verify', '1', '-verify_return_error', '-rev'],
      ]);
      // It names the port that it was given; a free one that was looked for before might be somebody else's by now.
      await peer.says('ACCEPT 127.0.0.1:');
      await until(() => /ACCEPT 127\.0\.0\.1:\d+\n/.test(peer.text));
      const port = Number(/ACCEPT 127\.0\.0\.1:(\d+)\n/.exec(peer.text)?.[1]);
      const reactor = stage.reactor();
      const plain = await reactor.open({ host: '127.0.0.1', port });
      const secure = tls.connect({
        socket: plain.toDuplex(),
        ca,
        cert: client.cert,
        key: client.key,
        servername: 'localhost',
      });
      await once(secure, 'secureConnect');
      expect(secure.authorized).toBe(true);
      const connection = Connection.over(secure, reactor);
      connection.write('reversed\n');
      for await (const chunk of connection) {
        expect(chunk.toString()).toBe('desrever\n');
        break;
      }
      connection.end();
      connection.resume();
      await until(() => connection.closed && plain.closed);
    });

    it('a client over a connection refuses a server that it does not trust, with one error', async () => {
      const reactor = stage.reactor();
      const { address } = await securedEcho(reactor);
      const plain = await reactor.open(address);
      const secure = tls.connect({ socket: plain.toDuplex(), servername: 'localhost' });
      const seen = new Log<string>();
      const connection = Connection.over(secure, reactor, {
        error: (_, error: NodeJS.ErrnoException) => seen.add(error.code ?? error.message),
        close: () => seen.add('close'),
        data: () => {},
      });
      await seen.reaches(2);
      expect(seen.entries).toEqual(['SELF_SIGNED_CERT_IN_CHAIN', 'close']);
      await until(() => connection.closed && plain.closed);
    });

    it('megabytes go both ways between two ends over connections, whole and in order', async () => {
      const reactor = stage.reactor();
      const { address } = await securedEcho(reactor);
      const plain = await reactor.open(address);
      const secure = tls.connect({ socket: plain.toDuplex(), ca: certificates().ca, servername: 'localhost' });
      const connection = Connection.over(secure, reactor);
      const bytes = pattern(8 * MIB);
      connection.write(bytes);
      connection.end();
      const chunks: Buffer[] = [];
      for await (const chunk of connection) chunks.push(chunk);
      expect(digest(Buffer.concat(chunks))).toBe(digest(bytes));
      await until(() => connection.closed && plain.closed);
    });

    it('a peer that resets during the handshake is one error', async () => {
      const reactor = stage.reactor();
      const { address, plain, errors } = await securedEcho(reactor);
      const rude = await reactor.open(address);
      await plain.reaches(1);
      rude.reset();
      await errors.reaches(1);
      await until(() => plain.entries[0]?.closed === true);
      expect(errors.entries).toHaveLength(1);
      expect(errors.entries[0]?.code).toBe('ECONNRESET');
    });

    it('plain text turns into TLS in the middle of a connection', async () => {
      const reactor = stage.reactor();
      const { server, ca } = certificates();
      const { address } = await serving(reactor, {
        open(connection) {
          connection.once('data', (chunk) => {
            expect(chunk.toString()).toBe('STARTTLS\r\n');
            const duplex = connection.toDuplex();
            connection.write('220 go on\r\n');
            const secure = new tls.TLSSocket(duplex, {
              isServer: true,
              secureContext: tls.createSecureContext({ cert: server.cert, key: server.key }),
            });
            void pipeline(secure, secure).catch(() => {});
          });
        },
      });
      const plain = await reactor.open(address);
      plain.write('STARTTLS\r\n');
      for await (const chunk of plain) {
        expect(chunk.toString()).toBe('220 go on\r\n');
        break;
      }
      const secure = tls.connect({ socket: plain.toDuplex(), ca, servername: 'localhost' });
      secure.write('secret');
      expect((await once<Buffer>(secure, 'data')).toString()).toBe('secret');
      secure.end();
      await closing(plain);
    });

    it('curl fetches and sends by https from a server that is fed with connections', async () => {
      const { server: identity, caFile } = certificates();
      const body = pattern(2 * MIB);
      const server = createHttpsServer({ cert: identity.cert, key: identity.key }, async (request, response) => {
        if (request.method === 'GET') response.end(body);
        else {
          const chunks: Buffer[] = [];
          for await (const chunk of request) chunks.push(chunk as Buffer);
          response.end(digest(Buffer.concat(chunks)));
        }
      });
      const { address } = await serving(stage.reactor(), {
        open: (connection) => void server.emit('connection', connection.toDuplex()),
      });
      const url = `https://localhost:${address.port}/`;
      const common = [
        '-sS',
        '--max-time',
        '25',
        '--cacert',
        caFile,
        '--resolve',
        `localhost:${address.port}:127.0.0.1`,
      ];
      const get = new Program('curl', [...common, url, url]);
      expect(await get.ended, get.stderr).toBe(0);
      expect(digest(Buffer.concat(get.output.entries))).toBe(digest(Buffer.concat([body, body])));
      const post = new Program('curl', [...common, '--data-binary', '@-', url], body);
      expect(await post.ended, post.stderr).toBe(0);
      expect(post.text).toBe(digest(body));
      server.closeAllConnections();
    });
  },
  { only: REAL_BACKENDS, timeoutMs: 30_000 },
);
