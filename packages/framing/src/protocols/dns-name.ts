import { latin1Slice } from '../bytes.js';
import { FramingError, shown } from '../errors.js';

/** RFC 1035 3.1, 2.3.4. */
const LONGEST_LABEL = 63;
const LONGEST_NAME = 255;
/** So many labels fit in a name: who needs more pointers has some that lead to nothing but the next. */
const MOST_POINTERS = 127;
/** Of the first byte of a label: the rest of the name stands elsewhere (4.1.4). */
export const POINTER = 0xc0;
const DOT = 0x2e;
const BACKSLASH = 0x5c;

/** A name, and where what follows it begins. */
export interface ReadName {
  name: string;
  next: number;
}

/**
 * The name at `at`, in the form of master files: dots between labels, `\.` for one inside, `\DDD` for bytes that are no
 * printable ASCII; `.` is the root. Pointers must go backwards, so that a name of a hostile peer has an end.
 */
export function readName(bytes: Uint8Array, at: number, end: number = bytes.length): ReadName {
  let next = -1;
  let text = '';
  let length = 1;
  let lowest = at;
  let limit = end;
  let jumps = 0;
  for (let from = at; ; ) {
    if (from >= limit) throw new FramingError('BAD_LENGTH', 'a name goes beyond the end');
    const size = bytes[from]!;
    if (size >= POINTER) {
      if (from + 2 > limit) throw new FramingError('BAD_LENGTH', 'a name goes beyond the end');
      const target = ((size & 0x3f) << 8) | bytes[from + 1]!;
      if (next < 0) next = from + 2;
      if (++jumps > MOST_POINTERS)
        throw new FramingError('BAD_VALUE', `a name of more than ${MOST_POINTERS} pieces (4.1.4)`);
      if (target >= lowest)
        throw new FramingError('BAD_VALUE', 'a name is continued where it does not go back (4.1.4)');
      lowest = target;
      from = target;
      limit = bytes.length;
      continue;
    }
    if (size > LONGEST_LABEL) throw new FramingError('BAD_TYPE', `a label of the unknown type 0x${size.toString(16)}`);
    if (from + 1 + size > limit) throw new FramingError('BAD_LENGTH', 'a name goes beyond the end');
    if (size === 0) return { name: text === '' ? '.' : text.slice(0, -1), next: next < 0 ? from + 1 : next };
    length += size + 1;
    if (length > LONGEST_NAME)
      throw new FramingError('BAD_LENGTH', `a name of more than ${LONGEST_NAME} bytes (2.3.4)`);
    text += `${labelText(bytes, from + 1, from + 1 + size)}.`;
    from += size + 1;
  }
}

/** A label, which is nearly always the text that it looks like. */
function labelText(bytes: Uint8Array, from: number, to: number): string {
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!;
    if (byte > 0x20 && byte < 0x7f && byte !== DOT && byte !== BACKSLASH) continue;
    return Array.from(bytes.subarray(from, to), characterOf).join('');
  }
  return latin1Slice(bytes, from, to);
}

function characterOf(byte: number): string {
  if (byte <= 0x20 || byte >= 0x7f) return `\\${String(byte).padStart(3, '0')}`;
  const character = String.fromCharCode(byte);
  return byte === DOT || byte === BACKSLASH ? `\\${character}` : character;
}

/** The labels of a name as text; `.` at its end may be there or not. */
export function labelsOf(name: string): Uint8Array[] {
  if (typeof name !== 'string') throw new FramingError('BAD_VALUE', `a name is a string, got ${shown(name)}`);
  if (name === '.' || name === '') return [];
  const labels: number[][] = [[]];
  for (const [part, digits, escaped, character] of name.matchAll(/\\(\d{3})|\\([^\d])|([\s\S])/g)) {
    if (part === '.') labels.push([]);
    else labels.at(-1)!.push(digits === undefined ? (escaped ?? character)!.charCodeAt(0) : Number(digits));
  }
  if (labels.at(-1)!.length === 0) labels.pop();
  const length = labels.reduce((sum, label) => sum + label.length + 1, 1);
  for (const label of labels) {
    if (label.length > 0 && label.length <= LONGEST_LABEL && label.every((byte) => byte <= 255)) continue;
    throw new FramingError('BAD_VALUE', `a label has 1 to ${LONGEST_LABEL} bytes, in ${shown(name)}`);
  }
  if (length > LONGEST_NAME) throw new FramingError('BAD_VALUE', `a name has at most ${LONGEST_NAME} bytes`);
  return labels.map((label) => Uint8Array.from(label));
}
