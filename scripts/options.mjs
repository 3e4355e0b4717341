// The options of the scripts here and of test/soak: each has a kind, which reads its text; --help tells the help, and what is
// wrong ends with code 2 and a sentence.
import path from 'node:path';
import { parseArgs } from 'node:util';

/** Is there or not. */
export const flag = { type: 'boolean', default: false };

/** Any text; undefined where nothing is given and there is no default. */
export const text = (fallback) => kind(fallback, 'a text', (given) => given);

/** One of the words. */
export const oneOf = (words, fallback) =>
  kind(fallback, `one of ${words.join(', ')}`, (given) => (words.includes(given) ? given : undefined));

/** Words of these, with commas between them; all of them by default. */
export const someOf = (words) =>
  kind(words.join(), `some of ${words.join(', ')}`, (given) => {
    const chosen = given.split(',');
    return chosen.every((word) => words.includes(word)) ? chosen : undefined;
  });

export const whole = (fallback, least = 1) =>
  kind(fallback, `a whole number of at least ${least}`, (given) => {
    const value = given.trim() === '' ? Number.NaN : Number(given);
    return Number.isSafeInteger(value) && value >= least ? value : undefined;
  });

/** Fractions count. */
export const above = (bound, fallback) =>
  kind(fallback, `above ${bound}`, (given) => (Number(given) > bound ? Number(given) : undefined));

/** What `read` makes of the text; undefined where it is not `wanted`. */
export function kind(fallback, wanted, read) {
  return { type: 'string', default: fallback === undefined ? undefined : String(fallback), wanted, read };
}

/**
 * The values of the options by their names, and `refuse(message)`, which ends the process. `operands`: what else may stand
 * there, as `positionals`.
 */
export function readOptions(help, kinds, { operands = false } = {}) {
  const refuse = (message) => {
    console.error(`${path.basename(process.argv[1], '.mjs')}: ${message}\n\n${help}`);
    process.exit(2);
  };
  let parsed;
  try {
    parsed = parseArgs({ allowPositionals: operands, options: { ...kinds, help: flag } });
  } catch (error) {
    refuse(error.message);
  }
  if (parsed.values.help) {
    console.log(help);
    process.exit(0);
  }
  const values = {};
  for (const [name, { wanted, read }] of Object.entries(kinds)) {
    const given = parsed.values[name];
    values[name] = given === undefined || read === undefined ? given : read(given);
    if (given !== undefined && values[name] === undefined) refuse(`--${name} must be ${wanted}, got '${given}'`);
  }
  return { values, positionals: parsed.positionals, refuse };
}
