/** The tables of the testing guide are those of the code. */
import { readFileSync } from 'node:fs';
import { SIMULATION_ERRORS, SimulatedNetwork } from '@fdset/reactor/testing';
import { expect, it } from 'vitest';

const GUIDE = readFileSync(new URL('../../docs/guides/testing.md', import.meta.url), 'utf8');

/** The first two columns of the rows that begin with a name in backquotes. */
function rows(pattern: RegExp): [string, string][] {
  const found = [...GUIDE.matchAll(/^\| `(\w+)` +\| (.+?) +\|/gm)];
  return found.flatMap(([, name = '', text = '']) => (pattern.test(name) ? [[name, text]] : []));
}

it('the testing guide lists the errors of a simulation', () => {
  expect(Object.fromEntries(rows(/^ERR_SIMULATION_/))).toEqual(SIMULATION_ERRORS);
});

it('the testing guide lists the faults, and no others', () => {
  const faults = rows(/^[a-z]\w+$/).map(([name]) => name);
  let known = '';
  try {
    new SimulatedNetwork({ faults: { none: true } as never });
  } catch (error) {
    known = (error as Error).message;
  }
  expect(known).toContain(`faults knows ${faults.join(', ')};`);
});
