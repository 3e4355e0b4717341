/** Runs one handler over one connection: the same in every style. */
import type { RequestContext, RequestHandlerClass } from './handlers.js';

/**
 * Calls `setup`, `handle` and `finish`. On return all that was written is in the kernel, or the connection is broken; it
 * is still open. Throws what the handler has thrown first.
 */
export async function runHandler(Handler: RequestHandlerClass, context: RequestContext): Promise<void> {
  let failed = false;
  let failure: unknown;
  const attempt = async (step: () => void | Promise<void>): Promise<boolean> => {
    try {
      await step();
      return true;
    } catch (error) {
      if (!failed) failure = error;
      failed = true;
      return false;
    }
  };
  await attempt(async () => {
    const handler = new Handler(context);
    if (!(await attempt(() => handler.setup()))) return;
    await attempt(() => handler.handle());
    await attempt(() => handler.finish());
  });
  await context.connection.flushed().catch(() => {});
  if (failed) throw failure;
}
