/** Where plugins write, if the reactor was given nothing else. */
import { debuglog } from 'node:util';
import { describe, misuse } from '../errors.js';
import type { Logger } from './hooks.js';

const note = debuglog('fdset');

function warn(message: string, ...details: unknown[]): void {
  const detail = details.map((each) => (each instanceof Error ? each.stack : String(each))).join('\n');
  process.emitWarning(message, { type: 'FdsetWarning', ...(detail === '' ? {} : { detail }) });
}

/** Warnings of the process; and what is no warning only where NODE_DEBUG asks for 'fdset'. */
export const processLog: Logger = { debug: note, info: note, warn, error: warn };

/** Throws `ERR_REACTOR_ARGUMENT`. */
export function checkLog(log: Logger | undefined): Logger {
  if (log === undefined) return processLog;
  for (const level of ['debug', 'info', 'warn', 'error'] as const)
    if (typeof log?.[level] !== 'function')
      throw misuse('ERR_REACTOR_ARGUMENT', `log must have a method '${level}', got ${describe(log)}`);
  return log;
}
