/** Before there is a connection: whether the plugins want it, and what they keep of it. */
import type { Address } from '../address.js';
import type { BackendSocket } from '../backend/backend.js';
import { PluginError } from '../errors.js';
import { type HookTable, invoke, type Step } from '../plugin/compile.js';
import type { AcceptInfo } from '../plugin/hooks.js';

/** A plugin does not want the connection, or its hook has failed. */
export class Refusal {
  readonly plugin: string;
  readonly error: PluginError | undefined;

  constructor({ plugin }: Step, error?: PluginError) {
    this.plugin = plugin.plugin.name;
    this.error = error;
    if (error !== undefined) plugin.failed(error);
  }
}

/** The addresses are looked up only where somebody asks. */
class Arrival implements AcceptInfo {
  readonly direction: 'inbound' | 'outbound';
  readonly #socket: BackendSocket;

  constructor(direction: 'inbound' | 'outbound', socket: BackendSocket) {
    this.direction = direction;
    this.#socket = socket;
  }

  get remoteAddress(): Address | undefined {
    return this.#socket.remoteAddress;
  }

  get localAddress(): Address | undefined {
    return this.#socket.localAddress;
  }
}

/** The context of the connection, or why there is to be none. */
export function admit(hooks: HookTable, socket: BackendSocket, direction: AcceptInfo['direction']): object | Refusal {
  if (hooks.accept.length === 0 && hooks.state.length === 0) return hooks.context;
  const info = new Arrival(direction, socket);
  for (const step of hooks.accept) {
    const result = invoke(step, info);
    if (result instanceof PluginError) return new Refusal(step, result);
    if (result === false) return new Refusal(step);
  }
  if (hooks.state.length === 0) return hooks.context;
  const context: Record<string, unknown> = { ...hooks.context };
  for (const step of hooks.state) {
    const state = invoke(step, info);
    if (state instanceof PluginError) return new Refusal(step, state);
    context[step.plugin.plugin.name] = state;
  }
  return context;
}
