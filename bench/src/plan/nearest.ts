/** Finds the name that was probably meant. */

/** Levenshtein's distance: insertions, deletions and replacements that lead from one text to the other. */
export function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[j]! + 1, current[j - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}

export function nearest(name: string, names: readonly string[]): string {
  const byDistance = [...names].sort((a, b) => distance(name.toLowerCase(), a) - distance(name.toLowerCase(), b));
  return byDistance[0] ?? '';
}

/** A mistake of the user, told without a stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Returns the name, or throws a {@link UsageError} that says which one was probably meant and which there are. */
export function known(kind: string, name: string, names: readonly string[]): string {
  if (names.includes(name)) return name;
  throw new UsageError(
    `unknown ${kind} '${name}': did you mean '${nearest(name, names)}'? There are: ${names.join(', ')}`,
  );
}
