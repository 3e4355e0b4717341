import type { ByteChannel } from '../index.js';

/** A channel whose other end is the test. */
export class FakeChannel implements ByteChannel {
  readonly written: Uint8Array[] = [];
  readonly calls: string[] = [];
  /** What `write` answers. */
  writable = true;
  paused = false;
  destroyedWith: Error | undefined = undefined;
  interceptMessage?: (message: unknown) => unknown;
  private readonly listeners = new Map<string, ((...values: unknown[]) => void)[]>();

  on(event: string, listener: (...values: never[]) => void): this {
    this.calls.push(`on ${event}`);
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener as (...values: unknown[]) => void]);
    return this;
  }

  off(event: string, listener: (...values: never[]) => void): this {
    this.listeners.set(
      event,
      (this.listeners.get(event) ?? []).filter((each) => each !== listener),
    );
    return this;
  }

  emit(event: string, ...values: unknown[]): void {
    for (const listener of this.listeners.get(event) ?? []) listener(...values);
  }

  /** The peer sends `text`. */
  receive(text: string | Uint8Array): void {
    this.emit('data', typeof text === 'string' ? Buffer.from(text) : text);
  }

  write(data: Uint8Array | string): boolean {
    this.written.push(typeof data === 'string' ? Buffer.from(data) : data);
    return this.writable;
  }

  pause(): void {
    this.calls.push('pause');
    this.paused = true;
  }

  resume(): void {
    this.calls.push('resume');
    this.paused = false;
  }

  end(): void {
    this.calls.push('end');
  }

  flush(): void {
    this.calls.push('flush');
  }

  destroy(error?: Error): void {
    this.calls.push('destroy');
    this.destroyedWith = error;
    if (error !== undefined) this.emit('error', error);
    this.emit('close', { by: error === undefined ? 'local' : 'error', ...(error && { error }) });
  }

  /** All that was written, as text. */
  get text(): string {
    return Buffer.concat(this.written).toString('latin1');
  }
}
