/** What a test has opened is closed when it is over, in the reverse order. */

type Undo = () => unknown;

let undos: Undo[] = [];

/** Has `undo` called, and awaited, when the running test is over. */
export function afterTest(undo: Undo): void {
  undos.push(undo);
}

/** Runs what the test has left to be undone. The first error is thrown after all were run. */
export async function undoTest(): Promise<void> {
  const errors: unknown[] = [];
  while (undos.length > 0) {
    const batch = undos.reverse();
    undos = [];
    for (const undo of batch) {
      try {
        await undo();
      } catch (error) {
        errors.push(error);
      }
    }
  }
  if (errors.length > 0) throw errors[0];
}
