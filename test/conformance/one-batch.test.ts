/**
 * What connections that are ready together do to each other. A backend may have received for all of them before the first
 * handler runs: nobody may notice.
 */
import type { Connection, Reactor } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { closing, recorder, serving, type Told } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { digest, pattern } from '../support/sockets.js';
import { Log, rounds, until } from '../support/waiting.js';

interface Member {
  readonly connection: Connection;
  readonly peer: NetPeer;
}

/** Connections of one handler, each with its peer. */
async function group(reactor: Reactor, count: number, handler: Told['handler']): Promise<Member[]> {
  const { address, next } = await serving(reactor, handler);
  const members: Member[] = [];
  for (let i = 0; i < count; i += 1) {
    const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
    members.push({ peer, connection });
  }
  return members;
}

/** Written in one go: the kernel has all of it before the reactor looks again. */
function writeAll(members: readonly Member[], data: (index: number) => string | Uint8Array): void {
  members.forEach(({ peer }, index) => {
    peer.write(data(index));
  });
}

describeBackends('connections of one batch', (stage) => {
  it('one that another pauses hears nothing until it is resumed, and then all, in order', async () => {
    const reactor = stage.reactor();
    const heard = new Map<Connection, string[]>();
    let members: Member[] = [];
    let first: Connection | undefined;
    members = await group(reactor, 8, {
      ...recorder().handler,
      data(connection, chunk) {
        heard.set(connection, [...(heard.get(connection) ?? []), chunk.toString()]);
        if (first !== undefined) return;
        first = connection;
        for (const other of members) if (other.connection !== connection) other.connection.pause();
      },
    });
    writeAll(members, (index) => `first of ${index}.`);
    await until(() => first !== undefined);
    await rounds(10);
    expect(heard.size).toBe(1);
    writeAll(members, (index) => `second of ${index}.`);
    await rounds(10);
    expect(heard.size).toBe(1);
    for (const { connection, peer } of members) {
      connection.resume();
      peer.end();
    }
    await Promise.all(members.map(({ connection }) => closing(connection)));
    members.forEach(({ connection }, index) => {
      expect(heard.get(connection)?.join('')).toBe(`first of ${index}.second of ${index}.`);
    });
  });

  it('an end or a reset that came while another paused it is told after resume, once', async () => {
    const reactor = stage.reactor();
    let members: Member[] = [];
    let first: Connection | undefined;
    const calls = new Map<Connection, string[]>();
    const note = (connection: Connection, what: string) => {
      calls.set(connection, [...(calls.get(connection) ?? []), what]);
    };
    members = await group(reactor, 6, {
      ...recorder().handler,
      data(connection, chunk) {
        note(connection, chunk.toString());
        if (first !== undefined) return;
        first = connection;
        for (const other of members) if (other.connection !== connection) other.connection.pause();
      },
      end: (connection) => note(connection, 'end'),
      error: (connection) => note(connection, 'error'),
      close: (connection, info) => note(connection, `close by ${info.by}`),
    });
    const [starter, ...others] = members as [Member, ...Member[]];
    starter.peer.write('starts');
    for (const { peer } of others) peer.end();
    await until(() => first !== undefined);
    await rounds(10);
    for (const { connection } of others) connection.resume();
    await until(() => others.every(({ connection }) => connection.closed));
    await rounds(5);
    for (const { connection } of others) {
      const told = (calls.get(connection) ?? []).filter((call) => call !== 'starts');
      expect(told).toEqual(['end', 'close by peer']);
    }
  });

  it('one that another destroys hears no data, and its close once', async () => {
    const reactor = stage.reactor();
    const data = new Log<Connection>();
    const closes = new Log<Connection>();
    let members: Member[] = [];
    members = await group(reactor, 8, {
      ...recorder().handler,
      data(connection) {
        data.add(connection);
        for (const other of members) if (other.connection !== connection) other.connection.destroy();
      },
      close: (connection) => {
        closes.add(connection);
      },
    });
    writeAll(members, () => 'x');
    await closes.reaches(7);
    await rounds(10);
    expect(data.entries).toHaveLength(1);
    expect(new Set(closes.entries).size).toBe(7);
    expect(closes.entries).not.toContain(data.entries[0]);
  });

  it('a slow handler ends the turn: what the others were sent comes in the next ones, whole and in order', async () => {
    const reactor = stage.reactor({ turnBudgetMs: 2 });
    const heard = new Map<Connection, string>();
    const members = await group(reactor, 6, {
      ...recorder().handler,
      data(connection, chunk) {
        heard.set(connection, (heard.get(connection) ?? '') + chunk.toString());
        const until = performance.now() + 4;
        while (performance.now() < until);
      },
    });
    for (let round = 0; round < 5; round += 1) writeAll(members, (index) => `${index}:${round} `);
    await until(() => [...heard.values()].join('').length === 6 * 5 * 4);
    members.forEach(({ connection }, index) => {
      expect(heard.get(connection)).toBe([0, 1, 2, 3, 4].map((round) => `${index}:${round} `).join(''));
    });
    expect(reactor.metrics.budgetHits).toBeGreaterThan(0);
  });

  it('a handler that throws loses nothing of the others', async () => {
    const failures = new Log<unknown>();
    const reactor = stage.reactor({
      onHandlerError: (error) => {
        failures.add(error);
      },
    });
    const heard = new Log<string>();
    const members = await group(reactor, 8, {
      ...recorder().handler,
      data(_connection, chunk) {
        heard.add(chunk.toString());
        if (chunk.toString() === '3') throw new Error('the third');
      },
    });
    writeAll(members, (index) => String(index));
    await heard.reaches(8);
    expect([...heard.entries].sort()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
    await failures.reaches(1);
  });

  it('chunks of many sizes belong to their receivers: kept, they stay as they came', async () => {
    const reactor = stage.reactor();
    const kept = new Map<Connection, Buffer[]>();
    const members = await group(reactor, 40, {
      ...recorder().handler,
      data(connection, chunk) {
        kept.set(connection, [...(kept.get(connection) ?? []), chunk]);
      },
    });
    // Under and over a pooled block, and what never goes into one.
    const sizes = [1, 7, 64, 1000, 4095, 4096, 8192, 30_000];
    const bodies = members.map((_, index) =>
      pattern(sizes[index % sizes.length] as number).map((byte) => byte ^ index),
    );
    for (let round = 0; round < 3; round += 1) writeAll(members, (index) => bodies[index] as Uint8Array);
    for (const { peer } of members) peer.end();
    await Promise.all(members.map(({ connection }) => closing(connection)));
    members.forEach(({ connection }, index) => {
      const body = bodies[index] as Uint8Array;
      expect(digest(Buffer.concat(kept.get(connection) ?? []))).toBe(digest(Buffer.concat([body, body, body])));
    });
  });

  it('what all of them write in a turn arrives whole, large and small, in one part and in many', async () => {
    const reactor = stage.reactor();
    // More than an outbox holds, and single writes that it does not take.
    const answer = (size: number): string[] => [String(size), 'x'.repeat(size), '.'];
    const members = await group(reactor, 60, {
      ...recorder().handler,
      data(connection, chunk) {
        for (const part of answer(Number(chunk.toString()))) connection.write(part);
      },
    });
    const size = (index: number): number => [0, 10, 2000, 4000, 5000, 70_000][index % 6] as number;
    writeAll(members, (index) => String(size(index)));
    for (const [index, { peer }] of members.entries()) {
      const expected = answer(size(index)).join('');
      expect((await peer.receives(expected.length)).toString()).toBe(expected);
    }
  });

  it('a peer that is gone when the turn is flushed ends its own connection only', async () => {
    const reactor = stage.reactor();
    const closed = new Log<string>();
    const members = await group(reactor, 10, {
      ...recorder().handler,
      data(connection, chunk) {
        connection.write(chunk);
      },
      close(_connection, info) {
        closed.add(info.by);
      },
    });
    const [lost, ...others] = members as [Member, ...Member[]];
    lost.peer.write('x');
    lost.peer.socket.resetAndDestroy();
    for (const { peer } of others) peer.write('answer me');
    for (const { peer } of others) expect((await peer.receives(9)).toString()).toBe('answer me');
    await closed.reaches(1);
    expect(others.every(({ connection }) => !connection.closed)).toBe(true);
  });
});
