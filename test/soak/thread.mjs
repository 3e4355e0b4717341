/** A thread of the soak: a reactor with a listener, a connection, wakers and waits, until it ends as it is told. */
import { parentPort, workerData } from 'node:worker_threads';
import { Reactor } from '@fdset/reactor';

const { end, shared } = workerData;
const reactor = new Reactor();
const LOOPBACK = { host: '127.0.0.1', port: 0 };
const kept = [reactor.waker(() => {}), reactor.waker(() => {}), new Reactor().waker(() => {})];
// Open and watched by nobody: closed with the thread.
const idle = await reactor.listen(LOOPBACK);
if (reactor.capabilities.socketPair) kept.push(...reactor.socketPair());
kept.push(await reactor.connect(idle.localAddress));
reactor.setTimer(60_000, () => {});
void reactor.select([idle], [], [], 60_000).catch(() => {});

const listener = await reactor.serve(LOOPBACK, {
  data(connection, chunk) {
    connection.write(chunk);
    connection.flush();
    kept[0].wake();
    if (end === 'turning') {
      Atomics.store(shared, 0, 1);
      for (;;);
    } else if (end === 'blocked') reactor.selectSync([idle], [], []);
    else if (end === 'exit') process.exit();
    else if (end === 'return') setImmediate(() => finish());
  },
});
parentPort.postMessage({ port: listener.socket.localAddress.port });

/** Lets the thread end by itself: with open sockets, but nothing that holds it. */
function finish() {
  reactor.unref();
  for (const waker of kept) waker.unref?.();
}
