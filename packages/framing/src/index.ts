export type { ByteChannel, ChannelCloseInfo } from './byte-channel.js';
export {
  type CodecFailure,
  type CodecReport,
  checkCodec,
  type DecodeVector,
  type EncodeVector,
} from './check-codec.js';
export type { BytesLike, Codec, Decoder, Encoder, Input, Output } from './codec.js';
export { type AsciiLengthOptions, asciiLength } from './codecs/ascii-length.js';
export { cobs } from './codecs/cobs.js';
export type { DelimitedOptions } from './codecs/delimited.js';
export { type DelimiterOptions, delimiter } from './codecs/delimiter.js';
export { type DotStuffedOptions, dotStuffed } from './codecs/dot-stuffed.js';
export type { EscapedOptions } from './codecs/escaped.js';
export { type FixedOptions, fixed } from './codecs/fixed.js';
export { type LengthFieldOptions, lengthField } from './codecs/length-field.js';
export { type LinesOptions, lines } from './codecs/lines.js';
export { netstring } from './codecs/netstring.js';
export { octetCount } from './codecs/octet-count.js';
export { DEFAULT_MAX_FRAME_LENGTH, type LimitOptions } from './codecs/options.js';
export { slip } from './codecs/slip.js';
export { type StatusReply, type StatusReplyOptions, statusReply } from './codecs/status-reply.js';
export { type TypeTableOptions, typeTable } from './codecs/type-table.js';
export { untilClose } from './codecs/until-close.js';
export { utf8Lines } from './codecs/utf8-lines.js';
export { type VarintOptions, varint } from './codecs/varint.js';
export { type ChecksumAlgorithm, type ChecksummedOptions, checksummed } from './combinators/checksummed.js';
export { type InPartsOptions, inParts, Part } from './combinators/in-parts.js';
export { json } from './combinators/json.js';
export { mapped } from './combinators/mapped.js';
export { type Next, once } from './combinators/once.js';
export { type TextEncoding, text } from './combinators/text.js';
export type { CuttingOptions } from './cuttings.js';
export { decodeAll, encodeAll } from './decode-all.js';
export {
  FRAMING_ERRORS,
  FRAMING_MISUSE,
  FramingError,
  type FramingErrorCode,
  type FramingErrorInfo,
  type FramingMisuseCode,
} from './errors.js';
export { Framed, type FramedOptions } from './framed.js';
export { type FramedChannel, type FramedChannelEvents, type FramedChannelOptions, framed } from './framed-channel.js';
export { type Frames, frames } from './frames.js';
export { type HexdumpOptions, hexdump } from './hex.js';
export { type MakefileOptions, makefile } from './makefile.js';
export { Needles } from './needles.js';
export type { Reader, ReaderOptions } from './reader.js';
export * from './struct/index.js';
export { type DecoderStreamOptions, decoderStream, encoderStream } from './web-streams.js';
export type { Writer, WriterOptions } from './writer.js';
