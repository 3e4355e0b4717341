/** The call of a hook, and what becomes of a connection whose hook has failed. */
import { describe, misuse, PluginError } from '../errors.js';
import { invoke, type Step } from '../plugin/compile.js';
import { fail } from './ending.js';
import { type AnyConnection, barrier, type Waiting } from './state.js';

/** What a decision of a plugin may take, as a `hold`. */
const WAIT_MS = 10_000;

/** A hook has failed: the end of its connection; where that is over already, nobody's but the plugin's. */
export function hookFailed(connection: AnyConnection, { plugin }: Step, error: PluginError): void {
  if (connection.ended === null) fail(connection, error);
  else plugin.failed(error);
}

/** What the hook gives; `undefined` where it has failed. */
export function call(connection: AnyConnection, step: Step, value?: unknown): unknown {
  const result = invoke(step, connection, value);
  if (!(result instanceof PluginError)) return result;
  hookFailed(connection, step, result);
  return undefined;
}

/** The hooks that tell something, in order, of those who know of the connection and as long as it is open. */
export function tellHooks(connection: AnyConnection, steps: readonly Step[]): void {
  for (const step of steps) {
    if (connection.ended !== null || step.at >= barrier(connection)) return;
    call(connection, step);
  }
}

/** The bytes that a hook gives in the place of others: `null` to swallow them, `undefined` to pass them on. */
export function callForBytes(connection: AnyConnection, step: Step, chunk?: Uint8Array): Uint8Array | null | undefined {
  const result = call(connection, step, chunk);
  if (result === undefined || result === null || result instanceof Uint8Array) return result;
  refuse(connection, step, `${describe(result)}; it may return a Uint8Array, null or nothing`);
  return null;
}

/** Whether the hook holds its connection up. */
export function callForHold(connection: AnyConnection, step: Step): boolean {
  const result = call(connection, step);
  if (result === 'hold') return true;
  if (result !== undefined) refuse(connection, step, `${describe(result)}; it may return 'hold' or nothing`);
  return false;
}

function refuse(connection: AnyConnection, step: Step, returned: string): void {
  hookFailed(connection, step, PluginError.refused(step.plugin.plugin.name, step.hook, returned));
}

/** A plugin holds the connection up, but not for ever. */
export function waitFor(connection: AnyConnection, { at, plugin, hook }: Step): Waiting {
  const expired = (): void => {
    const what = `the '${hook}' that plugin '${plugin.plugin.name}' holds did not go on within ${WAIT_MS} ms`;
    fail(connection, misuse('ERR_REACTOR_HOLD', what));
  };
  return { at, deadline: connection.kind.host.dispatcher.wheel.after(WAIT_MS, expired) };
}

/** A message that framing has decoded passes the plugins: `null` where one of them swallows it. */
export function interceptMessage(connection: AnyConnection, given: unknown): unknown {
  let message = given;
  for (const step of connection.kind.hooks?.message ?? []) {
    if (connection.ended !== null) return null;
    const result = call(connection, step, message);
    if (result === null || connection.ended !== null) return null;
    if (result !== undefined) message = result;
  }
  return message === given ? undefined : message;
}
