/** Descriptors over unix sockets: the arguments of sendDescriptors, and the results of recvDescriptors. */
import { describe, misuse, outOfRange } from '../../errors.js';
import type { Core } from '../../native.js';

/** SCM_MAX_FD of Linux: the most that one message carries. */
const MOST_DESCRIPTORS = 253;

export interface ReceivedDescriptors {
  bytes: number;
  descriptors: number[];
  truncated: boolean;
}

/** The count of descriptors, whether something was cut off, and the descriptors: the verb is over before the next. */
const received = new Int32Array(2 + MOST_DESCRIPTORS);

/** Checks and packs descriptors to be sent. Throws `ERR_REACTOR_ARGUMENT`. */
export function packDescriptors(descriptors: unknown): Int32Array {
  if (!Array.isArray(descriptors))
    throw misuse('ERR_REACTOR_ARGUMENT', `sendDescriptors takes an array of descriptors, got ${describe(descriptors)}`);
  if (descriptors.length === 0 || descriptors.length > MOST_DESCRIPTORS)
    throw outOfRange(
      'ERR_REACTOR_ARGUMENT',
      `sendDescriptors takes 1 to ${MOST_DESCRIPTORS} descriptors, got ${descriptors.length}`,
    );
  for (const descriptor of descriptors)
    if (!Number.isInteger(descriptor) || descriptor < 0 || descriptor > 0x7fffffff)
      throw misuse('ERR_REACTOR_ARGUMENT', `a descriptor is a non-negative integer, got ${describe(descriptor)}`);
  return Int32Array.from(descriptors as number[]);
}

/** What was received, or a negative errno. */
export function receiveDescriptors(core: Core, fd: number, into: Uint8Array): ReceivedDescriptors | number {
  const bytes = core.recvDescriptors(fd, into, received);
  if (bytes < 0) return bytes;
  const [count = 0, truncated = 0] = received;
  return { bytes, descriptors: [...received.subarray(2, 2 + count)], truncated: truncated !== 0 };
}
