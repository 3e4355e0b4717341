/** A conversation of a real reactor with a real peer is recorded, and played again on a simulated network. */
import { type Connection, type InetAddress, Reactor, type TraceEvent } from '@fdset/reactor';
import { recordedConnection, replayConnection, SimulatedNetwork } from '@fdset/reactor/testing';
import { describe, expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { guardEachTest } from '../support/backends.js';
import { NetPeer } from '../support/net-peer.js';
import { Log } from '../support/waiting.js';

const hasKernel = new Reactor().backend.name === 'kernel';

/** The program: it answers each chunk in capitals, and writes down what it is told. */
async function shouting(reactor: Reactor, address: InetAddress) {
  const told = new Log<string>();
  const listener = await reactor.serve(address, {
    data(connection: Connection, chunk: Buffer) {
      told.add(chunk.toString());
      connection.write(chunk.toString().toUpperCase());
    },
    end: () => told.add('end'),
    error: (_connection: Connection, error: Error) => told.add((error as NodeJS.ErrnoException).code as string),
  });
  return { told, address: listener.socket.localAddress as InetAddress };
}

describe('a recording', () => {
  guardEachTest();

  describe.each(['kernel', 'emulated'] as const)('of the %s backend', (backend) => {
    it.runIf(backend === 'emulated' || hasKernel).each(['end', 'reset'] as const)(
      'is what the same program sees in the replay, to its %s',
      async (how) => {
        const events: TraceEvent[] = [];
        const real = new Reactor({ backend, record: { sink: events, payloads: true } });
        afterTest(() => real.close());
        const { told, address } = await shouting(real, { host: '127.0.0.1', port: 0 });
        const peer = await NetPeer.connect(address);
        for (const [i, text] of ['hel', 'lo\nwo', 'rld\n'].entries()) {
          peer.write(text);
          await told.reaches(i + 1);
        }
        await peer.receives(12);
        if (how === 'end') peer.end();
        else peer.reset();
        await told.reaches(4);

        const network = new SimulatedNetwork();
        const again = new Reactor({ backend: network.backend() });
        afterTest(() => again.close());
        const program = await shouting(again, { host: '127.0.0.1', port: 80 });
        const accept = events.find(({ call, result }) => call === 'accept' && result !== null) as TraceEvent;
        const recorded = recordedConnection(events, accept.result as number);
        const replayed = await network.run(() => replayConnection(network, recorded, { address: program.address }));
        await network.runUntilIdle();
        expect(program.told.entries).toEqual(told.entries);
        expect(replayed.received.toString()).toBe('HELLO\nWORLD\n');
        expect(replayed.received).toEqual(recorded.sent);
      },
    );
  });
});
