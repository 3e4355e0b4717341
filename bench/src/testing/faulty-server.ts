/** A server with a fault, for the harness's own tests: `--fault corrupt | stall | close | exit | die | deaf | pause`, after the given number of chunks. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    fault: { type: 'string' },
    after: { type: 'string', default: '100' },
    host: { type: 'string' },
    port: { type: 'string' },
  },
});
let left = Number(values.after);
if (values.fault === 'deaf') process.on('SIGTERM', () => {});
/** Keeps the loop, and with it all connections, waiting once. */
function pause(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** As `exit`, but what comes after it is slow: the connections have ended long before the process has. */
function die(socket: Socket): void {
  socket.resetAndDestroy();
  setTimeout(() => {
    throw new RangeError('deliberate');
  }, 300);
}

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => {
    left--;
    if (left === 0 && values.fault === 'corrupt') data[data.length >> 1]! ^= 1;
    if (left === 0 && values.fault === 'pause') pause(300);
    if (left <= 0 && values.fault === 'stall') return;
    if (left <= 0 && values.fault === 'close') return socket.end();
    if (left <= 0 && values.fault === 'exit') throw new RangeError('deliberate');
    if (left === 0 && values.fault === 'die') return die(socket);
    socket.write(data);
  });
});
server.listen(0, '127.0.0.1', () => console.log(`ready ${(server.address() as AddressInfo).port}`));
process.stdin.on('end', () => process.exit(0)).resume();
