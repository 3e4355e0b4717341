import { isBytes, utf8Bytes } from '../bytes.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { lenientText } from './text.js';

/** A log message, of RFC 5424 or of RFC 3164. What a message does not tell is `undefined`. */
export interface SyslogMessage {
  /** 0 to 23. RFC 5424 6.2.1 */
  facility: number;
  /** 0 emergency to 7 debug. */
  severity: number;
  /** 1: RFC 5424. Absent: RFC 3164. */
  version?: number | undefined;
  /** As it was sent: `2003-10-11T22:14:15.003Z`, or `Oct 11 22:14:15`. */
  timestamp?: string | undefined;
  hostname?: string | undefined;
  /** In RFC 3164 the tag. */
  appName?: string | undefined;
  procId?: string | undefined;
  /** RFC 5424 only, as the next. */
  msgId?: string | undefined;
  structuredData?: SyslogElement[] | undefined;
  /** Text; what is not UTF-8 in it is U+FFFD. */
  message: string;
}

/** RFC 5424 6.3 */
export interface SyslogElement {
  id: string;
  /** In order; the same name may come again. */
  params: [name: string, value: string][];
}

/** 6: the header fields, and how long they may be. */
const FIELDS = [
  ['timestamp', 32],
  ['hostname', 255],
  ['appName', 48],
  ['procId', 128],
  ['msgId', 32],
] as const;
const PRIORITY = /^<(0|[1-9]\d{0,2})>/;
/** The header fields as words, and `-` or the `[` of the structured data. */
const NEW_HEADER = new RegExp(`^1 ${FIELDS.map(([, longest]) => `([!-~]{1,${longest}}) `).join('')}(?=(-)|\\[)`);
const OLD_HEADER = /^([A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2}) (\S+) /;
/** RFC 3164 4.1.3: alphanumeric, up to 32 characters; what really comes has more. */
const TAG = /^([^\s:[\]]{1,48})(?:\[([^\]\s]{1,128})\])?: ?/;
/** SD-NAME of RFC 5424 6. */
const NAME = /^[!#-<>-\\^-~]{1,32}$/;
const BOM = '\ufeff';

/**
 * One message: a datagram (RFC 5426), or what a codec of frames has delivered.
 *
 * @throws {@link FramingError} `BAD_HEADER` if it does not begin as one of RFC 5424 or RFC 3164 must
 */
export function parseSyslog(bytes: Uint8Array): SyslogMessage {
  if (!isBytes(bytes)) throw wrongType('ERR_FRAMING_MESSAGE', `a syslog message is a Uint8Array, got ${shown(bytes)}`);
  return parseSyslogText(lenientText(bytes));
}

/** {@link parseSyslog} of the text that a message is. */
export function parseSyslogText(text: string): SyslogMessage {
  const priority = PRIORITY.exec(text);
  if (priority === null || Number(priority[1]) > 191) {
    throw new FramingError('BAD_HEADER', `no priority from <0> to <191> before ${shown(text)} (RFC 5424 6.2.1)`);
  }
  const rest = text.slice(priority[0].length);
  const head = { facility: Number(priority[1]) >> 3, severity: Number(priority[1]) & 7 };
  return /^[1-9]\d{0,2} /.test(rest) ? parseNew(head, rest) : parseOld(head, rest);
}

type Head = Pick<SyslogMessage, 'facility' | 'severity'>;

/** RFC 5424 6 */
function parseNew({ facility, severity }: Head, text: string): SyslogMessage {
  const found = NEW_HEADER.exec(text);
  if (found === null) throw headerFault(text);
  const [header, timestamp, hostname, appName, procId, msgId, nil] = found;
  const elements = nil === undefined ? readElements(text, header.length) : undefined;
  const end = elements?.end ?? header.length + 1;
  if (end < text.length && text[end] !== ' ') {
    throw new FramingError('BAD_HEADER', 'no space behind the structured data (RFC 5424 6)');
  }
  const content = text.slice(end + 1);
  return {
    facility,
    severity,
    version: 1,
    timestamp: unlessNil(timestamp),
    hostname: unlessNil(hostname),
    appName: unlessNil(appName),
    procId: unlessNil(procId),
    msgId: unlessNil(msgId),
    structuredData: elements?.elements,
    message: content.startsWith(BOM) ? content.slice(1) : content,
  };
}

/** A field, or `undefined` if it is the dash that says that there is none. */
function unlessNil(field: string | undefined): string | undefined {
  return field === '-' ? undefined : field;
}

/** What is wrong with a header that is none of RFC 5424. */
function headerFault(text: string): FramingError {
  const [version, ...words] = text.split(' ', 1 + FIELDS.length);
  if (version !== '1') return new FramingError('BAD_HEADER', `version ${version} is unknown (RFC 5424 6.2.2)`);
  const wrong = FIELDS.findIndex(([, longest], i) => !isField(words[i], longest));
  if (wrong < 0) return new FramingError('BAD_HEADER', 'malformed structured data (RFC 5424 6.3)');
  return new FramingError('BAD_HEADER', `malformed ${FIELDS[wrong]![0]}: ${shown(words[wrong])} (RFC 5424 6.2)`);
}

function isField(word: string | undefined, longest: number): boolean {
  return word !== undefined && word.length > 0 && word.length <= longest && !/[^!-~]/.test(word);
}

/** RFC 5424 6.3 */
function readElements(text: string, from: number): { elements: SyslogElement[]; end: number } {
  const elements: SyslogElement[] = [];
  const element = /\[([!#-<>-\\^-~]{1,32})((?: [!#-<>-\\^-~]{1,32}="(?:[^"\\\]]|\\[\s\S])*")*)\]/y;
  const parameter = / ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\[\s\S])*)"/g;
  element.lastIndex = from;
  let end = from;
  for (let found = element.exec(text); found !== null; found = element.exec(text)) {
    end = element.lastIndex;
    const params: [string, string][] = [];
    for (const [, name, value] of found[2]!.matchAll(parameter)) {
      // Of another character a backslash is just a backslash (6.3.3).
      params.push([name!, value!.replace(/\\(["\\\]])/g, '$1')]);
    }
    elements.push({ id: found[1]!, params });
  }
  if (end === from) throw new FramingError('BAD_HEADER', 'malformed structured data (RFC 5424 6.3)');
  return { elements, end };
}

/** RFC 3164 4.1, which tells what was seen, and not what must be: what is not there is left out. */
function parseOld(head: Head, text: string): SyslogMessage {
  const message: SyslogMessage = { ...head, message: text };
  const header = OLD_HEADER.exec(text);
  if (header === null) return message;
  message.timestamp = header[1];
  message.hostname = header[2];
  message.message = text.slice(header[0].length);
  const tag = TAG.exec(message.message);
  if (tag === null) return message;
  message.appName = tag[1];
  if (tag[2] !== undefined) message.procId = tag[2];
  message.message = message.message.slice(tag[0].length);
  return message;
}

/**
 * The bytes of a message: of RFC 5424 if it has a `version`, otherwise of RFC 3164.
 *
 * @throws {@link FramingError} `BAD_VALUE` if a part is out of range, or would be taken for another one
 */
export function formatSyslog(message: SyslogMessage): Uint8Array {
  if (typeof message !== 'object' || message === null) {
    throw wrongType('ERR_FRAMING_MESSAGE', `a syslog message is an object, got ${shown(message)}`);
  }
  const { facility, severity, version } = message;
  if (!isBelow(facility, 24) || !isBelow(severity, 8)) {
    throw new FramingError(
      'BAD_VALUE',
      `facility is 0 to 23, severity 0 to 7, got ${shown(facility)}, ${shown(severity)}`,
    );
  }
  if (typeof message.message !== 'string') {
    throw new FramingError('BAD_VALUE', `message wants a string, got ${shown(message.message)}`);
  }
  if (version !== undefined && version !== 1) {
    throw new FramingError('BAD_VALUE', `version is 1, or absent for RFC 3164, got ${shown(version)}`);
  }
  return utf8Bytes(`<${facility * 8 + severity}>${version === 1 ? formatNew(message) : formatOld(message)}`);
}

function isBelow(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit;
}

function formatNew(message: SyslogMessage): string {
  const words = FIELDS.map(([name, longest]) => {
    const value = message[name] ?? '-';
    if (isField(value, longest)) return value;
    throw new FramingError('BAD_VALUE', `${name} has 1 to ${longest} printable characters, got ${shown(value)}`);
  });
  const elements = message.structuredData?.map(formatElement).join('') || '-';
  // Text that is not ASCII is marked as UTF-8 (6.4).
  const mark = /[^\0-\x7f]/.test(message.message) ? BOM : '';
  const content = message.message === '' ? '' : ` ${mark}${message.message}`;
  return `1 ${words.join(' ')} ${elements}${content}`;
}

function formatElement({ id, params }: SyslogElement): string {
  for (const name of [id, ...params.map(([each]) => each)]) {
    if (!NAME.test(name)) throw new FramingError('BAD_VALUE', `a name in structured data cannot be ${shown(name)}`);
  }
  return `[${id}${params.map(([name, value]) => ` ${name}="${value.replace(/["\\\]]/g, '\\$&')}"`).join('')}]`;
}

function formatOld(message: SyslogMessage): string {
  const { timestamp, hostname, appName, procId } = message;
  const tag = appName === undefined ? '' : `${appName}${procId === undefined ? '' : `[${procId}]`}: `;
  const text = timestamp === undefined ? message.message : `${timestamp} ${hostname} ${tag}${message.message}`;
  const { facility, severity } = message;
  const back = /^[1-9]\d{0,2} /.test(text) ? undefined : parseOld({ facility, severity }, text);
  // The format has no escapes: what would be taken for another part is refused.
  for (const name of ['timestamp', 'hostname', 'appName', 'procId', 'message'] as const) {
    if (back !== undefined && back[name] === message[name]) continue;
    throw new FramingError('BAD_VALUE', `RFC 3164 cannot say that ${name} is ${shown(message[name])} here`);
  }
  return text;
}
