// Drives the echo example on another runtime, as a client of it: node example.mjs <runtime> [argument of the runtime...]
// Exit code 0 when it echoes to the end of the stream, and ends by itself after SIGTERM.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const [program, ...args] = process.argv.slice(2);
const EXAMPLE = fileURLToPath(new URL('../../examples/dist/echo-server.js', import.meta.url));
const server = spawn(program, [...args, EXAMPLE, '--host', '127.0.0.1', '--port', '0'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
process.once('exit', () => server.kill('SIGKILL'));
server.once('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
const ended = once(server, 'exit');
const [ready] = await Promise.race([
  once(createInterface({ input: server.stdout }), 'line'),
  ended.then(([code]) => assert.fail(`the example has ended with ${code} before it was ready`)),
]);
const port = Number(/^ready: reactor on 127\.0\.0\.1:(\d+)$/.exec(ready)?.[1]);

const client = net.connect(port, '127.0.0.1');
const bytes = Buffer.alloc(200_000, 'echo ');
client.end(bytes);
const chunks = [];
for await (const chunk of client) chunks.push(chunk);
assert.ok(Buffer.concat(chunks).equals(bytes), 'the echo is not what was sent');

server.kill('SIGTERM');
assert.deepEqual(await ended, [0, null]);
console.log(`ok       the echo example: ${ready}`);
