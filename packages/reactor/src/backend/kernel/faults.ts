/**
 * A native core whose system calls fail as a {@link FaultPlan} says: it decides, then calls the real one. A reactor without
 * faults has the real core, and pays nothing for this.
 */
import { constants as os } from 'node:os';
import type { Core } from '../../native.js';
import { type FaultOptions, FaultPlan, type FaultyCall, NO_FAULT, SHORT } from './fault-plan.js';
import { FaultyTransfer } from './faulty-transfer.js';

const { EAGAIN, EINPROGRESS, EINTR } = os.errno;

/** The core of one reactor, with its faults. */
export function faultyCore(core: Core, options: FaultOptions): Core {
  const plan = new FaultPlan(options);
  const transfer = new FaultyTransfer(core, plan);

  /** `verb`, whose system call is `call`; `fdAt` is the place of the descriptor among its arguments, -1 for none. */
  const failing =
    <A extends unknown[]>(call: FaultyCall, verb: (...values: A) => number, fdAt = 0) =>
    (...values: A): number => {
      const fault = plan.next(call, fdAt < 0 ? -1 : (values[fdAt] as number));
      // The core repeats what was interrupted.
      return fault === NO_FAULT || fault === -EINTR ? verb(...values) : fault;
    };

  /** The wait of a blocking verb. Its EINTR is that of a thread which was woken. */
  const waitFails = (): number | undefined => {
    const fault = plan.next('poll', -1);
    return fault === NO_FAULT ? undefined : fault;
  };

  return {
    ...core,
    socket: failing('socket', core.socket, -1),
    socketPair: failing('socketpair', core.socketPair, -1),
    bind: failing('bind', core.bind),
    listen: failing('listen', core.listen),
    accept: failing('accept', (fd: number) => transfer.accept(fd)),
    setPackedPeer: (into) => transfer.setPackedPeer(into),
    connect(fd, kind, host, port, flow, scope) {
      const fault = plan.next('connect', fd);
      if (fault !== NO_FAULT && fault !== -EINTR) return fault;
      const result = core.connect(fd, kind, host, port, flow, scope);
      // An interrupted connect goes on by itself: connect(2).
      return fault === -EINTR && result === 0 ? -EINPROGRESS : result;
    },
    finishConnect: failing('finishConnect', core.finishConnect),
    setOption: failing('setsockopt', core.setOption),
    setRawOption: failing('setsockopt', core.setRawOption),
    shutdown: failing('shutdown', core.shutdown),

    recv: (fd, into, offset = 0, length = into.length, flags = 0) => transfer.recv(fd, into, offset, length, flags),
    send: (fd, from, offset = 0, length = from.length, flags = 0) => transfer.send(fd, from, offset, length, flags),
    sendv: (fd, chunks, offset) => transfer.sendv(fd, chunks, offset),
    recvFrom: (fd, into, flags) => transfer.recvFrom(fd, into, flags),
    sendTo: (...call) => transfer.sendTo(...call),
    recvBatch: (...call) => transfer.recvBatch(...call),
    sendBatch: (...call) => transfer.sendBatch(...call),
    sendDescriptors: (fd, descriptors, payload) => transfer.sendDescriptors(fd, descriptors, payload),
    recvDescriptors: (fd, into, descriptors) => transfer.recvDescriptors(fd, into, descriptors),
    setRegisters: (registers) => transfer.setRegisters(registers),
    pin: (buffer, which) => transfer.pin(buffer, which),
    recvPinned: () => transfer.recvPinned(),
    sendPinned: () => transfer.sendPinned(),
    sendChunk: (chunk) => transfer.sendChunk(chunk),
    receive: () => transfer.receive(),
    borrow: (fd) => transfer.borrow(fd),
    setBlock: (block) => transfer.setBlock(block),
    setPool: (pool, offset) => transfer.setPool(pool, offset),
    setOutbox: (bytes, sends) => transfer.setOutbox(bytes, sends),
    sendAll: () => transfer.sendAll(),

    openDemultiplexer(turn, triples, received) {
      transfer.setTriples(triples, received);
      const fault = plan.next('epoll_create1', -1);
      return fault === NO_FAULT ? core.openDemultiplexer(turn, triples, received) : fault;
    },
    add: (id, fd, slot, generation, interest) => {
      const fault = plan.next('epoll_ctl', fd);
      if (fault !== NO_FAULT) return fault;
      transfer.noteAhead(fd, slot, generation, interest);
      return core.add(id, fd, slot, generation, interest);
    },
    watch: (id, fd, slot, generation, interest) => {
      // A removal needs no memory.
      const fault = interest === 0 ? NO_FAULT : plan.next('epoll_ctl', fd);
      if (fault !== NO_FAULT) return fault;
      transfer.noteAhead(fd, slot, generation, interest);
      return core.watch(id, fd, slot, generation, interest);
    },
    wait(id, capacity) {
      const fault = plan.next('epoll_wait', -1);
      return core.wait(id, fault === SHORT ? plan.part('epoll_wait', capacity) : capacity);
    },
    receiveAhead: () => transfer.receiveAhead(),

    recvSync(fd, into, offset, length, timeoutMs) {
      const fault = plan.next('recv', fd);
      if (fault === SHORT) return core.recvSync(fd, into, offset, transfer.part('recv', fd, length), timeoutMs);
      // It waits and tries again by itself.
      if (fault === NO_FAULT || fault === -EAGAIN || fault === -EINTR)
        return waitFails() ?? core.recvSync(fd, into, offset, length, timeoutMs);
      return transfer.broken(fd, fault);
    },
    sendAllSync(fd, from, timeoutMs) {
      const fault = plan.next('send', fd);
      if (fault === NO_FAULT || fault === SHORT || fault === -EAGAIN || fault === -EINTR)
        return waitFails() ?? core.sendAllSync(fd, from, timeoutMs);
      return transfer.broken(fd, fault);
    },
    waitSync: (fd, interest, timeoutMs) => waitFails() ?? core.waitSync(fd, interest, timeoutMs),
    look(fds, masks, count, timeoutMs) {
      const fault = plan.next('poll', -1);
      // A look that does not wait is repeated.
      const fails = fault !== NO_FAULT && (fault !== -EINTR || timeoutMs !== 0);
      return fails ? fault : core.look(fds, masks, count, timeoutMs);
    },
  };
}
