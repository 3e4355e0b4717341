/** What may go wrong in a simulated network, and how often. */
import { describe, misuse, outOfRange } from '../errors.js';

/**
 * Each is a probability from 0 to 1, `true` for one that makes it happen without drowning everything else, `false` for
 * never. What is tried again (would-blocks, refused descriptors) fails three times in a row at most, so that a probability
 * of 1 comes to an end.
 */
export interface NetworkFaults {
  /** `recv` gives a part of what is there: for each receive (0.3). */
  splits?: boolean | number;
  /** `send` takes a part of what there is room for: for each send (0.2). */
  partialSends?: boolean | number;
  /** A socket is told ready that is not: each time it ceases to be ready (0.1). */
  spurious?: boolean | number;
  /** A receive, send or accept would-blocks although the socket is ready: for each call (0.1). */
  wouldBlock?: boolean | number;
  /** A TCP connection is reset, by neither of its ends: for each segment (0.005). */
  reset?: boolean | number;
  /** A TCP connection is half-open: whatever is sent from then on gets lost, without a word: for each segment (0.002). */
  halfOpen?: boolean | number;
  /** A datagram is lost: for each one (0.05). */
  loss?: boolean | number;
  /** A datagram is overtaken by later ones: for each one (0.1). */
  reorder?: boolean | number;
  /** There is no descriptor for a new socket or an accepted one (EMFILE): for each of them (0.05). */
  emfile?: boolean | number;
}

/** The probabilities. */
export type FaultChances = Readonly<Record<keyof NetworkFaults, number>>;

const WHEN_TRUE: FaultChances = {
  splits: 0.3,
  partialSends: 0.2,
  spurious: 0.1,
  wouldBlock: 0.1,
  reset: 0.005,
  halfOpen: 0.002,
  loss: 0.05,
  reorder: 0.1,
  emfile: 0.05,
};

export function faultChances(faults: unknown = {}): FaultChances {
  if (typeof faults !== 'object' || faults === null || Array.isArray(faults))
    throw misuse('ERR_REACTOR_ARGUMENT', `faults must be an object, got ${describe(faults)}`);
  const names = Object.keys(WHEN_TRUE) as (keyof NetworkFaults)[];
  for (const name of Object.keys(faults))
    if (!names.includes(name as keyof NetworkFaults))
      throw misuse('ERR_REACTOR_ARGUMENT', `faults knows ${names.join(', ')}; got ${describe(name)}`);
  const chances: Partial<Record<keyof NetworkFaults, number>> = {};
  for (const name of names) chances[name] = chanceOf(name, (faults as NetworkFaults)[name]);
  return chances as FaultChances;
}

function chanceOf(name: keyof NetworkFaults, given: unknown): number {
  if (given === undefined || given === false) return 0;
  if (given === true) return WHEN_TRUE[name];
  if (typeof given !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `faults.${name} must be a boolean or a probability, got ${describe(given)}`);
  if (!(given >= 0 && given <= 1))
    throw outOfRange('ERR_REACTOR_ARGUMENT', `faults.${name} must be a probability from 0 to 1, got ${given}`);
  return given;
}
