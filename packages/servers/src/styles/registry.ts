/** All styles by their names: the one place where a new one is added. */
import { iterative } from './iterative.js';
import { processPerConnection } from './process.js';
import { reactor } from './reactor.js';
import type { StyleFactory } from './style.js';
import { threadPerConnection } from './thread.js';

export const STYLES = {
  iterative,
  'thread-per-connection': threadPerConnection,
  'process-per-connection': processPerConnection,
  reactor,
} as const satisfies Record<string, StyleFactory>;

export type StyleName = keyof typeof STYLES;

export const STYLE_NAMES = Object.keys(STYLES) as readonly StyleName[];
