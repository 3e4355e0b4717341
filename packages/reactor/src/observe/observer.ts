/**
 * The one mechanism under `trace`, `record` and `debug`. An observed reactor's sockets get verbs of their own, which call
 * the backend's and tell what has come of it; a reactor that nobody observes has none of this.
 */
import type { BackendSocket } from '../backend/backend.js';
import type { Connection } from '../connection/connection.js';
import { raise } from '../errors.js';
import type { Debug } from './debug.js';
import type { TraceEvent, TraceValue } from './trace-event.js';
import { CLOSING, isSocket, type Told, VERBS } from './verbs.js';

export interface Sinks {
  readonly tell: readonly ((event: TraceEvent) => void)[];
  readonly payloads: boolean;
  readonly debug: Debug | null;
}

type Verb = (...args: unknown[]) => unknown;
type Instrumented = BackendSocket & Record<string, Verb>;
/** Of an event: what is not counted or read off the clock here. */
type Happening = Omit<TraceEvent, 'sequence' | 'time'>;

export class Observer {
  readonly debug: Debug | null;
  readonly #tell: Sinks['tell'];
  readonly #payloads: boolean;
  readonly #ids = new WeakMap<object, number>();
  #sockets = 0;
  #sequence = 0;
  #now: () => number = () => 0;
  /** A verb that calls other verbs is told as itself. */
  #inVerb = false;
  /** What a sink itself does is not told. */
  #telling = false;

  constructor(sinks: Sinks) {
    this.#tell = sinks.tell;
    this.#payloads = sinks.payloads;
    this.debug = sinks.debug;
  }

  /** Whose clock the events go by. */
  follow(now: () => number): void {
    this.#now = now;
  }

  /** The number of a socket: 0 for none of this reactor. */
  idOf(socket: BackendSocket): number {
    return this.#ids.get(socket) ?? 0;
  }

  /** Whether anybody is told of what happens. */
  get tells(): boolean {
    return this.#tell.length > 0;
  }

  /** A reactor's own deed. */
  happened(call: string, args: readonly TraceValue[], more: Partial<Happening> = {}): void {
    this.#emit({ socket: 0, call, args, ...more });
  }

  /** A reactor's own deed that has thrown. */
  failed(call: string, args: readonly TraceValue[], error: unknown, socket = 0): void {
    this.#emit({ socket, call, args, error: codeOf(error) });
  }

  /** Makes a socket that the backend has made an observed one, and tells it. */
  made(socket: BackendSocket, call: string, args: readonly TraceValue[], result?: TraceValue): void {
    const id = this.observe(socket);
    this.#emit({ socket: id, call, args, ...(result === undefined ? {} : { result }) });
  }

  /** Gives a socket its number and its own verbs. Once: a second time gives the number only. */
  observe(socket: BackendSocket): number {
    const known = this.#ids.get(socket);
    if (known !== undefined) return known;
    this.#sockets += 1;
    const id = this.#sockets;
    this.#ids.set(socket, id);
    for (const name of Object.keys(VERBS)) {
      const verb = (socket as Instrumented)[name];
      if (typeof verb !== 'function') continue;
      const value = (...args: unknown[]): unknown => this.#call(socket, id, name, verb, args, value);
      Object.defineProperty(socket, name, { value, configurable: true, writable: true, enumerable: false });
    }
    return id;
  }

  /** A connection begins. */
  connection(connection: Connection): void {
    this.debug?.connection(connection, this.idOf(connection.socket as BackendSocket));
  }

  #call(socket: BackendSocket, id: number, name: string, verb: Verb, args: unknown[], called: Verb): unknown {
    if (this.#inVerb || this.#telling) return this.#known(verb.apply(socket, args));
    const wasClosed = socket.closed;
    this.#inVerb = true;
    let result: unknown;
    try {
      result = this.#known(verb.apply(socket, args));
    } catch (error) {
      this.#inVerb = false;
      this.#told(id, name, args, undefined, error);
      if (wasClosed) this.debug?.usedAfterClose(socket, id, name, called, error);
      throw error;
    }
    this.#inVerb = false;
    this.#told(id, name, args, result);
    const { debug } = this;
    if (debug === null) return result;
    if (!wasClosed) {
      if (socket.closed) debug.closed(socket, id, name, called);
    } else if (CLOSING.has(name)) debug.closedTwice(socket, id, name, called);
    if (name === 'receive' && args[0] === true && result instanceof Uint8Array) debug.lent(result);
    return result;
  }

  /** A socket that a verb gives is observed too. */
  #known(result: unknown): unknown {
    if (isSocket(result)) this.observe(result);
    return result;
  }

  #told(id: number, call: string, args: unknown[], result: unknown, error?: unknown): void {
    if (!this.tells) return;
    const telling = VERBS[call] as (args: unknown[], result: unknown) => Told;
    const { moved, ...told } = telling(args, isSocket(result) ? this.idOf(result) : result);
    this.#emit({
      socket: id,
      call,
      ...told,
      ...(error === undefined ? {} : { error: codeOf(error) }),
      ...(moved === undefined || !this.#payloads ? {} : { payload: Buffer.concat(moved).toString('base64') }),
    });
  }

  #emit(happening: Happening): void {
    if (this.#telling || !this.tells) return;
    this.#sequence += 1;
    const event: TraceEvent = { sequence: this.#sequence, time: this.#now(), ...happening };
    this.#telling = true;
    for (const tell of this.#tell) {
      try {
        tell(event);
      } catch (error) {
        raise(error);
      }
    }
    this.#telling = false;
  }
}

function codeOf(error: unknown): string {
  const { code, name } = error as NodeJS.ErrnoException;
  return code ?? name ?? String(error);
}
