/** All clients at once in one thread: the reactor calls each handler on as soon as its connection has something for it. */
import { InProcessStyle } from './in-process.js';
import type { StyleFactory } from './style.js';

export const reactor: StyleFactory = (host) => new InProcessStyle(host, Number.POSITIVE_INFINITY);
