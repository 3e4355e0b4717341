/** Peers without types of their own: as much of them as the suites use. */
declare module 'split2' {
  import type { Transform } from 'node:stream';

  export default function split2(): Transform;
}

declare module 'length-prefixed-stream' {
  import type { Transform } from 'node:stream';

  export function decode(options?: { limit?: number; allowEmpty?: boolean }): Transform;
}
