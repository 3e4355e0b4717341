/** The memory that a framer holds for unread bytes, and for what its decoder remembers of them. */
export function retainedBytes(framer: unknown): number {
  const { block, chunks, tail, ahead, state } = (
    framer as {
      input: { block: Uint8Array; chunks: Uint8Array[]; tail?: Uint8Array; ahead: string; state: unknown };
    }
  ).input;
  const buffers = new Set([block, ...chunks, ...(tail ? [tail] : [])].map((bytes) => bytes.buffer));
  return [...buffers].reduce((sum, buffer) => sum + buffer.byteLength, ahead.length) + sizeOf(state);
}

/** About what V8 takes: a word for each place, and three for each object. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return 16 + value.length;
  if (typeof value !== 'object' || value === null) return 0;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  const parts = value instanceof Map ? [...value].flat() : Object.values(value);
  return parts.reduce((sum: number, part) => sum + 8 + sizeOf(part), 24);
}
