/** What waits when its reactor is closed or stopped: every promise of the API settles, or goes on as it says. */
import { finished } from 'node:stream/promises';
import { Connection, type Reactor } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { connected } from '../support/connections.js';
import { listening, owned } from '../support/sockets.js';
import { delay } from '../support/waiting.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const LONG_MS = 60_000;

/** Begins to wait, and gives the promise within an object: the test itself must not wait for it. */
type Begin = (reactor: Reactor) => Promise<{ waiting: Promise<unknown> }>;

const waitFor =
  (begin: (reactor: Reactor) => Promise<unknown>): Begin =>
  async (reactor) => ({ waiting: begin(reactor) });

const unread: Begin = async (reactor) => {
  const { connection } = await connected(reactor, {}, { paused: true, maxBufferedBytes: 1 << 30 });
  while (connection.bufferedBytes === 0) {
    connection.write(Buffer.alloc(1 << 20));
    connection.flush();
  }
  return { waiting: connection.flushed() };
};

const lingering: Begin = async (reactor) => {
  const { connection } = await connected(reactor);
  return { waiting: connection.close({ lingerMs: LONG_MS }) };
};

const iterating: Begin = async (reactor) => {
  const { connection } = await connected(reactor);
  return { waiting: connection[Symbol.asyncIterator]().next() };
};

const streaming: Begin = async (reactor) => {
  const { connection } = await connected(reactor);
  const duplex = connection.toDuplex();
  duplex.resume();
  return { waiting: finished(duplex) };
};

const over: Begin = async (reactor) => {
  const { connection } = await connected(reactor);
  const upper = Connection.over(connection.toDuplex(), reactor);
  return { waiting: upper[Symbol.asyncIterator]().next() };
};

const accepting: Begin = async (reactor) => {
  const listener = await reactor.serve(LOOPBACK, {});
  return { waiting: new Promise((resolve) => listener.once('close', () => resolve(undefined))) };
};

const draining: Begin = async (reactor) => {
  await connected(reactor);
  return { waiting: reactor.stop({ drainMs: LONG_MS }) };
};

const selecting =
  (timeoutMs: number | null): Begin =>
  async (reactor) => {
    const { listener } = await listening(reactor);
    return { waiting: reactor.select([listener], [], [], timeoutMs) };
  };

const connecting =
  (verb: 'connect' | 'open'): Begin =>
  async (reactor) => {
    const { address } = await listening(reactor);
    return { waiting: reactor[verb](address).then((made) => void ('close' in made && made.close())) };
  };

const never = { lookup: () => new Promise<never>(() => {}), timeoutMs: LONG_MS };

/** How a promise ended: 'resolved', or the code that it was rejected with. */
async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'resolved';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

const CLOSED = 'ERR_REACTOR_CLOSED';

/** [what waits, how to begin it, what becomes of it at `close`, and at `stop` ('goes on': it is no business of stop's)]. */
const TABLE: [string, Begin, string, string][] = [
  ['run', waitFor((reactor) => reactor.run()), 'resolved', 'resolved'],
  ['sleep', waitFor((reactor) => reactor.sleep(LONG_MS)), CLOSED, 'goes on'],
  ['select without a timeout', selecting(null), CLOSED, 'goes on'],
  ['select with a timeout', selecting(LONG_MS), CLOSED, 'goes on'],
  ['select of a moment ago', waitFor((reactor) => reactor.select([], [], [], 0)), CLOSED, 'resolved'],
  ['listen', waitFor(async (reactor) => void owned(await reactor.listen(LOOPBACK))), CLOSED, 'resolved'],
  ['serve', waitFor((reactor) => reactor.serve(LOOPBACK, {})), CLOSED, 'resolved'],
  ['connect', connecting('connect'), CLOSED, 'resolved'],
  ['connect to a name', waitFor((reactor) => reactor.connect({ host: 'x.test', port: 1 }, never)), CLOSED, 'goes on'],
  ['open', connecting('open'), CLOSED, 'resolved'],
  ['open by a name', waitFor((reactor) => reactor.open({ host: 'x.test', port: 1 }, never)), CLOSED, 'goes on'],
  ['stop, while it drains', draining, 'resolved', 'resolved'],
  ['a listener', accepting, 'resolved', 'resolved'],
  ['flushed of a connection', unread, CLOSED, CLOSED],
  ['close of a connection, while it lingers', lingering, 'resolved', 'resolved'],
  ['the iterator of a connection', iterating, 'resolved', 'resolved'],
  ['the Duplex of a connection', streaming, 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_PREMATURE_CLOSE'],
  ['the iterator of a connection over a Duplex', over, 'resolved', 'resolved'],
];

describeBackends('what waits', (stage) => {
  it.each(TABLE)('%s settles when the reactor is closed', async (_what, begin, atClose) => {
    const reactor = stage.reactor();
    const { waiting } = await begin(reactor);
    const ended = outcome(waiting);
    reactor.close();
    expect(await ended).toBe(atClose);
  });

  it.each(TABLE)('%s settles or goes on when the reactor is stopped', async (_what, begin, _atClose, atStop) => {
    const reactor = stage.reactor();
    const { waiting } = await begin(reactor);
    const ended = outcome(waiting);
    await reactor.stop();
    if (atStop === 'goes on') {
      expect(await Promise.race([ended, delay(20).then(() => 'goes on')])).toBe('goes on');
      reactor.close();
      await ended;
    } else expect(await ended).toBe(atStop);
  });
});
