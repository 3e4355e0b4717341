/** A view that is made without a check of its arguments. */
export type BufferView = new (memory: ArrayBuffer, offset: number, length: number) => Buffer;
// Buffer.from(memory, offset, length) checks its arguments anew, at three times the cost.
export const View = (Buffer as unknown as Record<symbol, BufferView>)[Symbol.species] as BufferView;
