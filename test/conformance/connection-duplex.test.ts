/** toDuplex(): a connection as a Node stream, with back-pressure, half-close and errors both ways. */
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Duplex, PassThrough, Readable, Transform } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { closing, connected, recorder } from '../support/connections.js';
import { digest, pattern } from '../support/sockets.js';
import { delay, Log, once, rejection, rounds, thrown, until } from '../support/waiting.js';

const MIB = 1024 * 1024;

describeBackends('connection duplex', (stage) => {
  it('echoes megabytes through pipeline, and ends both sides in order', async () => {
    const told = recorder();
    const { data, ...rest } = told.handler;
    const { connection, peer } = await connected(stage.reactor(), rest);
    const duplex = connection.toDuplex();
    expect(duplex).toBeInstanceOf(Duplex);
    expect(connection.toDuplex()).toBe(duplex);
    const bytes = pattern(8 * MIB);
    const copied = pipeline(duplex, new PassThrough(), duplex);
    peer.end(bytes);
    await copied;
    await peer.ended;
    expect(digest(peer.received)).toBe(digest(bytes));
    await told.calls.reaches(3);
    expect(told.calls.entries.filter((call) => call !== 'drain' && call !== 'hangup')).toEqual([
      'open',
      'end',
      'close peer',
    ]);
    await until(() => duplex.destroyed);
    expect(duplex.bytesRead).toBe(bytes.length);
    expect(duplex.bytesWritten).toBe(bytes.length);
  });

  it('a file goes through pipeline out and in, whole', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'fdset-duplex-'));
    afterTest(() => rmSync(folder, { recursive: true }));
    const file = path.join(folder, 'sent');
    const bytes = pattern(6 * MIB);
    writeFileSync(file, bytes);
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor, {}, { paused: true });
    const sent = pipeline(createReadStream(file), connection.toDuplex());
    await delay(20);
    peer.read();
    await peer.ended;
    expect(digest(peer.received)).toBe(digest(bytes));
    const back = new Log<Buffer>();
    connection.toDuplex().on('data', (chunk: Buffer) => back.add(chunk));
    const ended = once(connection.toDuplex(), 'end');
    peer.end('and back');
    await sent;
    await ended;
    expect(Buffer.concat(back.entries).toString()).toBe('and back');
  });

  it('a peer that does not read holds the writer back: little is queued', async () => {
    const { connection, peer } = await connected(stage.reactor(), {}, { paused: true });
    const duplex = connection.toDuplex();
    let given = 0;
    const source = new Readable({
      read() {
        given += MIB;
        this.push(given > 64 * MIB ? null : Buffer.alloc(MIB));
      },
    });
    const sent = pipeline(source, duplex);
    await until(() => duplex.writableNeedDrain);
    await delay(50);
    expect(given).toBeLessThan(32 * MIB);
    expect(connection.bufferedBytes).toBeLessThanOrEqual(MIB);
    peer.read();
    await peer.receives(64 * MIB);
    peer.end();
    duplex.resume();
    await sent;
  });

  it('a reader that is slow holds the peer back', async () => {
    const { connection, peer } = await connected(stage.reactor());
    const duplex = connection.toDuplex();
    peer.end(pattern(16 * MIB));
    await delay(50);
    expect(connection.flowing, 'nobody has asked yet').toBe(false);
    duplex.once('readable', () => {});
    await until(() => duplex.readableLength > 0 && !connection.flowing);
    await delay(30);
    expect(duplex.readableLength).toBeLessThan(MIB);
    expect(peer.socket.writableFinished).toBe(false);
    duplex.resume();
    duplex.end();
    await peer.closed;
  });

  it('one write beyond maxBufferedBytes is no slow consumer: the stream limits by itself', async () => {
    const { connection, peer } = await connected(stage.reactor(), {}, { paused: true, maxBufferedBytes: 256 * 1024 });
    const bytes = pattern(16 * MIB);
    const duplex = connection.toDuplex();
    duplex.end(bytes);
    await delay(30);
    expect(connection.closed).toBe(false);
    peer.read();
    await peer.ended;
    expect(digest(peer.received)).toBe(digest(bytes));
    peer.end();
    duplex.resume();
  });

  it('the callback of a write comes when its bytes have left, and corked writes leave in one send', async () => {
    const { connection, peer } = await connected(stage.reactor(), {}, { paused: true });
    const duplex = connection.toDuplex();
    duplex.cork();
    for (const part of ['one,', 'two,', 'three']) duplex.write(part);
    expect(connection.bufferedBytes).toBe(0);
    duplex.uncork();
    let left = false;
    duplex.write(Buffer.alloc(24 * MIB), () => {
      left = true;
    });
    await delay(30);
    expect(left).toBe(false);
    peer.read();
    await until(() => left);
    expect(connection.bufferedBytes).toBe(0);
    expect(peer.received.subarray(0, 13).toString()).toBe('one,two,three');
  });

  it('a response of megabytes is whole behind the peer’s half-close (76)', async () => {
    const { connection, peer } = await connected(stage.reactor());
    const duplex = connection.toDuplex();
    const bytes = pattern(8 * MIB);
    duplex.once('data', () => {
      duplex.write(bytes);
    });
    peer.end('request');
    await peer.ended;
    expect(digest(peer.received)).toBe(digest(bytes));
  });

  it('what a transform still holds at the peer’s half-close is sent before our end', async () => {
    const { connection, peer } = await connected(stage.reactor(), {}, { paused: true });
    const duplex = connection.toDuplex();
    const late = new Transform({
      transform(chunk, _encoding, done) {
        setTimeout(done, 1, null, chunk);
      },
      flush(done) {
        setTimeout(done, 20, null, 'last');
      },
    });
    const copied = pipeline(duplex, late, duplex);
    peer.end('first ');
    peer.read();
    await peer.ended;
    await copied;
    expect(peer.received.toString()).toBe('first last');
  });

  it('with allowHalfOpen our side stays open behind the peer’s end until it is ended (node#49073)', async () => {
    const { connection, peer } = await connected(stage.reactor(), {}, { allowHalfOpen: true });
    const duplex = connection.toDuplex();
    duplex.resume();
    peer.end();
    await once(duplex, 'end');
    await rounds(10);
    expect(duplex.destroyed).toBe(false);
    expect(duplex.writable).toBe(true);
    expect(duplex.readyState).toBe('writeOnly');
    duplex.end('late');
    await peer.ended;
    expect(peer.received.toString()).toBe('late');
    await until(() => duplex.destroyed && connection.closed);
    expect(duplex.readyState).toBe('closed');
  });

  it('our end leaves the peer’s side open: what it sends later is read', async () => {
    const { connection, peer } = await connected(stage.reactor());
    const duplex = connection.toDuplex();
    duplex.end('all of ours');
    await peer.ended;
    const chunks: Buffer[] = [];
    duplex.on('data', (chunk: Buffer) => chunks.push(chunk));
    await rounds(5);
    expect(connection.closed).toBe(false);
    peer.end('all of theirs');
    await finished(duplex);
    expect(Buffer.concat(chunks).toString()).toBe('all of theirs');
  });

  it('a reset by the peer is one error on the stream, and one on the connection (74)', async () => {
    const told = recorder();
    const { data, ...rest } = told.handler;
    const { connection, peer } = await connected(stage.reactor(), rest);
    const duplex = connection.toDuplex();
    const seen = new Log<string>();
    duplex.on('error', (error: NodeJS.ErrnoException) => seen.add(`error ${error.code}`));
    duplex.on('close', () => seen.add('close'));
    duplex.resume();
    peer.reset();
    await seen.reaches(2);
    await rounds(5);
    expect(seen.entries).toEqual(['error ECONNRESET', 'close']);
    expect(told.calls.entries.filter((call) => call !== 'hangup')).toEqual(['open', 'error ECONNRESET', 'close error']);
  });

  it('a write that fails is one error, also with many writes waiting', async () => {
    const { connection, peer } = await connected(stage.reactor(), {}, { paused: true });
    const duplex = connection.toDuplex();
    const seen = new Log<string>();
    duplex.on('error', (error: NodeJS.ErrnoException) => seen.add(`error ${error.code}`));
    duplex.on('close', () => seen.add('close'));
    const callbacks: (Error | null | undefined)[] = [];
    for (let i = 0; i < 50; i += 1) duplex.write(Buffer.alloc(MIB), (error) => callbacks.push(error));
    await rounds(5);
    const before = callbacks.length;
    duplex.resume();
    peer.reset();
    await seen.reaches(2);
    await until(() => callbacks.length === 50);
    expect(seen.entries[0]).toMatch(/^error (ECONNRESET|EPIPE)$/);
    expect(seen.entries).toHaveLength(2);
    expect(callbacks.slice(before).every((error) => error instanceof Error)).toBe(true);
  });

  it('pipeline rejects once when the peer goes, and destroys the source', async () => {
    const { connection, peer } = await connected(stage.reactor(), {}, { paused: true });
    const source = new Readable({
      read() {
        this.push(Buffer.alloc(64 * 1024));
      },
    });
    const duplex = connection.toDuplex();
    duplex.resume();
    const failed = rejection(pipeline(source, duplex));
    await until(() => duplex.writableNeedDrain);
    peer.reset();
    expect((await failed).code).toMatch(/ECONNRESET|EPIPE/);
    expect(source.destroyed).toBe(true);
    await until(() => connection.closed);
  });

  it('a pipeline whose transform fails destroys the connection with its error, told once each', async () => {
    const told = recorder();
    const { data, ...rest } = told.handler;
    const { connection, peer } = await connected(stage.reactor(), rest);
    const duplex = connection.toDuplex();
    const failing = new Transform({
      transform(_chunk, _encoding, done) {
        done(new Error('the transform failed'));
      },
    });
    const failed = rejection(pipeline(duplex, failing, duplex));
    peer.write('x');
    expect((await failed).message).toBe('the transform failed');
    await told.calls.reaches(3);
    expect(told.calls.entries).toEqual(['open', 'error the transform failed', 'close local']);
    await peer.ended;
    peer.end();
  });

  it('destroy without an error closes without one; a loop over the stream hears of it', async () => {
    const told = recorder();
    const { data, ...rest } = told.handler;
    const { connection, peer } = await connected(stage.reactor(), rest);
    const duplex = connection.toDuplex();
    const loop = rejection(
      (async () => {
        for await (const _ of duplex);
      })(),
    );
    await rounds(2);
    duplex.destroy();
    expect((await loop).code).toBe('ERR_STREAM_PREMATURE_CLOSE');
    await told.calls.reaches(2);
    expect(told.calls.entries).toEqual(['open', 'close local']);
    await peer.ended;
    peer.end();
  });

  it('destroy of the connection closes the stream', async () => {
    const reactor = stage.reactor();
    for (const error of [undefined, new Error('ours')]) {
      const { connection } = await connected(reactor);
      const duplex = connection.toDuplex();
      const seen = new Log<string>();
      duplex.on('error', (given: Error) => seen.add(given.message));
      duplex.on('close', () => seen.add('close'));
      connection.destroy(error);
      await seen.reaches(error === undefined ? 1 : 2);
      await rounds(3);
      expect(seen.entries).toEqual(error === undefined ? ['close'] : ['ours', 'close']);
    }
  });

  it('destroySoon sends all and closes, and unread input does not destroy the last bytes (83)', async () => {
    const { connection, peer } = await connected(stage.reactor(), {}, { paused: true });
    const duplex = connection.toDuplex();
    peer.write(Buffer.alloc(256 * 1024));
    await delay(20);
    const bytes = pattern(4 * MIB);
    duplex.write(bytes);
    duplex.destroySoon();
    peer.read();
    await peer.ended;
    expect(digest(peer.received)).toBe(digest(bytes));
    peer.end();
    expect(await peer.closed).toBe('clean');
    await until(() => connection.closed);
  });

  it('resetAndDestroy is seen as a reset', async () => {
    const { connection, peer } = await connected(stage.reactor());
    connection.toDuplex().resetAndDestroy();
    expect(await peer.closed).toBe('ECONNRESET');
  });

  it('setTimeout tells timeout and destroys nothing; 0 ends it', async () => {
    const { connection } = await connected(stage.reactor(), {}, { idleMs: 60_000 });
    const duplex = connection.toDuplex();
    const seen = new Log<string>();
    expect(duplex.setTimeout(50, () => seen.add('callback'))).toBe(duplex);
    duplex.on('timeout', () => seen.add('event'));
    expect(duplex.timeout).toBe(50);
    await seen.reaches(2);
    expect(seen.entries).toEqual(['callback', 'event']);
    expect(connection.closed).toBe(false);
    duplex.setTimeout(0);
    await delay(150);
    expect(seen.entries).toHaveLength(2);
  });

  it('it has the addresses and the options that node:http and node:tls look for', async () => {
    const { connection, peer } = await connected(stage.reactor());
    const duplex = connection.toDuplex();
    expect(duplex.remoteAddress).toBe('127.0.0.1');
    expect(duplex.remotePort).toBe(peer.socket.localPort);
    expect(duplex.localPort).toBe(peer.socket.remotePort);
    expect(duplex.remoteFamily).toBe('IPv4');
    expect(duplex.address()).toEqual({ address: '127.0.0.1', port: peer.socket.remotePort, family: 'IPv4' });
    expect(duplex.setNoDelay(false).setNoDelay().setKeepAlive(true, 5000)).toBe(duplex);
    expect(connection.socket.getOption('noDelay')).toBe(true);
    expect(connection.socket.getOption('keepAlive')).toBe(true);
    expect(duplex.unref().unref().ref().ref()).toBe(duplex);
  });

  it('a stream made after the peer’s end reads its end, and one of a closed connection is refused', async () => {
    const { connection, peer } = await connected(stage.reactor(), {}, { allowHalfOpen: true });
    connection.on('data', () => {});
    peer.end();
    await once(connection, 'end');
    const duplex = connection.toDuplex();
    duplex.resume();
    await once(duplex, 'end');
    duplex.end();
    await closing(connection);
    expect(connection.toDuplex()).toBe(duplex);
    const { connection: other } = await connected(stage.reactor());
    other.destroy();
    expect(thrown(() => other.toDuplex()).code).toBe('ERR_REACTOR_CLOSED');
  });

  it('borrowed chunks are copied: what the stream buffers stays as it came', async () => {
    const { connection, peer } = await connected(stage.reactor(), {}, { borrowChunks: true });
    const duplex = connection.toDuplex();
    const bytes = pattern(4 * MIB);
    peer.end(bytes);
    const chunks: Buffer[] = [];
    for await (const chunk of duplex) {
      chunks.push(chunk as Buffer);
      await rounds(1);
    }
    expect(digest(Buffer.concat(chunks))).toBe(digest(bytes));
  });
});
