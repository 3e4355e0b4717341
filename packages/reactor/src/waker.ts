/** Wakers: a call into a reactor from any thread of its process. */
import type { BackendWaker, WakerHandle } from './backend/backend.js';
import { ringChannel } from './channel-waker.js';
import { describe, misuse } from './errors.js';
import type { Attachment } from './hand-off/host.js';
import { loadCore } from './native.js';

/** Wakes a reactor, from any thread of the process that the reactor runs in. */
export class Waker {
  /** Plain data: send it to other threads, and make a waker of it there with {@link Waker.from}. */
  readonly handle: WakerHandle;

  /** Made by `reactor.waker` and by {@link Waker.from}. */
  protected constructor(handle: WakerHandle) {
    this.handle = handle;
  }

  /** A waker of another thread, by its handle. Throws `ERR_REACTOR_ARGUMENT` for what is no handle. */
  static from(handle: WakerHandle): Waker {
    const { pid, id, state } = (handle ?? {}) as Partial<WakerHandle>;
    const known =
      typeof pid === 'number' && (typeof id === 'number' || (typeof id === 'string' && state instanceof Int32Array));
    if (!known) throw misuse('ERR_REACTOR_ARGUMENT', `Waker.from takes the handle of a waker, got ${describe(handle)}`);
    return new Waker(handle);
  }

  /**
   * Has the reactor's callback called once, soon, in its own thread, for this wake and all others until then; a blocking
   * verb that the thread waits in returns `INTERRUPTED`. Whatever this thread wrote before (to shared memory) is seen
   * there.
   *
   * Returns `false`, and does nothing, when the waker is closed, its thread has ended, or the handle is another
   * process's. (On the emulated backend the end of a thread that was terminated is not seen: `true`.)
   */
  wake(): boolean {
    const { pid, id, state } = this.handle;
    if (pid !== process.pid) return false;
    if (typeof id === 'string') return ringChannel(id, state as Int32Array);
    const core = loadCore();
    if (typeof core === 'string')
      throw misuse('ERR_REACTOR_BACKEND', `wake: the waker is of the kernel backend, and ${core}`);
    return core.wake(id) === 1;
  }
}

/** What a waker needs of its reactor. */
export interface WakerHost {
  post(task: () => void): void;
  hold(change: 1 | -1): void;
  readonly attached: Set<Attachment>;
}

/** A waker in the thread of its reactor, where it can be closed. */
export class ReactorWaker extends Waker implements Disposable {
  readonly #host: WakerHost;
  readonly #backend: BackendWaker;
  #open = true;
  #held = false;

  /** Made by `reactor.waker`. */
  private constructor(host: WakerHost, backend: BackendWaker) {
    super(backend.handle);
    this.#host = host;
    this.#backend = backend;
    host.attached.add(this);
  }

  /** `open` makes the backend's waker. Called by the reactor. @internal */
  static open(host: WakerHost, open: (woken: () => void) => BackendWaker, callback: () => void): ReactorWaker {
    let pending = false;
    const woken = (): void => {
      if (pending || !waker.#open) return;
      pending = true;
      host.post(() => {
        pending = false;
        if (waker.#open) callback();
      });
    };
    const waker = new ReactorWaker(host, open(woken));
    return waker;
  }

  /** Lets it keep the process alive, as it does at the beginning. */
  ref(): this {
    this.#hold(true);
    return this;
  }

  /** Lets the process end although the waker is open. */
  unref(): this {
    this.#hold(false);
    return this;
  }

  /** The callback is not called any more, also for a wake that came before. Idempotent. */
  close(): void {
    if (!this.#open) return;
    this.#hold(false);
    this.#open = false;
    this.#backend.close();
    this.#host.attached.delete(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #hold(held: boolean): void {
    if (!this.#open || held === this.#held) return;
    this.#held = held;
    this.#host.hold(held ? 1 : -1);
  }
}
