/** What the dispatcher calls: one handler for all connections, because the registration's `data` is the connection. */
import { type AnyHandler, GONE, KEEP, RECEIVED, type ReceivingHandler } from '../registration.js';
import { withinContext } from './calling.js';
import { onGone } from './ending.js';
import { keepReceived, onHangup, onReadable, onReceived } from './reading.js';
import type { AnyConnection } from './state.js';
import { onWritable } from './writing.js';

/** What such a handler may be: given what the backend has received ahead; each call within the connection's AsyncResource. */
export interface ReadinessNeeds {
  readonly receives: boolean;
  readonly contextual: boolean;
}

export function readinessHandler({ receives, contextual }: ReadinessNeeds): AnyHandler {
  if (contextual) return receives ? contextualReceiving : contextualReadiness;
  return receives ? receiving : readiness;
}

const readiness: AnyHandler = {
  readable(_socket, registration) {
    onReadable(registration.data as AnyConnection);
  },
  writable(_socket, registration) {
    onWritable(registration.data as AnyConnection);
  },
  hangup(_socket, registration) {
    onHangup(registration.data as AnyConnection);
  },
  [GONE](registration) {
    onGone(registration.data as AnyConnection);
  },
};

const receiving: ReceivingHandler = {
  ...readiness,
  [RECEIVED](registration, index) {
    onReceived(registration.data as AnyConnection, index);
  },
  [KEEP](registration, index) {
    keepReceived(registration.data as AnyConnection, index);
  },
};

const contextualReadiness: AnyHandler = {
  ...readiness,
  readable(_socket, registration) {
    const connection = registration.data as AnyConnection;
    withinContext(connection, () => onReadable(connection));
  },
  writable(_socket, registration) {
    const connection = registration.data as AnyConnection;
    withinContext(connection, () => onWritable(connection));
  },
  hangup(_socket, registration) {
    const connection = registration.data as AnyConnection;
    withinContext(connection, () => onHangup(connection));
  },
};

const contextualReceiving: ReceivingHandler = {
  ...contextualReadiness,
  [RECEIVED](registration, index) {
    const connection = registration.data as AnyConnection;
    withinContext(connection, () => onReceived(connection, index));
  },
  [KEEP]: receiving[KEEP],
};
