/** The dispatcher of an observed reactor: it tells its turns, and in debug mode looks after the handlers that it calls. */
import type { Backend, BackendSocket } from '../backend/backend.js';
import type { Budgets } from '../budgets.js';
import { Dispatcher, type FailurePolicy } from '../dispatcher.js';
import type { AnyHandler, ReadinessCallback, SocketRegistration } from '../registration.js';
import type { Observer } from './observer.js';

export class ObservedDispatcher extends Dispatcher {
  readonly #observer: Observer;

  constructor(backend: Backend, budgets: Budgets, onFailure: FailurePolicy, observer: Observer) {
    super(backend, budgets, onFailure);
    this.#observer = observer;
  }

  override turn(): void {
    if (this.inTurn || this.closed) return;
    const began = this.now();
    const { events } = this.counters;
    super.turn();
    const elapsedMs = this.now() - began;
    this.#observer.happened('turn', [this.counters.turns], { result: this.counters.events - events, elapsedMs });
  }

  override register(
    socket: BackendSocket,
    interest: number,
    handler: AnyHandler | ReadinessCallback,
    data: unknown,
    held: boolean,
  ): SocketRegistration {
    const { debug } = this.#observer;
    if (debug === null) return super.register(socket, interest, handler, data, held);
    const wasClosed = socket.closed;
    try {
      return super.register(socket, interest, debug.poisoning(handler), data, held);
    } catch (error) {
      if (wasClosed) debug.usedAfterClose(socket, this.#observer.idOf(socket), 'register', this.register, error);
      throw error;
    }
  }

  override post(task: () => void): void {
    super.post(this.#observer.debug?.timed(task) ?? task);
  }
}
