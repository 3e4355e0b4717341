/** The contents of messages of the TypeScript load client: they differ by connection, place and sequence number, so that a mix-up is found. */

/** Every so many bytes of a payload, eight come anew with each message. */
const STRIDE = 64;

/** A good mix of 32 bits (the finalizer of MurmurHash3). */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

export class Batch {
  /** All messages of the batch, as they are sent; replies are compared with it. */
  readonly bytes: Buffer;
  readonly messageBytes: number;
  /** Messages composed so far. */
  sequence = 0;
  /** Bytes of the current batch. */
  length = 0;
  received = 0;
  readonly #key: number;
  readonly #prefix: number;

  constructor(key: number, size: number, pipeline: number, frame: 'u32' | null) {
    this.#key = mix(key + 0x9e3779b9);
    this.#prefix = frame ? 4 : 0;
    this.messageBytes = this.#prefix + size;
    this.bytes = Buffer.allocUnsafe(this.messageBytes * pipeline);
    for (let at = 0; at < this.bytes.length; at++) this.bytes[at] = mix(this.#key + at);
    if (frame) for (let i = 0; i < pipeline; i++) this.bytes.writeUInt32BE(size, i * this.messageBytes);
  }

  /** Makes the next batch and returns the bytes to send. They are overwritten by the next call. */
  compose(count: number): Buffer {
    for (let i = 0; i < count; i++) {
      const seed = mix(this.#key ^ Math.imul(++this.sequence, 0x9e3779b1));
      const end = (i + 1) * this.messageBytes;
      for (let at = i * this.messageBytes + this.#prefix; at < end; at += STRIDE) {
        const stamp = mix(seed + at);
        for (let byte = 0; byte < 8 && at + byte < end; byte++)
          this.bytes[at + byte] = (stamp >>> ((byte & 3) * 8)) ^ (byte > 3 ? 0xa5 : 0);
      }
    }
    this.length = count * this.messageBytes;
    this.received = 0;
    return this.bytes.subarray(0, this.length);
  }

  /** Takes bytes that came back. Returns how many messages they complete, or what is wrong with them. */
  accept(chunk: Buffer): number | string {
    const end = this.received + chunk.length;
    if (end > this.length) return `${end} bytes came back where ${this.length} were sent`;
    if (chunk.compare(this.bytes, this.received, end) !== 0) {
      const at = chunk.findIndex((byte, i) => byte !== this.bytes[this.received + i]);
      const place = this.received + at;
      const hex = (byte: number | undefined) => `0x${(byte ?? 0).toString(16).padStart(2, '0')}`;
      const message = this.sequence - this.length / this.messageBytes + Math.floor(place / this.messageBytes) + 1;
      return `byte ${place % this.messageBytes} of message ${message} came back as ${hex(chunk[at])} where ${hex(this.bytes[place])} was sent`;
    }
    const complete = Math.floor(end / this.messageBytes) - Math.floor(this.received / this.messageBytes);
    this.received = end;
    return complete;
  }

  get answered(): boolean {
    return this.received === this.length;
  }
}
