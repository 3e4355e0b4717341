/**
 * One descriptor that is kept for the moment when there is no other: freed, it lets a connection be accepted that can
 * only be closed (libuv's `uv__emfile_trick`). All accept loops of a thread share it.
 */
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';

let spare = -1;
let holders = 0;

/** Opens it, if it is not open already. */
export function holdSpare(): void {
  holders += 1;
  open();
}

/** Closes it with its last holder. */
export function releaseSpare(): void {
  holders -= 1;
  if (holders === 0) free();
}

/** Frees it, calls `use`, and opens it again. `undefined` where it could not be had: `use` was not called then. */
export function spendSpare<T>(use: () => T): T | undefined {
  // It may have been lost to another thread the last time.
  open();
  if (!free()) return undefined;
  try {
    return use();
  } finally {
    open();
  }
}

function open(): void {
  if (spare !== -1) return;
  try {
    spare = openSync(devNull, 'r');
  } catch {
    // There is none to spare: the accept loops rest without it.
  }
}

function free(): boolean {
  if (spare === -1) return false;
  closeSync(spare);
  spare = -1;
  return true;
}
