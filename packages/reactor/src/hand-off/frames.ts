/**
 * What travels over a unix stream socket in a hand-off, both ways:
 *
 *   u32 what   'FDSO' an offer, with one descriptor (SCM_RIGHTS) at its first byte; 'FDSA' taken; 'FDSR' refused
 *   u32 id     of the offer, chosen by its giver
 *   u32        length of the JSON: an offer's data (0 = undefined), or a refusal's { message, code? }
 *   u32        length of an offer's unread bytes
 *
 * in network byte order, then the JSON (UTF-8), then the unread bytes.
 */

export const OFFER = 0x4644534f;
export const TAKEN = 0x46445341;
export const REFUSED = 0x46445352;

const HEADER_BYTES = 16;
/** More than this in one frame is a mistake, or malice. */
export const MOST_FRAME_BYTES = 64 * 1024 * 1024;

export interface Frame {
  readonly what: number;
  readonly id: number;
  readonly json: Buffer;
  readonly unread: Buffer;
}

export function encodeFrame(what: number, id: number, json?: string, unread?: Uint8Array): Buffer {
  const text = Buffer.from(json ?? '');
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(what, 0);
  header.writeUInt32BE(id, 4);
  header.writeUInt32BE(text.length, 8);
  header.writeUInt32BE(unread?.length ?? 0, 12);
  return Buffer.concat([header, text, ...(unread === undefined ? [] : [unread])]);
}

/** Cuts a stream into frames. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** The next whole frame, or `null`. Throws an Error for what is none. */
  next(): Frame | null {
    if (this.#length < HEADER_BYTES) return null;
    if ((this.#chunks[0] as Buffer).length < HEADER_BYTES) this.#join();
    const header = this.#chunks[0] as Buffer;
    const what = header.readUInt32BE(0);
    const id = header.readUInt32BE(4);
    const jsonBytes = header.readUInt32BE(8);
    const length = HEADER_BYTES + jsonBytes + header.readUInt32BE(12);
    if (what !== OFFER && what !== TAKEN && what !== REFUSED)
      throw new Error(`0x${what.toString(16)} begins no frame of a hand-off`);
    if (length > MOST_FRAME_BYTES) throw new Error(`a frame of ${length} bytes is longer than ${MOST_FRAME_BYTES}`);
    if (this.#length < length) return null;
    if (header.length < length) this.#join();
    const bytes = this.#chunks[0] as Buffer;
    this.#chunks[0] = bytes.subarray(length);
    this.#length -= length;
    const json = bytes.subarray(HEADER_BYTES, HEADER_BYTES + jsonBytes);
    return { what, id, json, unread: bytes.subarray(HEADER_BYTES + jsonBytes, length) };
  }

  #join(): void {
    this.#chunks = [Buffer.concat(this.#chunks)];
  }
}
