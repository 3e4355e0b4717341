/** The paths of listening unix sockets: stale ones, their permissions, and their end. */
import { chmodSync, fchmodSync, lstatSync, type Stats, unlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Address } from './address.js';
import type { BackendSocket } from './backend/backend.js';

/** A path that a socket of ours has made, by its inode: while the socket is open, no other file can have that number. */
interface OwnedPath {
  readonly path: string;
  readonly dev: number;
  readonly ino: number;
}

const owned = new WeakMap<object, OwnedPath>();

/** The path in the file system of an address; `undefined` for the abstract namespace and for other families. */
export function pathOf(address: Address): string | undefined {
  return 'path' in address && !address.path.startsWith('\0') ? address.path : undefined;
}

/**
 * Gives the permissions to the socket before it is bound: `bind` makes the path with the socket's own, less the umask
 * (Linux, `unix_bind_bsd`). So there is no moment in which the path has wider ones.
 */
export function setModeToBe(socket: BackendSocket, mode: number): void {
  fchmodSync(socket.fileno(), mode);
}

/** Adds what the umask has taken away: permissions only ever become wider here. */
export function settleMode(path: string, mode: number): void {
  if ((lstatSync(path).mode & 0o777) !== mode) chmodSync(path, mode);
}

/** Has `path`, which `socket` was just bound to, removed when that is closed. */
export function ownPath(socket: object, path: string): void {
  const { dev, ino } = lstatSync(path);
  // Absolute: the working directory may be another one by then.
  owned.set(socket, { path: resolve(path), dev, ino });
}

/**
 * Removes the path that the socket has made, unless another file has taken its place. To be called before the socket is
 * closed. Never throws: a path that cannot be removed is stale for the next one who listens.
 */
export function removeOwnedPath(socket: object): void {
  const mine = owned.get(socket);
  if (mine === undefined) return;
  owned.delete(socket);
  try {
    if (isSame(lstatSync(mine.path), mine)) unlinkSync(mine.path);
  } catch {
    // Gone already, or the folder is no longer ours to write.
  }
}

/**
 * Removes `path` if it is a socket that nobody answers on (`answers` tries), left by a process that was killed. `true`
 * when the path is free now. What is no socket is never touched. Two who do this at the same moment may both succeed: a
 * path has no lock.
 */
export async function removeIfStale(path: string, answers: () => Promise<boolean>): Promise<boolean> {
  const before = lookAt(path);
  if (before === undefined) return true;
  if (!before.isSocket() || (await answers())) return false;
  const now = lookAt(path);
  if (now === undefined) return true;
  // The number alone does not tell: that of a file which was removed is given to the next one.
  if (!isSame(now, before) || now.ctimeMs !== before.ctimeMs) return false;
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

function lookAt(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function isSame(one: { dev: number; ino: number }, other: { dev: number; ino: number }): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}
