import { isBytes } from './bytes.js';

/** Whether two messages are the same by value: bytes of any class, numbers (NaN too), text, arrays of one class, Maps, plain objects. */
export function sameMessage(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (isBytes(one) || isBytes(other)) return isBytes(one) && isBytes(other) && sameList(one, other);
  // A subclass says more than its elements do: a set of RESP is not an array.
  if (Array.isArray(one) || Array.isArray(other))
    return Array.isArray(one) && Array.isArray(other) && one.constructor === other.constructor && sameList(one, other);
  if (one instanceof Map || other instanceof Map)
    return one instanceof Map && other instanceof Map && sameMessage([...one], [...other]);
  if (one instanceof Error || other instanceof Error)
    return one instanceof Error && other instanceof Error && one.name === other.name && one.message === other.message;
  const keys = definedKeys(one);
  return (
    sameList(keys, definedKeys(other)) &&
    keys.every((key) => sameMessage((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key]))
  );
}

function sameList(one: ArrayLike<unknown>, other: ArrayLike<unknown>): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i += 1) if (!sameMessage(one[i], other[i])) return false;
  return true;
}

/** A property that is undefined is as good as none. */
function definedKeys(value: object): string[] {
  return Object.keys(value)
    .filter((key) => (value as Record<string, unknown>)[key] !== undefined)
    .sort();
}
