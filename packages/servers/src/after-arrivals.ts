/** What has come when a clock runs out counts, also where this thread was late to look at it. */

/**
 * Calls back when the loop has delivered what the system holds for it now. A loop that was kept from its sockets runs its
 * timers before them. Two rounds, because on the emulated backend the first one takes what has come, and the second one
 * tells it. Returns what keeps the callback from being called.
 */
export function afterArrivals(callback: () => void): () => void {
  let immediate = setImmediate(() => {
    immediate = setImmediate(callback);
  });
  return () => clearImmediate(immediate);
}
