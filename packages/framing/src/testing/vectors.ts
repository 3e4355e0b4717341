import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FramingErrorCode } from '../index.js';

interface Named {
  readonly name: string;
  readonly codec: string;
  readonly options: Record<string, unknown>;
}

/** What comes in: `chunks`, and what must be made of them. */
export interface DecodeVector extends Named {
  readonly chunks: string[];
  readonly frames: string[];
  readonly error?: FramingErrorCode;
  /** Where the fatal error is. */
  readonly offset?: number;
  readonly errors?: number;
  readonly end?: boolean;
}

/** What goes out. */
export interface EncodeVector extends Named {
  readonly encode: string[];
  readonly bytes?: string;
  readonly error?: FramingErrorCode;
}

/** Of Python's `struct`. */
export interface StructVector extends Named {
  readonly options: { format: string };
  readonly values: unknown[];
  readonly bytes?: string;
  readonly unpacked?: unknown[];
  readonly error?: string;
}

export interface Vectors {
  readonly decode: DecodeVector[];
  readonly encode: EncodeVector[];
  readonly struct: StructVector[];
  /** Lines of no known kind, and keys that nothing checks. */
  readonly unread: string[];
}

/** By kind: the key that only this kind has. */
const KINDS = { decode: 'chunks', encode: 'encode', struct: 'values' } as const;

/** What a vector of each kind may say: any other key would be a promise that nobody checks. */
const KEYS = {
  decode: ['name', 'codec', 'options', 'chunks', 'frames', 'error', 'offset', 'errors', 'end'],
  encode: ['name', 'codec', 'options', 'encode', 'bytes', 'error'],
  struct: ['name', 'codec', 'options', 'values', 'bytes', 'unpacked', 'error'],
};

/** Every line of every file of the package, and of the folder that `FDSET_VECTORS` names; what a line is, its keys tell. */
export function readVectors(
  folders: readonly string[] = [
    fileURLToPath(new URL('../../vectors', import.meta.url)),
    ...(process.env.FDSET_VECTORS ? [process.env.FDSET_VECTORS] : []),
  ],
): Vectors {
  const vectors: Vectors = { decode: [], encode: [], struct: [], unread: [] };
  for (const folder of folders)
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.jsonl')))
      for (const [i, line] of readFileSync(path.join(folder, file), 'utf8').split('\n').entries())
        if (line.trim() !== '') add(vectors, JSON.parse(line) as Record<string, unknown>, `${file}:${i + 1}`);
  return vectors;
}

function add(vectors: Vectors, vector: Record<string, unknown>, place: string): void {
  const kind = (Object.keys(KINDS) as (keyof typeof KINDS)[]).find((each) => KINDS[each] in vector);
  if (kind === undefined) {
    vectors.unread.push(`${place}: none of ${Object.values(KINDS).join(', ')}`);
    return;
  }
  const unknown = Object.keys(vector).filter((key) => !KEYS[kind].includes(key));
  vectors.unread.push(...unknown.map((key) => `${place}: ${key}`));
  vectors[kind].push(vector as never);
}
