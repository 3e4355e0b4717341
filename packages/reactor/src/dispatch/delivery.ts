/**
 * How an event reaches who wants it: what was received ahead, then writable, readable, error and hang-up of the
 * registration, each after a look whether it is still wanted; then the selects. What nobody wants is parked.
 */
import { AHEAD, ERROR, HANGUP, READ_CLOSED, READABLE, WRITABLE } from '../readiness.js';
import {
  type AnyHandler,
  RECEIVED,
  type ReadinessCallback,
  type ReceivingHandler,
  type SocketRegistration,
  type Watch,
} from '../registration.js';

/** What happens with a socket whose handler threw, or whose promise was rejected. */
export type FailurePolicy = (error: unknown, registration: SocketRegistration) => void;

/** What delivering needs of the reactor. */
export interface DeliveryHost {
  readonly failed: FailurePolicy;
  /** Whether a select waits for it. */
  readonly selects: { report(watch: Watch, mask: number): boolean };
  readonly slots: { rearm(watch: Watch): void; park(watch: Watch, mask: number): void };
}

export class Delivery {
  readonly #host: DeliveryHost;

  constructor(host: DeliveryHost) {
    this.#host = host;
  }

  /** Tells what `mask` says of a socket; `index` is the event of the batch that it comes from. */
  deliver(watch: Watch, mask: number, index: number): void {
    const { registration } = watch;
    if ((mask & AHEAD) !== 0) {
      if (registration !== null) this.#giveReceived(registration, mask, index);
      if (watch.selectors !== null) this.#host.selects.report(watch, mask);
      return;
    }
    let heard = false;
    const hit = registration === null ? 0 : mask & registration.interest;
    if (registration !== null && hit !== 0 && (hit !== READ_CLOSED || !watch.hangupTold)) {
      heard = true;
      const { handler } = registration;
      if (typeof handler === 'function') this.#callBack(registration, handler, mask);
      else this.#callHandler(registration, handler, mask);
    }
    if (watch.selectors !== null && this.#host.selects.report(watch, mask)) heard = true;
    if (!heard) this.#host.slots.park(watch, mask);
  }

  /**
   * What was received for it is its own, whether it still wants to be told or not; and told first, because what `writable`
   * calls may throw, or give the socket away.
   */
  #giveReceived(registration: SocketRegistration, mask: number, index: number): void {
    const handler = registration.handler as ReceivingHandler;
    try {
      handler[RECEIVED](registration, index);
      if ((mask & registration.interest & WRITABLE) !== 0) handler.writable?.(registration.socket, registration);
    } catch (error) {
      this.#host.failed(error, registration);
    }
  }

  #callHandler(registration: SocketRegistration, handler: AnyHandler, mask: number): void {
    const { socket } = registration.watch;
    registration.readiness = mask;
    try {
      // The interest is 0 once the registration has ended.
      if ((mask & registration.interest & WRITABLE) !== 0)
        this.#awaited(handler.writable?.(socket, registration), registration);
      if ((mask & registration.interest & READABLE) !== 0)
        this.#awaited(handler.readable?.(socket, registration), registration);
      if ((mask & registration.interest & ERROR) !== 0)
        this.#awaited(handler.error?.(socket, registration), registration);
      if ((mask & (HANGUP | READ_CLOSED)) !== 0 && (registration.interest & READ_CLOSED) !== 0)
        this.#tellHangup(registration, handler);
    } catch (error) {
      this.#host.failed(error, registration);
    } finally {
      registration.readiness = 0;
    }
  }

  /** Once: the condition stays for ever, so READ_CLOSED leaves the kernel's interest until the next `modify`. */
  #tellHangup(registration: SocketRegistration, handler: AnyHandler): void {
    const { watch } = registration;
    if (watch.hangupTold) return;
    watch.hangupTold = true;
    this.#awaited(handler.hangup?.(watch.socket, registration), registration);
    if (registration.active) this.#host.slots.rearm(watch);
  }

  #callBack(registration: SocketRegistration, callback: ReadinessCallback, mask: number): void {
    const { watch } = registration;
    const readiness = (mask & registration.interest) | (mask & (HANGUP | READ_CLOSED));
    const hangup = (mask & registration.interest & READ_CLOSED) !== 0;
    registration.readiness = mask;
    // Before the call: a `modify` in it asks for the hang-up anew, as it does in a handler's `hangup`.
    if (hangup) watch.hangupTold = true;
    try {
      this.#awaited(callback(watch.socket, readiness, registration), registration);
      if (hangup && registration.active) this.#host.slots.rearm(watch);
    } catch (error) {
      this.#host.failed(error, registration);
    } finally {
      registration.readiness = 0;
    }
  }

  /** A handler may be an async function: its rejection is treated as what it would have thrown. */
  #awaited(result: unknown, registration: SocketRegistration): void {
    if (result === undefined) return;
    if (typeof (result as PromiseLike<unknown> | null)?.then !== 'function') return;
    (result as PromiseLike<unknown>).then(undefined, (error: unknown) => this.#host.failed(error, registration));
  }
}
