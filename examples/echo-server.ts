/** An echo server in any style: `node examples/dist/echo-server.js --style thread-per-connection --port 7000`. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createServer, type ServerOptions, StreamRequestHandler } from '@fdset/servers';

export default class Echo extends StreamRequestHandler {
  // The styles with threads and processes load the handler from here.
  static module = import.meta.url;

  async handle() {
    for (let chunk = await this.rfile.readSome(); chunk !== null; chunk = await this.rfile.readSome()) {
      if (!this.wfile.write(chunk)) await this.wfile.flush();
    }
  }
}

// In a thread or process that the server has started, this file is the handler's module and not the program.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '0' },
      style: { type: 'string', default: 'reactor' },
      io: { type: 'string', default: 'reactor' },
    },
  });
  const server = createServer({
    style: values.style as ServerOptions['style'],
    io: values.io as NonNullable<ServerOptions['io']>,
    handler: Echo,
    address: { host: values.host, port: Number(values.port) },
  });
  server.on('listening', (address) => {
    if ('port' in address) console.log(`ready: ${server.style} on ${address.host}:${address.port}`);
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => server.shutdown());
  await server.serveForever();
}
