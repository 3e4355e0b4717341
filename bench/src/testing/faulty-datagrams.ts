/** A datagram server with a fault in its `--after`th reply: `--fault corrupt | head | short | double | drop | late | stall | exit`. */
import { createSocket } from 'node:dgram';
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
const socket = createSocket('udp4');
socket.on('message', (message, { port, address }) => {
  const reply = (bytes = message) => socket.send(bytes, port, address);
  left--;
  if (left < 0 && values.fault === 'stall') return;
  if (left !== 0) return reply();
  if (values.fault === 'exit') throw new RangeError('deliberate');
  if (values.fault === 'drop') return;
  if (values.fault === 'late') return void setTimeout(reply, 1500);
  if (values.fault === 'short') return reply(message.subarray(1));
  if (values.fault === 'double') reply();
  // The number of its place in the window, and the middle of its contents.
  if (values.fault === 'head') message[0]! ^= 1;
  if (values.fault === 'corrupt') message[message.length >> 1]! ^= 1;
  reply();
});
socket.bind(0, '127.0.0.1', () => console.log(`ready ${socket.address().port}`));
process.stdin.on('end', () => process.exit(0)).resume();
