/** The three backends of this package keep their contract; and who breaks it is told which guarantee. */
import { describe, expect, it } from 'vitest';
import type { Backend, Demultiplexer, Driver } from '../backend/backend.js';
import { selectBackend } from '../backend/select-backend.js';
import { Reactor } from '../index.js';
import { backendConformance } from './backend-conformance.js';
import { SimulatedNetwork } from './network.js';

function hasKernel(): boolean {
  const reactor = new Reactor();
  reactor.close();
  return reactor.backend.name === 'kernel';
}

describe.runIf(hasKernel())('kernel', () => backendConformance(() => selectBackend('kernel'), { describe, it }));

describe('emulated', () => backendConformance(() => selectBackend('emulated'), { describe, it }));

function simulated(): Backend {
  const network = new SimulatedNetwork();
  network.follow();
  return network.backend();
}

describe('simulated', () => backendConformance(simulated, { describe, it }));

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Runs the contract against a backend that `spoil` has changed, and gives the beginnings of the names that fail. */
async function failing(spoil: (backend: Writable<Backend>) => void): Promise<string[]> {
  const tests: [name: string, test: () => Promise<void>][] = [];
  const runner = {
    describe: (_name: string, define: () => void) => define(),
    it: (name: string, test: () => Promise<void>) => tests.push([name, test]),
  };
  const spoiled = () => {
    const backend = simulated();
    spoil(backend as Writable<Backend>);
    return backend;
  };
  backendConformance(spoiled, runner);
  const outcomes = await Promise.allSettled(tests.map(([, test]) => test()));
  return tests.flatMap(([name], i) => (outcomes[i]?.status === 'rejected' ? (name.split(/[.:,]/)[0] as string) : []));
}

describe('a backend that breaks its contract is found out', () => {
  const breaches: [what: string, guarantee: string, spoil: (backend: Writable<Backend>) => void][] = [
    [
      'reports a condition once only',
      '1',
      ({ demultiplexer }) => {
        const seen = new Set<number>();
        const wait = demultiplexer.wait.bind(demultiplexer);
        (demultiplexer as Writable<Demultiplexer>).wait = (capacity) => {
          const count = wait(capacity);
          const slot = demultiplexer.events[0] as number;
          if (count !== 1 || !seen.has(slot)) {
            seen.add(slot);
            return count;
          }
          return 0;
        };
      },
    ],
    [
      'reports more than was asked for',
      '2',
      ({ demultiplexer }) => {
        const wait = demultiplexer.wait.bind(demultiplexer);
        (demultiplexer as Writable<Demultiplexer>).wait = () => wait(1024);
      },
    ],
    [
      'goes on reporting what is no longer watched',
      '3',
      ({ demultiplexer }) => {
        const watch = demultiplexer.watch.bind(demultiplexer);
        (demultiplexer as Writable<Demultiplexer>).watch = (socket, slot, generation, interest) => {
          if (interest !== 0) watch(socket, slot, generation, interest);
        };
      },
    ],
    [
      'starts a turn within post',
      '5',
      ({ driver }) => {
        (driver as Writable<Driver>).post = () => (driver as Driver & { turn(): void }).turn();
      },
    ],
    [
      'starts turns for nothing',
      '6',
      (backend) => {
        const attach = backend.attach.bind(backend);
        backend.attach = (host) => {
          attach(host);
          const timer = setInterval(() => host.turn(), 5);
          const dispose = backend[Symbol.dispose].bind(backend);
          backend[Symbol.dispose] = () => {
            clearInterval(timer);
            dispose();
          };
        };
      },
    ],
    [
      'starts a turn before its deadline',
      '9',
      ({ driver }) => {
        const now = driver.now.bind(driver);
        const began = now();
        // By so slow a clock it is early by seconds: no stop of the machine makes up for that.
        (driver as Writable<Driver>).now = () => began + (now() - began) / 1000;
      },
    ],
    [
      'does what it says it cannot',
      '10',
      (backend) => {
        backend.capabilities = { ...backend.capabilities, peek: false };
      },
    ],
    [
      'counts no bytes',
      'sockets add what they move to the traffic of the host',
      (backend) => {
        const attach = backend.attach.bind(backend);
        backend.attach = (host) =>
          attach({
            turn: () => host.turn(),
            closing: (socket) => host.closing(socket),
            traffic: { bytesIn: 0, bytesOut: 0, accepts: 0, datagramsDropped: 0 },
          });
      },
    ],
  ];

  it.each(breaches)('one that %s fails %s', { timeout: 30_000 }, async (_what, guarantee, spoil) => {
    expect(await failing(spoil)).toContain(guarantee);
  });

  it('one that is not spoiled fails nothing', { timeout: 30_000 }, async () => {
    expect(await failing(() => {})).toEqual([]);
  });
});
