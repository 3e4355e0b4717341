/**
 * The characters that codecs look for.
 *
 * These, and the constants of other files that import nothing, are put into the code as numbers when the package is built.
 * In a file with imports a constant is a variable of the built module, which is loaded and checked at each use.
 */
export const TAB = 9;
export const LF = 10;
export const CR = 13;
export const SPACE = 32;
export const COMMA = 44;
export const HYPHEN = 45;
export const DOT = 46;
export const ZERO = 48;
export const COLON = 58;
export const SEMICOLON = 59;
/** CR and LF as two bytes, big-endian. */
export const CRLF = 0x0d0a;
