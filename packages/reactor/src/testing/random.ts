/**
 * Chance without a state: what is drawn follows from the seed and from what it is drawn for, and from nothing else. So a
 * draw that no longer happens changes no other one.
 */

/** A seed of 32 bits from what a user gives: equal ones from equal ones. */
export function seedOf(seed: string | number): number {
  const text = typeof seed === 'string' ? `"${seed}` : `${seed}`;
  let hash = 0x811c9dc5;
  // FNV-1a over the UTF-16 units, then stirred: neighbouring numbers shall have nothing in common.
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return stir(hash);
}

/** A number from 0 to 1 (excluded) that follows from the four alone. */
export function draw(seed: number, kind: number, subject: number, at: number): number {
  let hash = stir(seed ^ Math.imul(kind + 1, 0x9e3779b1));
  hash = stir(hash ^ Math.imul(subject + 1, 0x85ebca6b));
  return (stir(hash ^ Math.imul(at + 1, 0xc2b2ae35)) >>> 0) / 2 ** 32;
}

/** The finalizer of MurmurHash3, with the constants of Wellons' lowbias32. */
export function stir(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return hash ^ (hash >>> 16);
}
