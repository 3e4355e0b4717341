/** Many datagrams in memory that is used again and again: they cross into the system by one call. */
import { isUint8Array } from 'node:util/types';
import { type Address, checkAddress } from './address.js';
import { describe, misuse, outOfRange } from './errors.js';

/** UIO_MAXIOV of Linux: the most that recvmmsg(2) and sendmmsg(2) look at. */
const MOST_DATAGRAMS = 1024;
const MOST_BYTES = 2 ** 30;

/** `sizeof(struct sockaddr_storage)`, on every system. */
const ADDRESS_BYTES = 128;
/** The words of a header, as the native core has them: the payload's length, the raw address's length, whether it was cut. */
const LENGTH = 0;
const ADDRESS_LENGTH = 1;
const TRUNCATED = 2;
export const HEADER_WORDS = 3;

/** In the place of a raw address's length: there is an {@link Address}, and the raw form is still to be made. */
const NOT_ENCODED = -1;

/** No address: of a sender without a name, or of a datagram for the socket's peer. */
const UNNAMED: Address = Object.freeze({ path: '' });

/** The object of a raw address; `undefined` for an unnamed one. */
export type AddressDecoder = (raw: Uint8Array, length: number) => object | number | undefined;

/** What a backend sees of a batch. */
export class DatagramMemory {
  readonly capacity: number;
  /** Room for each payload. */
  readonly stride: number;
  readonly payloads: Buffer;
  readonly addresses: Uint8Array;
  readonly headers: Int32Array;
  count = 0;
  /** What was given as an object, or made into one since it was asked for. */
  readonly #objects: (Address | undefined)[] = [];
  #decode: AddressDecoder | null = null;

  constructor(capacity: number, stride: number) {
    this.capacity = capacity;
    this.stride = stride;
    this.payloads = Buffer.allocUnsafeSlow(capacity * stride);
    this.addresses = new Uint8Array(capacity * ADDRESS_BYTES);
    this.headers = new Int32Array(capacity * HEADER_WORDS);
  }

  /** The place of the `index`th payload, whole. */
  slot(index: number): Buffer {
    return this.payloads.subarray(index * this.stride, (index + 1) * this.stride);
  }

  payload(index: number): Buffer {
    const from = index * this.stride;
    return this.payloads.subarray(from, from + this.#header(index, LENGTH));
  }

  truncated(index: number): boolean {
    return this.#header(index, TRUNCATED) !== 0;
  }

  /** `undefined` for none. */
  address(index: number): Address | undefined {
    const known = this.#objects[index];
    const length = this.#header(index, ADDRESS_LENGTH);
    if (known !== undefined || length <= 0) return known;
    const decoded = this.#decode?.(this.#raw(index), length) as Address | undefined;
    this.#objects[index] = decoded;
    return decoded;
  }

  /** How many bytes the datagrams from `start` to `end` have together. */
  bytes(start: number, end: number): number {
    let total = 0;
    for (let i = start; i < end; i += 1) total += this.#header(i, LENGTH);
    return total;
  }

  /** `count` datagrams were written from the beginning on, with raw addresses that `decode` understands. */
  received(count: number, decode: AddressDecoder): void {
    this.count = count;
    this.#objects.length = 0;
    this.#decode = decode;
  }

  /** One datagram behind the others; its payload stands in its slot already. */
  append(bytes: number, address: Address | undefined, truncated: boolean): void {
    const at = this.count * HEADER_WORDS;
    this.headers[at + LENGTH] = bytes;
    this.headers[at + ADDRESS_LENGTH] = address === undefined ? 0 : NOT_ENCODED;
    this.headers[at + TRUNCATED] = truncated ? 1 : 0;
    if (address !== undefined) this.#objects[this.count] = address;
    this.count += 1;
  }

  clear(): void {
    this.count = 0;
    this.#objects.length = 0;
  }

  /** Makes the raw addresses that are missing. `encode` writes one, and returns its length. */
  encode(start: number, end: number, encode: (into: Uint8Array, address: Address) => number): void {
    // Of what was received, nothing is missing.
    if (this.#objects.length === 0) return;
    for (let i = start; i < end; i += 1)
      if (this.#header(i, ADDRESS_LENGTH) === NOT_ENCODED)
        this.headers[i * HEADER_WORDS + ADDRESS_LENGTH] = encode(this.#raw(i), this.#objects[i] as Address);
  }

  #raw(index: number): Uint8Array {
    return this.addresses.subarray(index * ADDRESS_BYTES, (index + 1) * ADDRESS_BYTES);
  }

  #header(index: number, word: number): number {
    return this.headers[index * HEADER_WORDS + word] as number;
  }
}

let reach: (batch: unknown) => DatagramMemory | undefined;

/**
 * A preallocated batch of datagrams for `recvBatch` and `sendBatch`: one system call for all of them where the backend
 * has the capability `datagramBatch`, one for each elsewhere. A batch may be used over any socket, and again and again.
 * Addresses stay as the system gave them until {@link address} asks for one: a received batch is sent back as it is.
 */
export class DatagramBatch {
  readonly #memory: DatagramMemory;

  static {
    reach = (batch) =>
      typeof batch === 'object' && batch !== null && #memory in batch ? (batch as DatagramBatch).#memory : undefined;
  }

  /**
   * `capacity`: datagrams, 1 to 1024. `maxBytes`: the room for each payload; a longer one is cut when it is received.
   * Throws `ERR_REACTOR_ARGUMENT`.
   */
  constructor(capacity: number, maxBytes: number) {
    checkCount(capacity, 'capacity', MOST_DATAGRAMS);
    checkCount(maxBytes, 'maxBytes', Math.floor(MOST_BYTES / capacity));
    this.#memory = new DatagramMemory(capacity, maxBytes);
  }

  /** How many datagrams it holds. */
  get length(): number {
    return this.#memory.count;
  }

  get capacity(): number {
    return this.#memory.capacity;
  }

  get maxBytes(): number {
    return this.#memory.stride;
  }

  /** The bytes of a datagram: a view, valid until the batch is received into, cleared or added to. */
  payload(i: number): Buffer {
    return this.#memory.payload(this.#index(i));
  }

  /** Whom a datagram came from, or goes to. `{ path: '' }` for a unix sender without a name, and for one added without `to`. */
  address(i: number): Address {
    return this.#memory.address(this.#index(i)) ?? UNNAMED;
  }

  /** Whether a received datagram was longer than `maxBytes`: the rest of it is lost. */
  truncated(i: number): boolean {
    return this.#memory.truncated(this.#index(i));
  }

  /** Empties it. Its memory stays. */
  clear(): void {
    this.#memory.clear();
  }

  /**
   * Copies a datagram behind the others and returns its index. Without `to` it goes to the peer that the socket is
   * connected to. A batch that is full, or a payload beyond `maxBytes`, is a RangeError (`ERR_REACTOR_ARGUMENT`,
   * `ERR_REACTOR_BUFFER`).
   */
  add(payload: Uint8Array, to?: Address): number {
    const memory = this.#memory;
    if (!isUint8Array(payload))
      throw misuse('ERR_REACTOR_BUFFER', `add takes a Buffer or Uint8Array, got ${describe(payload)}`);
    if (payload.length > memory.stride)
      throw outOfRange(
        'ERR_REACTOR_BUFFER',
        `add: a payload of ${payload.length} bytes does not fit into maxBytes (${memory.stride})`,
      );
    if (memory.count === memory.capacity)
      throw outOfRange('ERR_REACTOR_ARGUMENT', `add: the batch is full, with ${memory.capacity} datagrams`);
    const address = to === undefined ? undefined : { ...checkAddress(to) };
    memory.slot(memory.count).set(payload);
    memory.append(payload.length, address, false);
    return memory.count - 1;
  }

  #index(i: number): number {
    if (!Number.isInteger(i) || i < 0 || i >= this.#memory.count)
      throw outOfRange(
        'ERR_REACTOR_ARGUMENT',
        `a datagram's index must be an integer from 0 to below length (${this.#memory.count}), got ${describe(i)}`,
      );
    return i;
  }
}

/** The memory of a batch. Throws `ERR_REACTOR_ARGUMENT` for what is none, `ERR_REACTOR_BUFFER` where it has gone. */
export function memoryOf(batch: unknown, verb: string): DatagramMemory {
  const memory = reach(batch);
  if (memory === undefined)
    throw misuse('ERR_REACTOR_ARGUMENT', `${verb} takes a DatagramBatch, got ${describe(batch)}`);
  if (memory.payloads.byteLength === 0)
    throw misuse('ERR_REACTOR_BUFFER', `${verb}: the batch's memory was transferred to another thread`);
  return memory;
}

/** Checks which datagrams are to be sent: `0 <= start <= end <= length`. */
export function checkSpan(memory: DatagramMemory, start: unknown, end: unknown): void {
  for (const [name, value] of [
    ['start', start],
    ['end', end],
  ] as const)
    if (typeof value !== 'number')
      throw misuse('ERR_REACTOR_ARGUMENT', `sendBatch: ${name} must be a number, got ${describe(value)}`);
    else if (!Number.isInteger(value) || value < 0 || value > memory.count)
      throw outOfRange(
        'ERR_REACTOR_ARGUMENT',
        `sendBatch: ${name} must be an integer from 0 to length (${memory.count}), got ${value}`,
      );
  if ((start as number) > (end as number))
    throw outOfRange('ERR_REACTOR_ARGUMENT', `sendBatch: start ${start} lies behind end ${end}`);
}

function checkCount(value: unknown, name: string, most: number): void {
  if (typeof value !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `${name} must be a number, got ${describe(value)}`);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw outOfRange('ERR_REACTOR_ARGUMENT', `${name} must be an integer from 1 to ${most}, got ${value}`);
}
