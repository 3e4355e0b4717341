import { type ByteChannel, checkChannel } from './byte-channel.js';
import { OptionReader } from './codecs/options.js';
import { Reader, type ReaderOptions } from './reader.js';
import { Writer, type WriterOptions } from './writer.js';

/** Options of {@link makefile}. */
export interface MakefileOptions extends ReaderOptions, WriterOptions {}

/**
 * A connection as a pair of files, like Python's `socket.makefile`: for programs that read as fast as the conversation
 * goes, line by line or so many bytes.
 *
 * ```ts
 * const { reader, writer } = makefile(connection)
 * for await (const line of reader) writer.writeLines([line])
 * writer.end()
 * ```
 *
 * Reading starts with the first read. The connection's data goes to the reader: do not listen for it elsewhere.
 *
 * @throws `TypeError`, `RangeError`: `ERR_FRAMING_CHANNEL`, `ERR_FRAMING_OPTION`
 */
export function makefile(channel: ByteChannel, options: MakefileOptions = {}): { reader: Reader; writer: Writer } {
  checkChannel(channel);
  const settings = new OptionReader('makefile', options, ['eol', 'strip', 'maxLineLength', 'newline']);
  const newline = settings.choice<'\n' | '\r\n'>('newline', '\n', ['\n', '\r\n']);
  const { eol, strip, maxLineLength } = options;
  return { reader: new Reader(channel, { eol, strip, maxLineLength }), writer: new Writer(channel, newline) };
}
