/**
 * The load generator for machines without a C compiler: the options, shapes and output of load/load.c, over node:net. It costs several times
 * the CPU time of the C client, so that most targets are client-bound, and its results are never mixed with those of the other: they say `"client":"ts"`.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Flood } from './flood.js';
import { Histogram } from './histogram.js';
import { Batch } from './messages.js';
import { cpuSecondsBetween, readMachine, readServer } from './process-stats.js';
import type { LoadOptions, LoadProgress, LoadResult, Outcome, Shape } from './result.js';

/** Connections being opened at a time: below every target's backlog of 511. */
const OPENING = 128;
/** Between two progress lines, and two looks whether enough was answered. */
const REPORT_MS = 250;
/** An arrival that could not connect is tried again after this. */
const RETRY_MS = 10;
/** `idle`: opened, answered and closed before the first reading of memory. */
const WARM_CONNECTIONS = 200;

/** Datagrams are left to load.c: over node:dgram, one call for each, this client would measure itself. */
type OwnShape = Exclude<Shape, 'datagrams'>;

interface Slot {
  index: number;
  socket: Socket | undefined;
  batch: Batch;
  /** When its batch was sent; in `arrivals`, when connect was called. */
  started: number;
  pending: boolean;
  measured: number;
  answered: (() => void) | undefined;
  /** `flood`: when its next message is due; infinite until the flood has begun. */
  due: number;
}

/** Thrown to end the run early, with what the result shall say. */
class Ended extends Error {
  constructor(
    readonly outcome: Outcome,
    reason: string,
  ) {
    super(reason);
  }
}

class LoadClient {
  readonly #options: LoadOptions & { shape: OwnShape };
  readonly #latency = new Histogram();
  readonly #errors: Record<string, number> = {};
  readonly #slots: Slot[] = [];
  readonly #idle: Socket[] = [];
  readonly #begun = performance.now();
  #end!: (reason: Ended) => void;
  /** Rejects when the run must end. */
  readonly #ended: Promise<never>;
  #phase: LoadProgress['phase'] = 'open';
  #open = 0;
  #messages = 0;
  #floodBytes = 0;
  #total = 0;
  #lastProgress = performance.now();

  constructor(options: LoadOptions & { shape: OwnShape }) {
    this.#options = options;
    this.#ended = new Promise((_, reject) => {
      this.#end = reject;
    });
    this.#ended.catch(() => {});
  }

  readonly #shapes: Record<OwnShape, (result: LoadResult) => Promise<void>> = {
    sessions: (result) => this.#sessions(result),
    arrivals: (result) => this.#arrivals(result),
    idle: (result) => this.#idleShape(result),
    flood: (result) => this.#flood(result),
    hold: () => this.#hold(),
  };

  async run(): Promise<LoadResult> {
    const { shape, connections, idle, size, pipeline, frame, warmup, duration, stall, serverPids } = this.#options;
    const result: LoadResult = {
      schema: 2,
      client: 'ts',
      shape,
      outcome: 'ok',
      options: { connections, idle, size, pipeline, frame, warmup, duration },
      startupSeconds: 0,
      elapsedSeconds: 0,
      messages: 0,
      messageBytes: size + (frame ? 4 : 0),
      errors: this.#errors,
      latency: {
        unit: 'us',
        count: 0,
        mean: 0,
        p50: 0,
        p90: 0,
        p99: 0,
        p999: 0,
        max: 0,
        oldestPending: 0,
        histogramNs: [],
      },
      clientCpuSeconds: 0,
      clientShare: 0,
      server: null,
      machine: { busySeconds: 0, stealSeconds: 0, listenOverflows: 0, retransmits: 0 },
    };
    if (serverPids.length > 0)
      result.server = { cpuSeconds: null, pssBytes: 0, pssBytesBefore: 0, processes: 0, threads: 0 };
    const timer = setInterval(() => {
      this.#report();
      if (performance.now() - this.#lastProgress > stall * 1000) {
        const state = `${this.#open} of ${connections} connections open, ${this.#total} messages before`;
        this.#end(new Ended('stalled', `no reply for ${stall} s in phase ${this.#phase}: ${state}`));
      }
    }, REPORT_MS);
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => this.#end(new Ended('interrupted', signal)));
    try {
      await this.#shapes[shape](result);
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      result.outcome = error.outcome;
      result.reason = error.message;
    }
    clearInterval(timer);
    this.#phase = 'done';
    result.messages = this.#messages;
    if (shape === 'flood') result.floodBytes = this.#floodBytes;
    const us = (ns: number) => ns / 1000;
    Object.assign(result.latency, {
      count: this.#latency.count,
      mean: us(this.#latency.mean),
      p50: us(this.#latency.percentile(0.5)),
      p90: us(this.#latency.percentile(0.9)),
      p99: us(this.#latency.percentile(0.99)),
      p999: us(this.#latency.percentile(0.999)),
      histogramNs: this.#latency.entries(),
      max: Math.max(us(this.#latency.most), result.latency.oldestPending),
    });
    return result;
  }

  #report(): void {
    const line: LoadProgress = {
      seconds: (performance.now() - this.#begun) / 1000,
      phase: this.#phase,
      connections: this.#open,
      messages: this.#total,
    };
    process.stderr.write(`${JSON.stringify(line)}\n`);
  }

  #slot(): Slot {
    const { size, pipeline, frame } = this.#options;
    const index = this.#slots.length;
    const batch = new Batch(index, size, pipeline, frame);
    const slot: Slot = {
      index,
      socket: undefined,
      batch,
      started: 0,
      pending: false,
      measured: 0,
      answered: undefined,
      due: Number.POSITIVE_INFINITY,
    };
    this.#slots.push(slot);
    return slot;
  }

  #lose(slot: Slot, code: string): void {
    this.#errors[code] = (this.#errors[code] ?? 0) + 1;
    slot.pending = false;
    if (this.#phase === 'open' || (this.#options.shape !== 'arrivals' && this.#open === 0)) {
      this.#end(new Ended('failed', code === 'EOF' ? 'the server closed the connection before its reply' : code));
    } else if (this.#options.shape === 'arrivals') {
      setTimeout(() => this.#connect(slot), RETRY_MS);
    }
  }

  /** Opens a connection and sends its first message; `slot.answered` is called when that has come back. */
  #connect(slot: Slot): void {
    if (this.#phase === 'done') return;
    const { host, port, shape } = this.#options;
    const begun = performance.now();
    slot.started = begun;
    slot.pending = true;
    const socket = connect({ host, port, noDelay: true, allowHalfOpen: false });
    slot.socket = socket;
    let opened = false;
    socket.once('connect', () => {
      opened = true;
      this.#open++;
      this.#send(slot, 1);
      if (shape === 'arrivals') slot.started = begun;
    });
    socket.on('data', (chunk) => this.#receive(slot, chunk));
    const lost = (code: string) => {
      if (slot.socket !== socket) return;
      slot.socket = undefined;
      socket.destroy();
      if (opened) this.#open--;
      this.#lose(slot, code);
    };
    socket.once('error', (error: NodeJS.ErrnoException) => lost(error.code ?? error.message));
    socket.once('end', () => lost('EOF'));
  }

  #send(slot: Slot, count: number): void {
    slot.started = performance.now();
    slot.pending = true;
    slot.socket?.write(slot.batch.compose(count));
  }

  #receive(slot: Slot, chunk: Buffer): void {
    if (this.#phase === 'done') return;
    const complete = slot.batch.accept(chunk);
    if (typeof complete === 'string') {
      this.#end(new Ended('corrupt', `connection ${slot.index}: ${complete}`));
      return;
    }
    const now = performance.now();
    this.#lastProgress = now;
    if (complete > 0) {
      this.#total += complete;
      if (this.#phase === 'measure') {
        this.#messages += complete;
        slot.measured += complete;
        this.#latency.record((now - slot.started) * 1e6, complete);
      }
    }
    if (!slot.batch.answered) return;
    slot.pending = false;
    slot.answered?.();
    slot.answered = undefined;
    if (this.#phase !== 'warmup' && this.#phase !== 'measure') return;
    if (this.#options.shape === 'sessions') {
      this.#send(slot, this.#options.pipeline);
    } else if (this.#options.shape === 'flood') {
      this.#sendWhenDue(slot);
    } else {
      this.#close(slot);
      this.#connect(slot);
    }
  }

  /**
   * The next message of a quiet connection. One that the server's own lateness has kept back counts from when it was due: else a stall would
   * be one slow message among the many that were never asked (coordinated omission). One that this client sends late counts from now.
   */
  #sendWhenDue(slot: Slot): void {
    const intervalMs = this.#options.interval * 1000;
    const { due } = slot;
    const early = due - performance.now();
    if (early <= 0) {
      slot.due += intervalMs;
      this.#send(slot, 1);
      slot.started = due;
      return;
    }
    setTimeout(() => {
      if (slot.socket === undefined || this.#phase === 'done') return;
      slot.due = performance.now() + intervalMs;
      this.#send(slot, 1);
    }, early);
  }

  #close(slot: Slot): void {
    const socket = slot.socket;
    slot.socket = undefined;
    slot.pending = false;
    if (!socket) return;
    this.#open--;
    // All that was sent has come back, so this is a FIN, not a reset.
    socket.destroy();
  }

  /** Opens one connection for each slot, at most OPENING at a time, and waits until each was answered once. */
  async #openAndAnswer(slots: readonly Slot[]): Promise<void> {
    const waiting = [...slots];
    const open = async (): Promise<void> => {
      for (let slot = waiting.shift(); slot; slot = waiting.shift()) {
        const current = slot;
        const answered = new Promise<void>((resolve) => {
          current.answered = resolve;
        });
        this.#connect(current);
        await Promise.race([answered, this.#ended]);
      }
    };
    await Promise.all(Array.from({ length: Math.min(OPENING, slots.length) }, open));
  }

  /** Connections that are never used. Every group is followed by one that is answered: the server has then accepted all before it. */
  async #openIdle(count: number): Promise<void> {
    const { host, port } = this.#options;
    const probe = this.#slot();
    while (this.#idle.length < count) {
      const group = Math.min(OPENING, count - this.#idle.length);
      const opened = Array.from({ length: group }, () => {
        const socket = connect({ host, port });
        this.#idle.push(socket);
        return new Promise<void>((resolve) => {
          socket.once('connect', resolve);
          socket.once('end', () => this.#end(new Ended('failed', 'the server closed an idle connection')));
          socket.resume();
          socket.once('error', (error: NodeJS.ErrnoException) => {
            this.#end(new Ended('failed', `idle connection: ${error.code ?? error.message}`));
          });
        });
      });
      await Promise.race([Promise.all(opened), this.#ended]);
      await this.#openAndAnswer([probe]);
      this.#close(probe);
    }
    this.#slots.pop();
  }

  async #sessions(result: LoadResult): Promise<void> {
    const begun = performance.now();
    const slots = Array.from({ length: this.#options.connections }, () => this.#slot());
    await this.#openAndAnswer(slots);
    result.startupSeconds = (performance.now() - begun) / 1000;
    if (this.#options.idle > 0) await this.#openIdle(this.#options.idle);
    await this.#measure(result, () => {
      for (const slot of slots) this.#send(slot, this.#options.pipeline);
    });
    this.#account(result, slots);
  }

  /** What each connection got, and whether all are still there. */
  #account(result: LoadResult, slots: readonly Slot[]): void {
    const counts = slots.map((slot) => slot.measured);
    result.perConnection = { least: Math.min(...counts), most: Math.max(...counts) };
    const lost = slots.filter((slot) => slot.socket === undefined).length;
    if (lost > 0) throw new Ended('failed', `the server lost ${lost} of ${slots.length} sessions`);
  }

  /** Opens the connection that floods; settles when the first of it came back. */
  #openFlood(address: { host: string; port: number }): Promise<void> {
    const fail = (outcome: Outcome, reason: string) =>
      this.#end(new Ended(outcome, `the connection that floods: ${reason}`));
    return new Promise((resolve) => {
      new Flood(address, {
        onEcho: (bytes) => {
          resolve();
          if (this.#phase === 'measure') this.#floodBytes += bytes;
        },
        onLost: (code) => {
          if (this.#phase === 'done') return;
          this.#errors[code] = (this.#errors[code] ?? 0) + 1;
          fail('failed', code === 'EOF' ? 'closed by the server' : code);
        },
        onCorrupt: (reason) => fail('corrupt', reason),
      });
    });
  }

  async #flood(result: LoadResult): Promise<void> {
    const { host, port, connections, interval } = this.#options;
    const begun = performance.now();
    const slots = Array.from({ length: connections }, () => this.#slot());
    await this.#openAndAnswer(slots);
    await Promise.race([this.#openFlood({ host, port }), this.#ended]);
    result.startupSeconds = (performance.now() - begun) / 1000;
    await this.#measure(result, () => {
      for (const slot of slots) {
        slot.due = performance.now() + ((slot.index + 1) * interval * 1000) / connections;
        this.#sendWhenDue(slot);
      }
    });
    if (this.#floodBytes === 0) throw new Ended('stalled', 'nothing came back to the connection that floods');
    this.#account(result, slots);
  }

  async #arrivals(result: LoadResult): Promise<void> {
    const begun = performance.now();
    const slots = Array.from({ length: this.#options.connections }, () => this.#slot());
    await this.#openAndAnswer(slots.slice(0, 1));
    this.#close(slots[0]!);
    result.startupSeconds = (performance.now() - begun) / 1000;
    await this.#measure(result, () => {
      for (const slot of slots) this.#connect(slot);
    });
  }

  /** Warm-up, then the measured time. */
  async #measure(result: LoadResult, start: () => void): Promise<void> {
    const { warmup, duration, atLeast, longest, serverPids } = this.#options;
    this.#phase = 'warmup';
    start();
    await Promise.race([sleep(warmup * 1000), this.#ended]);
    const machine = readMachine();
    const server = readServer(serverPids, false);
    const cpu = process.cpuUsage();
    const begun = performance.now();
    this.#phase = 'measure';
    await Promise.race([sleep(duration * 1000), this.#ended]);
    while (this.#messages < atLeast && performance.now() - begun < longest * 1000)
      await Promise.race([sleep(REPORT_MS), this.#ended]);
    const ended = performance.now();
    this.#phase = 'done';
    const used = process.cpuUsage(cpu);
    const after = readServer(serverPids, true);
    const machineAfter = readMachine();
    result.elapsedSeconds = (ended - begun) / 1000;
    result.clientCpuSeconds = (used.user + used.system) / 1e6;
    result.clientShare = result.clientCpuSeconds / result.elapsedSeconds;
    result.machine.busySeconds = machineAfter.busySeconds - machine.busySeconds;
    result.machine.stealSeconds = machineAfter.stealSeconds - machine.stealSeconds;
    if (result.server && server && after) {
      result.server.cpuSeconds = cpuSecondsBetween(server, after);
      this.#describe(result.server, after);
    }
    const waiting = this.#slots.filter((slot) => slot.pending).map((slot) => (ended - slot.started) * 1000);
    result.latency.oldestPending = Math.max(0, ...waiting);
    if (this.#messages === 0) {
      throw new Ended(
        'stalled',
        `nothing was answered in the ${result.elapsedSeconds.toPrecision(2)} s that were measured`,
      );
    }
  }

  #describe(into: NonNullable<LoadResult['server']>, sample: NonNullable<ReturnType<typeof readServer>>): void {
    into.pssBytes = sample.pssBytes;
    into.processes = sample.processes.size;
    into.threads = [...sample.processes.values()].reduce((sum, { threads }) => sum + threads.size, 0);
  }

  async #rest(): Promise<void> {
    const { collect, serverPids, settle } = this.#options;
    if (collect) for (const pid of serverPids) process.kill(pid, 'SIGUSR2');
    this.#lastProgress = performance.now() + settle * 1000;
    await Promise.race([sleep(settle * 1000), this.#ended]);
  }

  /** Says when all are open; then it is their holding that counts, until a signal comes. */
  async #hold(): Promise<void> {
    await this.#openIdle(this.#options.connections);
    this.#lastProgress = Number.POSITIVE_INFINITY;
    process.stdout.write(`held ${this.#options.connections}\n`);
    await this.#ended.catch((error: Ended) => {
      if (error.outcome !== 'interrupted') throw error;
    });
  }

  async #idleShape(result: LoadResult): Promise<void> {
    const { connections, serverPids } = this.#options;
    const warm = Array.from({ length: Math.min(WARM_CONNECTIONS, connections) }, () => this.#slot());
    await this.#openAndAnswer(warm);
    for (const slot of warm) this.#close(slot);
    await this.#rest();
    const before = readServer(serverPids, true);
    const begun = performance.now();
    await this.#openIdle(connections);
    result.startupSeconds = (performance.now() - begun) / 1000;
    await this.#rest();
    const after = readServer(serverPids, true);
    if (result.server && before && after) {
      this.#describe(result.server, after);
      result.server.pssBytesBefore = before.pssBytes;
      result.server.cpuSeconds = cpuSecondsBetween(before, after);
    }
  }
}

function parseLoadArguments(args: string[]): LoadOptions & { shape: OwnShape } {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      host: text,
      port: text,
      connections: text,
      idle: text,
      size: text,
      pipeline: text,
      frame: text,
      warmup: text,
      duration: text,
      settle: text,
      stall: text,
      'at-least': text,
      longest: text,
      interval: text,
      collect: { type: 'boolean' },
      'server-pid': { type: 'string', multiple: true },
    },
  });
  const [shape] = positionals;
  if (shape !== 'sessions' && shape !== 'arrivals' && shape !== 'idle' && shape !== 'flood' && shape !== 'hold')
    throw new TypeError(
      'the first argument is one of sessions, arrivals, idle, flood, hold; datagrams need load/load.c',
    );
  const number = (value: string | undefined, standard: number) => (value === undefined ? standard : Number(value));
  return {
    shape,
    host: values.host ?? '127.0.0.1',
    port: number(values.port, 0),
    connections: number(values.connections, 50),
    idle: number(values.idle, 0),
    size: number(values.size, 64),
    pipeline: number(values.pipeline, 1),
    frame: values.frame === 'u32' ? 'u32' : null,
    warmup: number(values.warmup, 0.5),
    duration: number(values.duration, 1),
    interval: number(values.interval, 0.003),
    atLeast: number(values['at-least'], 0),
    longest: Math.max(number(values.longest, 0), number(values.duration, 1)),
    settle: number(values.settle, 1),
    stall: number(values.stall, 5),
    serverPids: (values['server-pid'] ?? []).map(Number),
    collect: values.collect ?? false,
  };
}

// Like load.c, it never outlives the harness, which holds the other end of its standard input.
process.stdin.on('end', () => process.exit(2)).on('error', () => process.exit(2));
process.stdin.resume();
const result = await new LoadClient(parseLoadArguments(process.argv.slice(2))).run();
const exitCodes: Record<Outcome, number> = { ok: 0, failed: 2, interrupted: 2, corrupt: 3, stalled: 4 };
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(exitCodes[result.outcome]));
