/** The memory that a framer holds for unread bytes. */
export function retainedBytes(framer: unknown): number {
  const { block, chunks, tail, ahead } = (
    framer as { input: { block: Uint8Array; chunks: Uint8Array[]; tail?: Uint8Array; ahead: string } }
  ).input;
  const buffers = new Set([block, ...chunks, ...(tail ? [tail] : [])].map((bytes) => bytes.buffer));
  return [...buffers].reduce((sum, buffer) => sum + buffer.byteLength, ahead.length);
}
