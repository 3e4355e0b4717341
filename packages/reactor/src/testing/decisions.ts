/** Every decision that chance takes in a simulated network is taken here: so it can be written down and taken again. */
import { draw } from './random.js';
import { type Decision, type DecisionKind, DecisionLog, KINDS } from './schedule.js';

/** Added to a kind for the draw of the value, beside the one whether it happens. */
const VALUES = KINDS.length;
/** So often in a row one subject meets the same fault: what is tried again succeeds in the end. */
const MOST_IN_A_ROW = 3;

export class Decisions {
  /** Those that were not harmless, in the order in which they were taken. */
  readonly made = new DecisionLog();
  readonly #seed: number;
  /** By kind, subject and place; `null` where chance decides. */
  readonly #given: ReadonlyMap<string, number> | null;
  /** The places of the cuts and parts, ascending, by kind and subject. */
  readonly #places: ReadonlyMap<string, readonly number[]>;
  /** How often each subject was refused without a break, by kind. */
  readonly #inARow = KINDS.map(() => new Map<number, number>());

  /** Draws by `seed`; or repeats `given`, and is harmless everywhere else. */
  constructor(seed: number, given: readonly Decision[] | null = null) {
    this.#seed = seed;
    this.#given = given === null ? null : new Map(given.map((decision) => [keyOf(decision), decision.value]));
    const places = new Map<string, number[]>();
    for (const { kind, subject, at } of given ?? []) {
      const key = `${kind}:${subject}`;
      places.set(
        key,
        [...(places.get(key) ?? []), at].sort((a, b) => a - b),
      );
    }
    this.#places = places;
  }

  /** Whether it happens, with the given probability. */
  happens(kind: DecisionKind, subject: number, at: number, chance: number): boolean {
    return this.choose(kind, subject, at, 1, chance) !== 0;
  }

  /** As {@link happens}, for what is tried again: never more than a few times in a row for one subject. */
  refuses(kind: DecisionKind, subject: number, at: number, chance: number): boolean {
    if (chance === 0 && this.#given === null) return false;
    const inARow = this.#inARow[KINDS.indexOf(kind)] as Map<number, number>;
    const before = inARow.size === 0 ? 0 : (inARow.get(subject) ?? 0);
    const refused = before < MOST_IN_A_ROW && this.happens(kind, subject, at, chance);
    if (refused) inARow.set(subject, before + 1);
    else if (before !== 0) inARow.delete(subject);
    return refused;
  }

  /** An integer from 1 to `most` with the given probability, otherwise 0. */
  choose(kind: DecisionKind, subject: number, at: number, most: number, chance = 1): number {
    let value = 0;
    if (this.#given !== null) value = Math.min(this.#given.get(keyOf({ kind, subject, at })) ?? 0, most);
    else if (chance > 0) {
      const number = KINDS.indexOf(kind);
      if (draw(this.#seed, number, subject, at) < chance)
        value = most === 1 ? 1 : 1 + Math.floor(draw(this.#seed, number + VALUES, subject, at) * most);
    }
    if (value !== 0) this.made.add(kind, subject, at, value);
    return value;
  }

  /**
   * Where a range of a stream ends: at `to`, or before it, but never at `from`. The place is that of the stream, not the
   * number of the call: so it stays where it is when a cut before it is dropped.
   */
  end(kind: 'cut' | 'part', subject: number, from: number, to: number, chance: number): number {
    if (to - from < 2) return to;
    let at = to;
    if (this.#given !== null)
      at = this.#places.get(`${kind}:${subject}`)?.find((place) => place > from && place < to) ?? to;
    else if (chance > 0) {
      const number = KINDS.indexOf(kind);
      // All orders of magnitude alike: among 64 KiB, one byte is as likely as half of it.
      if (draw(this.#seed, number, subject, from) < chance)
        at = from + Math.floor((to - from) ** draw(this.#seed, number + VALUES, subject, from));
    }
    if (at !== to) this.made.add(kind, subject, at, 1);
    return at;
  }
}

function keyOf({ kind, subject, at }: Omit<Decision, 'value'>): string {
  return `${kind}:${subject}@${at}`;
}
