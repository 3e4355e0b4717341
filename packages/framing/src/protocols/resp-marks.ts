/** What begins each element of RESP. In a file of their own, so that they are numbers in the built code: see `ascii.ts`. */
export const SIMPLE = 0x2b; // +
export const ERROR = 0x2d; // -
export const INTEGER = 0x3a; // :
export const BULK = 0x24; // $
export const ARRAY = 0x2a; // *
export const NULL = 0x5f; // _
export const BOOLEAN = 0x23; // #
export const DOUBLE = 0x2c; // ,
export const BIG = 0x28; // (
export const BULK_ERROR = 0x21; // !
export const VERBATIM = 0x3d; // =
export const MAP = 0x25; // %
export const SET = 0x7e; // ~
export const PUSH = 0x3e; // >
export const ATTRIBUTE = 0x7c; // |

/** How the rest of an element is laid out. */
export const LINE = 1;
export const COUNTED = 2;
export const AGGREGATE = 3;

/** The shortest element, `_` and a line end. */
export const LEAST_ELEMENT = 3;
export const MOST_DIGITS = 20;
/** To make a `bigint` of its digits takes time that grows with their square. */
export const MOST_BIG_DIGITS = 4096;
