/** What is used of an arbitrary of fast-check. */
export interface ArbitraryLike<T> {
  map<U>(mapper: (value: T) => U): ArbitraryLike<U>;
  filter(refinement: (value: T) => boolean): ArbitraryLike<T>;
}

/** What is used of the module `fast-check`, version 3 or 4; the module itself has this shape. */
export interface FastCheck {
  uint8Array(constraints?: { minLength?: number; maxLength?: number }): ArbitraryLike<Uint8Array>;
  array<T>(arbitrary: ArbitraryLike<T>, constraints?: { minLength?: number; maxLength?: number }): ArbitraryLike<T[]>;
  nat(max: number): ArbitraryLike<number>;
  boolean(): ArbitraryLike<boolean>;
  tuple<T extends unknown[]>(...arbitraries: { [K in keyof T]: ArbitraryLike<T[K]> }): ArbitraryLike<T>;
  record<T>(arbitraries: { [K in keyof T]: ArbitraryLike<T[K]> }): ArbitraryLike<T>;
  oneof<T>(...arbitraries: ArbitraryLike<T>[]): ArbitraryLike<T>;
  constantFrom<T>(...values: T[]): ArbitraryLike<T>;
}

/** Text of these characters, or of these pieces. */
export function textOf(
  fc: FastCheck,
  pieces: string | readonly string[],
  constraints: { minLength?: number; maxLength?: number } = {},
): ArbitraryLike<string> {
  return fc.array(fc.constantFrom(...pieces), { maxLength: 12, ...constraints }).map((list) => list.join(''));
}

/** `arbitrary`, or nothing. */
export function optional<T>(fc: FastCheck, arbitrary: ArbitraryLike<T>): ArbitraryLike<T | undefined> {
  return fc.oneof<T | undefined>(arbitrary as ArbitraryLike<T | undefined>, fc.constantFrom(undefined));
}
