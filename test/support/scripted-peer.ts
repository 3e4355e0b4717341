/** What peer.py does by Python's blocking sockets, over the bare verbs of a simulated network. */
import { createHash } from 'node:crypto';
import { MSG_OOB, type Reactor, type Socket, WOULD_BLOCK } from '@fdset/reactor';
import type { Answer } from './python-peer.js';
import { skipOnStage } from './simulated-stage.js';

/** What Python calls the errors. */
const PYTHON: Readonly<Record<string, string>> = {
  ECONNRESET: 'ConnectionResetError',
  ECONNREFUSED: 'ConnectionRefusedError',
  EPIPE: 'BrokenPipeError',
  ENOENT: 'FileNotFoundError',
  EACCES: 'PermissionError',
};

export class ScriptedPeer {
  readonly #reactor: Reactor;
  #socket: Socket | null = null;
  #listener: Socket | null = null;

  constructor(reactor: Reactor) {
    this.#reactor = reactor;
  }

  async do(verb: string, values: Record<string, unknown>): Promise<Answer> {
    try {
      return (await this.#perform(verb, values)) ?? {};
    } catch (error) {
      return { error: nameOf(error) };
    }
  }

  async #perform(verb: string, values: Record<string, unknown>): Promise<Answer | void> {
    switch (verb) {
      case 'listen':
        return this.#listen(values);
      case 'bind':
        return this.#bind(values);
      case 'listen_at':
        return this.#listenAt(values);
      case 'accept':
        return this.#accept();
      case 'connect':
        return this.#connect(values as { host: string; port: number });
      case 'send':
        return this.#send(Buffer.from(values.data as string, 'base64'));
      case 'urgent':
        this.#open.send(Buffer.from(values.data as string, 'base64'), 0, undefined, MSG_OOB);
        return;
      case 'recv':
        return { data: (await this.#recv((values.most as number | undefined) ?? 65536)).toString('base64') };
      case 'exactly':
        return { data: (await this.#exactly(values.count as number)).toString('base64') };
      case 'drain':
        return this.#drain();
      case 'shutdown':
        return this.#open.shutdown('write');
      case 'reset':
        return this.#open.reset();
      case 'close':
        return (this.#socket ?? this.#listener)?.close();
      default:
        skipOnStage(`no peer in memory has what peer.py calls ${verb}`);
    }
  }

  get #open(): Socket {
    return this.#socket as Socket;
  }

  #listen({ backlog = 16, ...options }: { host?: string; backlog?: number }): Answer {
    const bound = this.#bind(options);
    this.#listener?.listen(backlog);
    return bound;
  }

  #bind({ host = '127.0.0.1' }: { host?: string }): Answer {
    this.#listener = this.#reactor.socket({ family: host.includes(':') ? 'ipv6' : 'ipv4' });
    this.#listener.bind({ host, port: 0 });
    return { port: (this.#listener.localAddress as { port: number }).port };
  }

  #listenAt({ path, backlog = 16 }: { path?: string; backlog?: number }): void {
    this.#listener = this.#reactor.socket({ family: 'unix' });
    this.#listener.bind({ path: path as string });
    this.#listener.listen(backlog);
  }

  async #accept(): Promise<Answer> {
    const listener = this.#listener as Socket;
    for (;;) {
      this.#socket = listener.accept();
      if (this.#socket !== null) break;
      await this.#reactor.select([listener], [], []);
    }
    return { ...(this.#socket.remoteAddress as object) };
  }

  async #connect({ host, port }: { host: string; port: number }): Promise<Answer> {
    this.#socket = await this.#reactor.connect({ host, port });
    return { port: (this.#socket.localAddress as { port: number }).port };
  }

  async #send(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const count = this.#open.send(bytes, at);
      if (count === WOULD_BLOCK) await this.#reactor.select([], [this.#open], []);
      else at += count;
    }
  }

  async #recv(most: number): Promise<Buffer> {
    const into = Buffer.alloc(most);
    for (;;) {
      const count = this.#open.recv(into);
      if (count !== WOULD_BLOCK) return into.subarray(0, count);
      await this.#reactor.select([this.#open], [], []);
    }
  }

  async #exactly(count: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for (let left = count; left > 0; ) {
      const chunk = await this.#recv(left);
      if (chunk.length === 0) break;
      chunks.push(chunk);
      left -= chunk.length;
    }
    return Buffer.concat(chunks);
  }

  async #drain(): Promise<Answer> {
    const hash = createHash('sha1');
    let count = 0;
    let how = 'end';
    try {
      for (let chunk = await this.#recv(65536); chunk.length > 0; chunk = await this.#recv(65536)) {
        hash.update(chunk);
        count += chunk.length;
      }
    } catch (error) {
      how = nameOf(error);
    }
    return { count, sha1: hash.digest('hex'), how };
  }
}

function nameOf(error: unknown): string {
  return PYTHON[(error as NodeJS.ErrnoException).code ?? ''] ?? 'OSError';
}
