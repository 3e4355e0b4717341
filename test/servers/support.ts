/** What the tests of the servers share: servers that are stopped, clients, and a look at what a process holds. */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Reactor } from '@fdset/reactor';
import { createServer, type Server, type ServerOptions } from '@fdset/servers';
import { afterEach, expect } from 'vitest';
import { python as interpreter } from '../support/python-peer.js';

const run = promisify(execFile);

export function fixture(name: string): string {
  return fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
}

function hasKernel(): boolean {
  const reactor = new Reactor();
  const { name, reason } = reactor.backend;
  reactor.close();
  if (name !== 'kernel') console.log(`servers: tests of the kernel backend are skipped, because ${reason}`);
  return name === 'kernel';
}

/** Whether threads and processes can be served here. */
export const kernel = hasKernel();

export interface Form extends Pick<ServerOptions, 'style' | 'io' | 'backend'> {
  readonly name: string;
}

const IN_PROCESS: Form[] = [
  { name: 'iterative', style: 'iterative' },
  { name: 'reactor', style: 'reactor' },
];
const EMULATED: Form[] = [
  { name: 'iterative, emulated', style: 'iterative', backend: 'emulated' },
  { name: 'reactor, emulated', style: 'reactor', backend: 'emulated' },
];
const WITH_WORKERS: Form[] = [
  { name: 'thread-per-connection', style: 'thread-per-connection' },
  { name: 'thread-per-connection, blocking', style: 'thread-per-connection', io: 'blocking' },
  { name: 'process-per-connection', style: 'process-per-connection' },
];

/** Every form in which a handler can be run here. */
export const FORMS: readonly Form[] = kernel ? [...IN_PROCESS, ...EMULATED, ...WITH_WORKERS] : EMULATED;
/** Those whose handler runs in a thread or process of its own. */
export const WORKER_FORMS: readonly Form[] = kernel ? WITH_WORKERS : [];
/** Those that serve several clients at once. */
export const CONCURRENT_FORMS = FORMS.filter(({ style }) => style !== 'iterative');

export interface Started {
  readonly server: Server;
  readonly port: number;
  readonly errors: Error[];
  /** Resolves when `serveForever` has. */
  readonly done: Promise<void>;
}

const started = new Set<Server>();

/** A server on a port of 127.0.0.1 that serves until the test is over. */
export async function start(form: Form, handler: ServerOptions['handler'], options: Partial<ServerOptions> = {}) {
  const { name: _, ...rest } = form;
  const server = createServer({ address: { host: '127.0.0.1', port: 0 }, handler, ...rest, ...options });
  started.add(server);
  const errors: Error[] = [];
  server.on('error', (error) => errors.push(error));
  const done = server.serveForever();
  done.catch(() => {});
  const address = await server.listening;
  return { server, port: 'port' in address ? address.port : 0, errors, done } satisfies Started;
}

const clients = new Set<net.Socket>();
const launched = new Set<ChildProcessWithoutNullStreams>();

afterEach(async () => {
  for (const client of clients) client.destroy();
  clients.clear();
  for (const child of launched) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  for (const server of started) await server[Symbol.asyncDispose]();
  started.clear();
  expect(children()).toEqual([]);
});

/** A client on node:net that reads lines, and knows how its connection has ended. */
export class Client {
  readonly socket: net.Socket;
  /** Resolves with everything that came, when the connection is over; a reset is an end with `reset` set. */
  readonly closed: Promise<string>;
  reset = false;
  #received = '';
  #waiting: (() => void)[] = [];
  #ended = false;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    clients.add(socket);
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.#received += text;
      this.#wake();
    });
    socket.on('error', () => {
      this.reset = true;
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#ended = true;
        this.#wake();
        resolve(this.#received);
      });
    });
  }

  static connect(port: number, options: Partial<net.NetConnectOpts> = {}): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host: '127.0.0.1', port, ...options } as net.NetConnectOpts);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Client(socket));
      });
    });
  }

  send(text: string): this {
    this.socket.write(text);
    return this;
  }

  /** The next line; throws when the connection ends before. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf('\n');
      if (end >= 0) {
        const line = this.#received.slice(0, end);
        this.#received = this.#received.slice(end + 1);
        return line;
      }
      if (this.#ended) throw new Error(`the connection ended, with ${JSON.stringify(this.#received)} left`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  end(): this {
    this.socket.end();
    return this;
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Starts a program that is ended with the test, if it has not ended before. */
export function launch(command: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  const child = spawn(command, args);
  launched.add(child);
  child.once('exit', () => launched.delete(child));
  return child;
}

/** Runs the Python client and gives what it printed. */
export async function python(
  port: number,
  mode: 'sequence' | 'concurrent' | 'together' | 'large',
  count: number,
): Promise<string> {
  const { stdout } = await run(interpreter(), [fixture('client.py'), String(port), mode, String(count)]);
  return stdout.trim();
}

/** Runs a program of the fixtures in a Node of its own. */
export async function program(name: string, ...args: string[]) {
  const begun = performance.now();
  const { stdout, stderr } = await run(process.execPath, [fixture(name), ...args], { timeout: 12_000 });
  return { stdout, stderr, ms: performance.now() - begun };
}

export function descriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

/** The descriptors of now that were not there before, by what they are. */
export function descriptorsSince(before: readonly string[]): string[] {
  const known = [...before];
  return descriptors().filter((link) => {
    const at = known.indexOf(link);
    if (at >= 0) known.splice(at, 1);
    return at < 0;
  });
}

/** The ids of this process's children, zombies included. */
export function children(): number[] {
  return readdirSync('/proc/self/task').flatMap((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
}

export function threads(): number {
  return readdirSync('/proc/self/task').length;
}

/** Awaits a state that no event tells, as that of the system's tables. */
export async function eventually(check: () => void, ms = 10_000): Promise<void> {
  for (const deadline = performance.now() + ms; ; ) {
    try {
      check();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Resolves with what the next event of the server tells. */
export function next<T = unknown>(server: Server, event: 'error' | 'close' | 'connection' | 'drop' | 'worker') {
  return new Promise<T>((resolve) => server.once(event as 'close', resolve as () => void));
}

export { expect };
