/** What a simulation itself has to complain of, apart from what its program throws. */

/** The codes of a {@link SimulationError}, with what each means. */
export const SIMULATION_ERRORS = {
  ERR_SIMULATION_CLOSED: 'the network was closed while somebody waited for it',
  ERR_SIMULATION_LATE: 'the program is not over when its virtual time is',
  ERR_SIMULATION_SPIN: 'turn after turn is run, nothing is received or sent in them, and no time passes',
  ERR_SIMULATION_STUCK: 'the program waits, and nothing will ever happen again',
} as const;

export type SimulationErrorCode = keyof typeof SIMULATION_ERRORS;

export class SimulationError extends Error {
  readonly code: SimulationErrorCode;

  constructor(code: SimulationErrorCode, detail: string) {
    super(detail);
    this.code = code;
  }

  override get name(): string {
    return 'SimulationError';
  }
}
