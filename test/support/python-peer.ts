/** The other end of a connection, by Python's socket module in a process of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { InetAddress } from '@fdset/reactor';
import { afterTest } from './after-test.js';
import { ScriptedPeer } from './scripted-peer.js';
import { peersReactor } from './simulated-stage.js';
import { once } from './waiting.js';

export type Answer = Record<string, unknown> & { error?: string };

let interpreter: string | undefined;

/** The interpreter itself: a version manager's shim would take longer than the test. */
export function python(): string {
  interpreter ??= execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim();
  return interpreter;
}

/** Who does what the peer is told. */
interface Doer {
  do(verb: string, values: Record<string, unknown>): Promise<Answer>;
}

class PythonProcess implements Doer {
  readonly #child: ChildProcess;
  readonly #answers: ((answer: Answer) => void)[] = [];

  constructor() {
    const script = fileURLToPath(new URL('./peer.py', import.meta.url));
    this.#child = spawn(python(), ['-u', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => this.#answers.shift()?.(JSON.parse(line) as Answer));
    afterTest(async () => {
      const gone = once(this.#child, 'close');
      this.#child.kill('SIGKILL');
      await gone;
    });
  }

  do(verb: string, values: Record<string, unknown>): Promise<Answer> {
    return new Promise((resolve) => {
      this.#answers.push(resolve);
      this.#child.stdin?.write(`${JSON.stringify({ verb, ...values })}\n`);
    });
  }
}

/** On the simulated backend, whose network no other process can reach, its part is played by {@link ScriptedPeer}. */
export class PythonPeer {
  readonly #doer: Doer;

  private constructor() {
    const peers = peersReactor();
    this.#doer = peers === null ? new PythonProcess() : new ScriptedPeer(peers);
  }

  static async connect(address: InetAddress): Promise<PythonPeer> {
    const peer = new PythonPeer();
    await peer.do('connect', { host: address.host, port: address.port });
    return peer;
  }

  static async listen(
    options: { host?: string; backlog?: number } = {},
  ): Promise<{ peer: PythonPeer; address: InetAddress }> {
    const peer = new PythonPeer();
    const { port } = (await peer.do('listen', options)) as { port: number };
    return { peer, address: { host: options.host ?? '127.0.0.1', port } };
  }

  /** A port on which nobody listens, and which nobody else can take before the test is over. */
  static async bind(options: { host?: string } = {}): Promise<number> {
    return ((await new PythonPeer().do('bind', options)) as { port: number }).port;
  }

  /** Has the peer do one thing, and gives its answer. An exception of Python is an error. */
  async do(verb: string, values: Record<string, unknown> = {}): Promise<Answer> {
    const answer = await this.#doer.do(verb, values);
    if (answer.error !== undefined) throw new Error(`the Python peer's ${verb}: ${answer.error}`);
    return answer;
  }

  async send(data: string): Promise<void> {
    await this.do('send', { data: Buffer.from(data).toString('base64') });
  }

  /** One byte of urgent data. */
  async urgent(data: string): Promise<void> {
    await this.do('urgent', { data: Buffer.from(data).toString('base64') });
  }

  /** What one `recv` gives; empty at the end of the stream. */
  async recv(): Promise<string> {
    return decode(await this.do('recv'));
  }

  /** Exactly `count` bytes, or what came before the end. */
  async exactly(count: number): Promise<string> {
    return decode(await this.do('exactly', { count }));
  }

  /** Reads to the end: how many bytes came, their digest, and how it ended ('end' or the exception's name). */
  async drain(): Promise<{ count: number; sha1: string; how: string }> {
    return (await this.do('drain')) as { count: number; sha1: string; how: string };
  }

  /** How many segments with data have come: two sends are two. */
  async segments(): Promise<number> {
    return (await this.do('segments')).in as number;
  }
}

function decode(answer: Answer): string {
  return Buffer.from(answer.data as string, 'base64').toString('latin1');
}
