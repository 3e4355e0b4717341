#!/usr/bin/env node
/**
 * A node:http server that is fed with connections answers a million requests, each with its own answer, in order; memory
 * and descriptors stay where they were. The short form of it runs in test/node-interop/http.test.ts.
 */
import { readdirSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { Reactor } from '@fdset/reactor';
import { oneOf, readOptions, whole } from '../../scripts/options.mjs';

const HELP = `node test/soak/http-million.mjs [options]

  --requests n      requests in all (1000000)
  --connections n   clients at the same time (50)
  --pipeline n      requests that a client sends at once (8)
  --renew n         requests after which a client begins a new connection (5000)
  --backend name    kernel or emulated (kernel)
  --help            this text

Prints a line for each twentieth of the way. Ends with 0 when all answers were right and nothing was left open.`;

const { values } = readOptions(HELP, {
  requests: whole(1_000_000),
  connections: whole(50),
  pipeline: whole(8),
  renew: whole(5000),
  backend: oneOf(['kernel', 'emulated'], 'kernel'),
});
const { requests: total, connections: clients, pipeline, renew } = values;

const reactor = new Reactor({ backend: values.backend });
const server = http.createServer((request, response) => response.end(`answer to ${request.url}`));
server.maxRequestsPerSocket = 0;
const listener = await reactor.serve({ host: '127.0.0.1', port: 0 }, (connection) =>
  server.emit('connection', connection.toDuplex()),
);
const { host, port } = listener.socket.localAddress;

let begun = 0;
let answered = 0;
const startedAt = performance.now();

function progress() {
  if (answered % Math.max(1, Math.floor(total / 20)) !== 0) return;
  const seconds = (performance.now() - startedAt) / 1000;
  const rss = Math.round(process.memoryUsage().rss / 1024 / 1024);
  console.log(`${answered} of ${total}, ${Math.round(answered / seconds)}/s, ${rss} MiB, ${listener.connections} open`);
}

/** One connection: up to `left` requests in batches, each answer compared with its request. */
function session(left) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, host);
    const expected = [];
    let unread = '';
    const ask = () => {
      const batch = Math.min(pipeline, left, total - begun);
      if (batch === 0) {
        socket.end();
        return;
      }
      left -= batch;
      let text = '';
      for (let i = 0; i < batch; i += 1) {
        begun += 1;
        expected.push(`answer to /${begun}`);
        text += `GET /${begun} HTTP/1.1\r\nHost: x\r\n\r\n`;
      }
      socket.write(text);
    };
    socket.setEncoding('latin1');
    socket.on('connect', ask);
    socket.on('data', (text) => {
      unread += text;
      for (;;) {
        const end = unread.indexOf('\r\n\r\n');
        const length = /content-length: (\d+)/i.exec(unread)?.[1];
        if (end < 0 || length === undefined || unread.length < end + 4 + Number(length)) break;
        const body = unread.slice(end + 4, end + 4 + Number(length));
        const wanted = expected.shift();
        if (body !== wanted) {
          socket.destroy(new Error(`the answer is '${body}', '${wanted}' was asked for`));
          return;
        }
        unread = unread.slice(end + 4 + Number(length));
        answered += 1;
        progress();
      }
      if (expected.length === 0) ask();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      if (expected.length === 0) resolve();
      else reject(new Error(`closed with ${expected.length} answers missing`));
    });
  });
}

const descriptors = () => readdirSync('/proc/self/fd').length;
// Node and libuv open some of their own at the first connection.
await session(1);
const before = descriptors();
await Promise.all(
  Array.from({ length: clients }, async () => {
    while (begun < total) await session(renew);
  }),
);
while (listener.connections > 0) await reactor.sleep(5);
await new Promise((resolve) => setImmediate(resolve));
const left = descriptors() - before;
await listener.close();
reactor.close();
const right = answered === total && left <= 0;
console.log(
  `${answered} answers in ${((performance.now() - startedAt) / 1000).toFixed(1)} s, ${left} descriptors left`,
);
process.exit(right ? 0 : 1);
