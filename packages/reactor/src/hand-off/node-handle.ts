/** Sockets that Node has opened: their descriptors are duplicated, adopted, and Node's own let go. */
import { closeSync } from 'node:fs';
import net from 'node:net';
import type { BackendSocket } from '../backend/backend.js';
import { describe, misuse, SocketError } from '../errors.js';
import { descriptorsOf, type HandOffHost } from './host.js';

interface WithHandle {
  readonly _handle?: { readonly fd?: number } | null;
}

export function adoptNode(host: HandOffHost, node: net.Socket | net.Server): { socket: BackendSocket; unread: Buffer } {
  const { backend } = host;
  const table = descriptorsOf(backend, 'adoptNode');
  if (!(node instanceof net.Socket) && !(node instanceof net.Server))
    throw misuse('ERR_REACTOR_ARGUMENT', `adoptNode takes a net.Socket or a net.Server, got ${describe(node)}`);
  if (node instanceof net.Socket) checkSocket(node);
  else checkServer(node);
  const fd = (node as unknown as WithHandle)._handle?.fd ?? -1;
  if (fd < 0)
    throw misuse(
      'ERR_REACTOR_SOCKET',
      'adoptNode: it has no descriptor here (it is closed, or a cluster worker whose primary has it)',
    );
  const duplicate = table.duplicate(fd);
  if (duplicate < 0) throw new SocketError(duplicate, 'fcntl');
  let socket: BackendSocket;
  try {
    socket = backend.adopt(duplicate);
  } catch (error) {
    closeSync(duplicate);
    throw error;
  }
  if (node instanceof net.Server) {
    node.close();
    return { socket, unread: Buffer.alloc(0) };
  }
  const chunks: Buffer[] = [];
  // Node reads in its loop only: what it has not read by now is the kernel's, and ours.
  for (let chunk = node.read() as Buffer | null; chunk !== null; chunk = node.read()) chunks.push(chunk);
  // A close(2) of its descriptor; ours lives, so the peer sees nothing.
  node.destroy();
  return { socket, unread: Buffer.concat(chunks) };
}

function checkSocket(node: net.Socket): void {
  if ('encrypted' in node)
    throw misuse('ERR_REACTOR_SOCKET', 'adoptNode: the state of a TLS connection is not in its descriptor');
  if (node.connecting || node.destroyed)
    throw misuse('ERR_REACTOR_CLOSED', `adoptNode: the socket is ${node.destroyed ? 'closed' : 'still connecting'}`);
  if (node.writableLength > 0)
    throw misuse('ERR_REACTOR_DETACH', `adoptNode: ${node.writableLength} bytes that were written have not left`);
  if (node.readableEncoding !== null)
    throw misuse('ERR_REACTOR_SOCKET', 'adoptNode: setEncoding has made text of its bytes');
}

function checkServer(node: net.Server): void {
  if (!node.listening) throw misuse('ERR_REACTOR_CLOSED', 'adoptNode: the server does not listen');
  const at = node.address();
  if (typeof at === 'string' && !at.startsWith('\0'))
    throw misuse('ERR_REACTOR_SOCKET', `adoptNode: Node removes the path ${at} when it lets the server go`);
}
