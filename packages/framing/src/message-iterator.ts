import { wrongType } from './errors.js';

/** What an iterator asks of the channel whose messages it takes. */
export interface MessageSource {
  /** Decodes until one message has been put, or bytes are missing. */
  pull(): void;
  /** Lets more bytes come, for a consumer that waits. */
  flow(): void;
  /** `undefined`: more messages may come. Otherwise there will be none, and why. */
  verdict(): 'ended' | Error | undefined;
  /** The consumer has left. */
  release(): void;
}

const NOTHING = Symbol('nothing');
const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** The messages of a channel as an async iterator that decodes each only when it is asked for. */
export class MessageIterator<I> implements AsyncIterableIterator<I, undefined> {
  private readonly source: MessageSource;
  private slot: I | typeof NOTHING = NOTHING;
  private resolve: ((result: IteratorResult<I, undefined>) => void) | undefined = undefined;
  private reject: ((error: Error) => void) | undefined = undefined;
  private over = false;

  constructor(source: MessageSource) {
    this.source = source;
  }

  /** Whether a consumer waits. */
  get waiting(): boolean {
    return this.resolve !== undefined;
  }

  next(): Promise<IteratorResult<I, undefined>> {
    if (this.over) return Promise.resolve(DONE);
    if (this.waiting) {
      return Promise.reject(wrongType('ERR_FRAMING_CONSUMER', 'next() was called while another next() waits'));
    }
    this.source.pull();
    const message = this.slot;
    if (message !== NOTHING) {
      this.slot = NOTHING;
      return Promise.resolve({ done: false, value: message as I });
    }
    const verdict = this.source.verdict();
    if (verdict !== undefined) {
      this.leave();
      return verdict === 'ended' ? Promise.resolve(DONE) : Promise.reject(verdict);
    }
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      this.source.flow();
    });
  }

  return(): Promise<IteratorResult<I, undefined>> {
    this.finish(undefined);
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** A message has been decoded. */
  put(message: I): void {
    const resolve = this.resolve;
    if (resolve === undefined) {
      this.slot = message;
      return;
    }
    this.resolve = undefined;
    this.reject = undefined;
    resolve({ done: false, value: message });
  }

  /** There will be no more messages: tells a consumer that waits. Another learns it when it asks. */
  settle(): void {
    if (!this.waiting) return;
    const verdict = this.source.verdict();
    if (verdict !== undefined) this.finish(verdict === 'ended' ? undefined : verdict);
  }

  private finish(error: Error | undefined): void {
    const { resolve, reject } = this;
    this.resolve = undefined;
    this.reject = undefined;
    this.leave();
    if (error === undefined) resolve?.(DONE);
    else reject?.(error);
  }

  private leave(): void {
    if (this.over) return;
    this.over = true;
    this.source.release();
  }
}
