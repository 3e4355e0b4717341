/** A program imports the package, and a dependency of it requires it: two builds in one thread, over one native core. */
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { runNode } from '../support/node-process.js';

describeBackends('both builds of the package in one thread', (stage) => {
  it('serve side by side, each with the addresses and bytes of its own', async () => {
    const { lines, code, stderr } = await runNode(
      `
      import { createRequire } from 'node:module';
      import * as imported from '@fdset/reactor';
      const required = createRequire(import.meta.url)('@fdset/reactor');
      console.log(imported.Reactor === required.Reactor);
      const reactors = [imported, required].map(({ Reactor }) => new Reactor());
      const seen = [];
      const listeners = await Promise.all(reactors.map((reactor) => reactor.serve({ host: '127.0.0.1', port: 0 }, {
        data(connection, chunk) {
          seen.push(connection.remoteAddress.port);
          connection.write(chunk);
        },
      })));
      for (const [i, reactor] of reactors.entries())
        for (const { socket } of listeners) {
          const connection = await reactor.open(socket.localAddress);
          const { port } = connection.localAddress;
          connection.end('from ' + i);
          let text = '';
          for await (const chunk of connection) text += chunk;
          console.log(text, seen.at(-1) === port);
          await connection.close();
        }
      for (const listener of listeners) await listener.close();
      console.log('over');`,
      { backend: stage.backend },
    );
    expect({ lines, code, stderr }).toEqual({
      lines: ['false', 'from 0 true', 'from 0 true', 'from 1 true', 'from 1 true', 'over'],
      code: 0,
      stderr: '',
    });
  });
});
