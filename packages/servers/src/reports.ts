/** How a server tells what happens: each failure once, and no listener's exception in the way of a connection. */
import type { Address } from '@fdset/reactor';
import { codeOf, formatAddress, messageOf, ServerError } from './errors.js';

export class Reports {
  readonly #emitError: (error: Error) => boolean;
  readonly #told = new WeakSet<object>();
  #failed = 0;

  /** `emitError` emits 'error' and returns whether somebody has heard it. */
  constructor(emitError: (error: Error) => boolean) {
    this.#emitError = emitError;
  }

  /** Connections whose handler has failed. */
  get failed(): number {
    return this.#failed;
  }

  /** A handler has thrown, or what runs it has failed. */
  handlerFailed(error: unknown, clientAddress: Address): void {
    // The same error closes a connection, and is then thrown by the handler's next read.
    if (typeof error === 'object' && error !== null) {
      if (this.#told.has(error)) return;
      this.#told.add(error);
    }
    this.#failed += 1;
    if (isOurs(error)) {
      this.error(error);
      return;
    }
    this.error(
      new ServerError(
        'ERR_SERVER_HANDLER',
        `the handler failed for ${formatAddress(clientAddress)}: ${messageOf(error)}`,
        {
          cause: error,
          clientAddress,
        },
      ),
    );
  }

  error(error: Error): void {
    this.tell(() => {
      if (!this.#emitError(error)) console.error(error);
    });
  }

  /** A listener that throws is an uncaughtException, as anywhere in Node. */
  tell(emit: () => void): void {
    try {
      emit();
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }
}

/** What the server's own parts say is told as it is. A timeout is what the handler's call has thrown. */
function isOurs(error: unknown): error is Error {
  const code = codeOf(error);
  return code?.startsWith('ERR_SERVER_') === true && code !== 'ERR_SERVER_TIMEOUT';
}
