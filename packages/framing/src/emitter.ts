import { shown, wrongType } from './errors.js';

// biome-ignore lint/suspicious/noExplicitAny: a listener of whatever event; the public signatures are exact
export type AnyListener = (...values: any[]) => void;

interface Entry {
  readonly listener: AnyListener;
  readonly once: boolean;
}

const NONE: readonly AnyListener[] = [];

/**
 * The listeners of one event. Emitting runs over the array as it stands: adding and removing make a new one, so that a
 * listener may do either.
 */
export class Listeners {
  /** What to call, in order. A listener added with `once` stands here as a function that removes itself first. */
  calls: readonly AnyListener[] = NONE;
  private entries: readonly Entry[] = [];
  private readonly changed: (() => void) | undefined;

  /** @param changed called after each change of `calls` */
  constructor(changed?: () => void) {
    this.changed = changed;
  }

  add(listener: AnyListener, once: boolean): void {
    const entry: Entry = { listener, once };
    const call: AnyListener = once
      ? (...values) => {
          this.removeEntry(entry);
          listener(...values);
        }
      : listener;
    this.entries = [...this.entries, entry];
    this.calls = [...this.calls, call];
    this.changed?.();
  }

  remove(listener: AnyListener): void {
    // The one added last goes first, as in Node.js.
    for (let i = this.entries.length - 1; i >= 0; i--) {
      if (this.entries[i]!.listener !== listener) continue;
      this.removeAt(i);
      return;
    }
  }

  emit(...values: unknown[]): void {
    for (const call of this.calls) call(...values);
  }

  private removeEntry(entry: Entry): void {
    const at = this.entries.indexOf(entry);
    if (at >= 0) this.removeAt(at);
  }

  private removeAt(at: number): void {
    this.entries = this.entries.filter((_, i) => i !== at);
    this.calls = this.calls.filter((_, i) => i !== at);
    this.changed?.();
  }
}

/** Misuse is told at once. */
export function checkListener(event: string, known: boolean, listener: unknown): void {
  if (!known) throw wrongType('ERR_FRAMING_LISTENER', `there is no event ${shown(event)}`);
  if (typeof listener === 'function') return;
  throw wrongType('ERR_FRAMING_LISTENER', `a listener of '${event}' must be a function, got ${shown(listener)}`);
}
