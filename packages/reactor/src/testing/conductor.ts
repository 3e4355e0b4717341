/**
 * Who starts the turns and moves the clock. By itself nothing happens: somebody has to want something.
 *
 *   what is due in the network happens ──▶ one turn of one reactor that has one to run ──▶ promises settle ──▶ again
 *        ▲                                                     │ none has
 *        │                                                     ▼
 *        └── the clock jumps to the next thing to come ◀── goals that are reached are told
 */
import { clearImmediate, clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from 'node:timers';
import type { Clock } from './clock.js';
import type { Conductor, SimulatedDriver } from './driver.js';
import { SimulationError } from './errors.js';
import type { Timeline } from './timeline.js';

/** Turns in which nothing was moved, at one moment: after so many, some handler does not receive what it is told of. */
const MOST_IDLE_TURNS = 10_000;
/** Rounds of Node's loop that a program gets to go on by itself, before it is called stuck. */
const MOST_STUCK_ROUNDS = 100;
/** Steps between two looks of Node at the world. */
const STEPS_PER_ROUND = 16;
const LONGEST_TIMER_MS = 0x7fffffff;

interface Goal {
  /** The virtual time at which it is reached, or given up. */
  readonly until: number;
  /** Reached as soon as nothing is under way. */
  readonly idle: boolean;
  /** Reached by itself only: a program. */
  readonly program: boolean;
  reach(): void;
  fail(error: Error): void;
}

export class NetworkConductor implements Conductor {
  readonly #clock: Clock;
  readonly #timeline: Timeline;
  #drivers: SimulatedDriver[] = [];
  #goals: Goal[] = [];
  /** Steps that are still to come before Node looks at the world again, and whether they are to be left out. */
  #stepsLeft = 0;
  #roundOver = false;
  /** Where the search for the next turn begins: each reactor in its turn. */
  #next = 0;
  #idleTurns = 0;
  #stuckRounds = 0;
  #closed = false;

  // While the real time is followed.
  readonly #armed = new Map<SimulatedDriver, NodeJS.Immediate>();
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Number.POSITIVE_INFINITY;
  #anchor: NodeJS.Timeout | null = null;

  constructor(clock: Clock, timeline: Timeline) {
    this.#clock = clock;
    this.#timeline = timeline;
  }

  add(driver: SimulatedDriver): void {
    this.#drivers.push(driver);
  }

  remove(driver: SimulatedDriver): void {
    this.#drivers = this.#drivers.filter((other) => other !== driver);
    this.#next = 0;
  }

  now(): number {
    return this.#clock.now();
  }

  /** Something was received, sent or otherwise moved. */
  moved(): void {
    this.#idleTurns = 0;
  }

  stir(): void {
    if (this.#clock.follows) this.#follow();
  }

  // --- goals ---------------------------------------------------------------------------------------------------------

  /** Resolves when the clock has come to `time` and all that was due by then is done. */
  reachTime(time: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#want({ until: time, idle: false, program: false, reach: resolve, fail: reject });
    });
  }

  /** Resolves when no turn is wanted and nothing is under way. */
  reachIdle(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#want({
        until: Number.POSITIVE_INFINITY,
        idle: true,
        program: false,
        reach: resolve,
        fail: reject,
      });
    });
  }

  /** Goes on until `program` has settled, and settles alike; rejects where it cannot settle any more. */
  reachEnd<T>(program: Promise<T>, limitMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const goal: Goal = {
        until: this.#clock.now() + limitMs,
        idle: false,
        program: true,
        reach: () =>
          reject(new SimulationError('ERR_SIMULATION_LATE', `the program is not over after ${limitMs} virtual ms`)),
        fail: reject,
      };
      const leave = (settle: () => void) => {
        this.#goals = this.#goals.filter((other) => other !== goal);
        settle();
      };
      program.then(
        (value) => leave(() => resolve(value)),
        (error) => leave(() => reject(error)),
      );
      this.#want(goal);
    });
  }

  #want(goal: Goal): void {
    if (this.#closed) {
      goal.fail(closedError());
      return;
    }
    this.#goals.push(goal);
    this.#idleTurns = this.#stuckRounds = 0;
    this.#spin();
  }

  /**
   * Each step at the top of the stack, and after all promises that the one before has settled: between two immediates Node
   * settles them, and it does not look at the world, which costs more than the step.
   */
  #spin(): void {
    if (this.#stepsLeft > 0 || this.#goals.length === 0) return;
    this.#roundOver = false;
    if (this.#clock.follows) {
      this.#stepsLeft = 1;
      setTimeout(this.#onStep, 1);
      return;
    }
    this.#stepsLeft = STEPS_PER_ROUND;
    for (let i = 0; i < STEPS_PER_ROUND; i += 1) setImmediate(this.#onStep);
  }

  readonly #onStep = (): void => {
    this.#stepsLeft -= 1;
    if (!this.#roundOver && this.#goals.length > 0)
      try {
        this.#step();
      } catch (error) {
        this.#failAll(error as Error);
      }
    this.#spin();
  };

  #step(): void {
    for (;;) {
      const now = this.#clock.now();
      this.#timeline.run(now);
      // While the real time is followed, turns start by themselves.
      const driver = this.#clock.follows ? undefined : this.#due();
      if (driver !== undefined) {
        this.#turn(driver);
        return;
      }
      if (this.#tellReached(now) || this.#clock.follows) return;
      const event = this.#nextEvent;
      // Whose time is up without an event is not stuck; a program's time is only its last resort.
      let next = event;
      let isWaited = event !== Number.POSITIVE_INFINITY;
      for (const { until, program } of this.#goals) {
        if (until < next) next = until;
        if (!program) isWaited = true;
      }
      if (!isWaited) {
        this.#stuck();
        return;
      }
      this.#stuckRounds = 0;
      this.#idleTurns = 0;
      this.#clock.moveTo(next);
    }
  }

  /** When the next thing happens by itself; `Infinity` for never. */
  get #nextEvent(): number {
    let next = this.#timeline.next;
    for (const { deadline } of this.#drivers) if (deadline < next) next = deadline;
    return next;
  }

  #due(): SimulatedDriver | undefined {
    const { length } = this.#drivers;
    for (let i = 0; i < length; i += 1) {
      const driver = this.#drivers[(this.#next + i) % length] as SimulatedDriver;
      if (!driver.isDue) continue;
      this.#next = (this.#next + i + 1) % length;
      return driver;
    }
    return undefined;
  }

  #turn(driver: SimulatedDriver): void {
    this.#idleTurns += 1;
    this.#stuckRounds = 0;
    if (this.#idleTurns > MOST_IDLE_TURNS)
      throw new SimulationError(
        'ERR_SIMULATION_SPIN',
        `${MOST_IDLE_TURNS} turns were run at ${this.#clock.now()} ms, and nothing was received or sent in them: a handler is told of what it does not take, or a task or a timer of 0 ms starts itself anew`,
      );
    driver.turn();
  }

  #tellReached(now: number): boolean {
    // Otherwise no driver has a turn to run.
    const isBusy = this.#clock.follows && this.#drivers.some((driver) => driver.isBusy);
    const isIdle = this.#timeline.underWay === 0 && !isBusy;
    const isReached = ({ until, idle }: Goal) => until <= now || (idle && isIdle);
    if (!this.#goals.some(isReached)) return false;
    const reached = this.#goals.filter(isReached);
    this.#goals = this.#goals.filter((goal) => !reached.includes(goal));
    for (const goal of reached) goal.reach();
    return true;
  }

  #stuck(): void {
    this.#roundOver = true;
    this.#stuckRounds += 1;
    if (this.#stuckRounds < MOST_STUCK_ROUNDS) return;
    this.#failAll(
      new SimulationError(
        'ERR_SIMULATION_STUCK',
        `the program waits at ${this.#clock.now()} ms for what will never come: nothing is under way, no timer runs and nothing is ready`,
      ),
    );
  }

  #failAll(error: Error): void {
    const goals = this.#goals;
    this.#goals = [];
    for (const goal of goals) goal.fail(error);
  }

  // --- the real time -------------------------------------------------------------------------------------------------

  /** Lets the real time run: turns start by themselves, as on the other backends. */
  follow(): void {
    this.#clock.follow();
    this.#follow();
  }

  /** The clock stands still again. */
  unfollow(): void {
    if (!this.#clock.follows) return;
    this.#clock.stop();
    for (const immediate of this.#armed.values()) clearImmediate(immediate);
    this.#armed.clear();
    this.#setTimer(Number.POSITIVE_INFINITY);
    this.#settleHold(false);
  }

  #follow(): void {
    for (const driver of this.#drivers)
      if (driver.isBusy && !driver.inTurn && !this.#armed.has(driver)) this.#arm(driver);
    this.#setTimer(this.#nextEvent);
    this.#settleHold(this.#drivers.some(({ held }) => held));
  }

  #arm(driver: SimulatedDriver): void {
    const immediate = setImmediate(() => {
      this.#armed.delete(driver);
      this.#timeline.run(this.#clock.now());
      // What it was armed for may be gone.
      if (driver.isDue) driver.turn();
      this.stir();
    });
    this.#armed.set(driver, immediate);
  }

  #setTimer(at: number): void {
    if (at === this.#timerAt) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#timerAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
    // Rounded up: a timer that fires early would only be set again.
    const delay = Math.min(Math.max(0, Math.ceil(at - this.#clock.now())), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#timeline.run(this.#clock.now());
      for (const driver of this.#drivers)
        if (driver.isDue && !driver.inTurn && !this.#armed.has(driver)) this.#arm(driver);
      this.#follow();
    }, delay);
    // The anchor keeps the process, or nothing does.
    this.#timer.unref();
  }

  #settleHold(held: boolean): void {
    if (held) this.#anchor ??= setInterval(() => {}, LONGEST_TIMER_MS);
    else if (this.#anchor !== null) {
      clearInterval(this.#anchor);
      this.#anchor = null;
    }
  }

  /** Stops every reactor, and tells those who wait. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.unfollow();
    for (const driver of [...this.#drivers]) driver.stop();
    this.#failAll(closedError());
  }
}

function closedError(): SimulationError {
  return new SimulationError('ERR_SIMULATION_CLOSED', 'the simulated network is closed');
}
