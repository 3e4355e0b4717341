export { array } from './array-field.js';
export { htonl, htons, ntohl, ntohs } from './byte-order.js';
export type { Count, Field, Infer } from './field.js';
export type { Unpacked } from './format.js';
export { be, bits, bool, f16, f32, f64, i8, i16, i24, i32, i64, le, u8, u16, u24, u32, u64 } from './number-fields.js';
export { calcsize, iterUnpack, type Packable, pack, unpack } from './pack.js';
export { type Struct, type StructOptions, type StructValue, struct } from './struct.js';
export { ascii, bytes, latin1, type Padding, padding, utf8 } from './text-fields.js';
