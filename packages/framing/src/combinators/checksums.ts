/** The checksums that have names. Each takes bytes and gives an unsigned 32-bit number. */

type Tables = readonly [Uint32Array, Uint32Array, Uint32Array, Uint32Array];

/**
 * The remainders of all bytes, and of all bytes with one to three zeros behind them, by the reflected `polynomial`: with
 * them four bytes are taken at a step.
 */
function tablesOf(polynomial: number): Tables {
  const tables: Tables = [new Uint32Array(256), new Uint32Array(256), new Uint32Array(256), new Uint32Array(256)];
  const [first] = tables;
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? polynomial : 0);
    first[byte] = remainder;
  }
  for (let zeros = 1; zeros < 4; zeros++) {
    for (let byte = 0; byte < 256; byte++) {
      const shorter = tables[zeros - 1]![byte]!;
      tables[zeros]![byte] = (shorter >>> 8) ^ first[shorter & 0xff]!;
    }
  }
  return tables;
}

function crcOf(polynomial: number): (bytes: Uint8Array) => number {
  let tables: Tables | undefined;
  return (bytes) => {
    tables ??= tablesOf(polynomial);
    const [t0, t1, t2, t3] = tables;
    let crc = -1;
    let at = 0;
    for (const end = bytes.length - 3; at < end; at += 4) {
      crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      crc = t3[crc & 0xff]! ^ t2[(crc >>> 8) & 0xff]! ^ t1[(crc >>> 16) & 0xff]! ^ t0[crc >>> 24]!;
    }
    for (; at < bytes.length; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]!) & 0xff]!;
    return ~crc >>> 0;
  };
}

/** CRC-32 of zlib, PNG and Ethernet (ISO 3309). */
export const crc32 = /* @__PURE__ */ crcOf(0xedb88320);
/** CRC-32C, Castagnoli's: iSCSI (RFC 3720), SCTP, Kafka. */
export const crc32c = /* @__PURE__ */ crcOf(0x82f63b78);

/** So many bytes can be summed up before the second sum needs more than 32 bits (RFC 1950). */
const ADLER_STRETCH = 3800;
const ADLER_PRIME = 65_521;

/** Adler-32 of zlib (RFC 1950). */
export function adler32(bytes: Uint8Array): number {
  let low = 1;
  let high = 0;
  for (let at = 0; at < bytes.length; ) {
    for (const end = Math.min(at + ADLER_STRETCH, bytes.length); at < end; at++) {
      low += bytes[at]!;
      high += low;
    }
    low %= ADLER_PRIME;
    high %= ADLER_PRIME;
  }
  return ((high << 16) | low) >>> 0;
}
