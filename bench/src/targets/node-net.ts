/** node:net as its documentation shows it: what most Node servers are made of. */
import { type AddressInfo, createServer } from 'node:net';
import { runTarget } from '../target-program.js';

await runTarget(
  ({ host, port }) =>
    new Promise((resolve, reject) => {
      const server = createServer({ noDelay: true }, (socket) => {
        socket.on('data', (data) => socket.write(data));
        socket.on('error', () => socket.destroy());
      });
      server.once('error', reject);
      server.listen({ host, port, backlog: 511 }, () =>
        resolve({ port: (server.address() as AddressInfo).port, stop: () => server.close() }),
      );
    }),
);
