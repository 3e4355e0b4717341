/** One client at a time, the next when the handler is done: CPython's TCPServer, but over the non-blocking reactor. */
import { InProcessStyle } from './in-process.js';
import type { StyleFactory } from './style.js';

export const iterative: StyleFactory = (host) => new InProcessStyle(host, 1);
