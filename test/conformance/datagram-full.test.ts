/**
 * A full send buffer of UDP. Over the loopback interface none becomes full: what is sent has arrived. So it is sent to a
 * neighbour who does not answer, whom the kernel holds it back for, in the sender's buffer. The simulated one is in
 * packages/reactor/src/testing/network.test.ts.
 */
import { expect, it } from 'vitest';
import { describeBackends, REAL_BACKENDS } from '../support/backends.js';
import { namespace, printedIn } from '../support/namespaces.js';
import { runNode } from '../support/node-process.js';

/** A wire at whose other end nobody has an address. */
const WIRE = namespace(
  'ip link add near type veth peer name far',
  'ip addr add 10.0.0.1/24 dev near',
  'ip link set near up',
  'ip link set far up',
);
const unfit = printedIn(WIRE, 'true') === null ? 'no network namespace with a wire can be made here' : '';

/** Where the neighbour is, in the end, nobody has to ask any more: what was held back leaves. */
const PROGRAM = `
  import { execFileSync } from 'node:child_process';
  import { Reactor, WOULD_BLOCK } from '@fdset/reactor';
  const reactor = new Reactor();
  const socket = reactor.socket({ type: 'datagram' });
  socket.setOption('sendBuffer', 4096);
  socket.bind({ host: '10.0.0.1', port: 0 });
  const writable = async (ms) => (await reactor.select([], [socket], [], ms))[1].length;
  await writable(1000);
  const send = () => socket.sendTo(Buffer.alloc(1000), { host: '10.0.0.2', port: 9 });
  let sent = 0;
  while (sent < 1000 && send() !== WOULD_BLOCK) sent += 1;
  console.log(sent > 0 && sent < 1000);
  console.log(await writable(50));
  const neighbour = 'neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 nud permanent dev near';
  execFileSync('ip', neighbour.split(' '));
  console.log(await writable(5000), send());
  reactor.close();
`;

describeBackends(
  'a full send buffer of UDP',
  (stage) => {
    it('is a would-block, and the socket is writable again when it has emptied', async ({ skip }) => {
      skip(unfit !== '', unfit);
      const { code, lines, stderr } = await runNode(PROGRAM, { backend: stage.backend, through: WIRE });
      expect({ code, lines, stderr }).toEqual({ code: 0, lines: ['true', '0', '1 1000'], stderr: '' });
    });
  },
  { only: REAL_BACKENDS },
);
