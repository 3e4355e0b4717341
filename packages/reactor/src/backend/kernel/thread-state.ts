/** What the reactors of a thread share, because their turns never overlap: the memory that the core was told of. */
import { type Core, REGISTERS } from '../../native.js';
import { ChunkReader } from './chunks.js';
import { KernelOutbox } from './outbox.js';
import { PINNED_RECV, PINNED_SEND, PinnedBuffer } from './pinned.js';

export interface ThreadState {
  readonly registers: Int32Array;
  readonly chunks: ChunkReader;
  readonly outbox: KernelOutbox;
  /** Where `accept` and `recvFrom` leave an IPv4 peer, packed (below 0 for other families), and whether it was cut. */
  readonly packedPeer: Float64Array;
  readonly recvBuffer: PinnedBuffer;
  readonly sendBuffer: PinnedBuffer;
}

/**
 * By its core: one of the thread, and one for each reactor with faults. Held by the realm and not by this module: where a
 * program imports this package and a dependency of it requires it, there are two of this module and one core, which
 * takes its registers once.
 */
const THREADS = Symbol.for('@fdset/reactor: state by core');
const realm = globalThis as { [THREADS]?: WeakMap<Core, ThreadState> };
realm[THREADS] ??= new WeakMap();
const threads = realm[THREADS];

export function threadState(core: Core): ThreadState {
  let thread = threads.get(core);
  if (thread === undefined) {
    const registers = new Int32Array(REGISTERS);
    core.setRegisters(registers);
    thread = {
      registers,
      outbox: new KernelOutbox(core, registers),
      chunks: new ChunkReader(core, registers),
      packedPeer: new Float64Array(2),
      recvBuffer: new PinnedBuffer(core, registers, PINNED_RECV),
      sendBuffer: new PinnedBuffer(core, registers, PINNED_SEND),
    };
    core.setPackedPeer(thread.packedPeer);
    threads.set(core, thread);
  }
  return thread;
}
