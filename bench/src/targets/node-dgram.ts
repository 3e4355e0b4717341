/** node:dgram as its documentation shows it. */
import { createSocket } from 'node:dgram';
import { runTarget } from '../target-program.js';

await runTarget(
  ({ host, port }) =>
    new Promise((resolve, reject) => {
      const socket = createSocket('udp4');
      socket.on('message', (message, { port: from, address }) => socket.send(message, from, address));
      socket.once('error', reject);
      socket.bind(port, host, () => resolve({ port: socket.address().port, stop: () => socket.close() }));
    }),
);
