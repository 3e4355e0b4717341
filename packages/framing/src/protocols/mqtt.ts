import type { Codec, Input, Output } from '../codec.js';
import { OptionReader, tooLong } from '../codecs/options.js';
import { FramingError } from '../errors.js';
import { packetOf, takePublish } from './mqtt-decoder.js';
import { writtenPacket } from './mqtt-encoder.js';
import type { MqttPacket, MqttVersion } from './mqtt-packets.js';
import { TopicNames } from './mqtt-topics.js';

/** Options of {@link mqtt}. */
export interface MqttOptions {
  /**
   * 4: MQTT 3.1.1, 5: MQTT 5, 3: MQTT 3.1. Default 4. A stream in which a CONNECT comes is read in the version that it
   * names; packets are written in the version of the option.
   */
  version?: MqttVersion | undefined;
  /** Most bytes behind the fixed header. Default 16 MiB, at most 268,435,455. */
  maxFrameLength?: number | undefined;
}

/** The most that four bytes of seven bits hold (2.1.4). */
const LARGEST = 0xfffffff;
/** Bits of the flags that must be as they are, and how, by packet type (2.1.3). */
const FIXED_FLAGS = [15, 15, 15, 0, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15];
const FLAGS = [0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0];

class MqttCodec implements Codec<MqttPacket> {
  private readonly version: MqttVersion;
  private readonly maxFrameLength: number;
  private readonly topics = new TopicNames();

  constructor(options: MqttOptions) {
    const reader = new OptionReader('mqtt', options, ['version', 'maxFrameLength']);
    this.version = reader.integer('version', 4, 3, 5) as MqttVersion;
    this.maxFrameLength = Math.min(reader.maxFrameLength(), LARGEST);
  }

  decode(input: Input): MqttPacket | undefined {
    if (!input.has(2)) return undefined;
    const first = input.u8(0);
    const version = (input.state as MqttVersion | undefined) ?? this.version;
    checkFirst(first, version);
    let length = input.u8(1);
    let header = 2;
    if (length > 0x7f) {
      length &= 0x7f;
      for (let shift = 7; ; shift += 7) {
        // Not there yet is another thing than malformed.
        if (!input.has(header + 1)) return undefined;
        const byte = input.u8(header++);
        length |= (byte & 0x7f) << shift;
        if (byte > 0x7f && shift === 21)
          throw new FramingError('BAD_VARINT', 'a length of more than four bytes (2.1.4)');
        if (byte > 0x7f) continue;
        if (byte === 0 && version === 5) throw new FramingError('BAD_VARINT', 'a length in too many bytes (1.5.5)');
        break;
      }
    }
    if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    if (!input.has(header + length)) return undefined;
    input.skip(header);
    if (first >> 4 === 3) return takePublish(first, input, length, version, this.topics);
    const packet = packetOf(first, input.take(length), version);
    if (packet.type === 'connect') input.state = packet.version;
    return packet;
  }

  encode(packet: MqttPacket, output: Output): void {
    const { first, body, payload } = writtenPacket(packet, this.version);
    const length = body.length + payload.length;
    if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    output.u8(first);
    let rest = length;
    for (; rest > 0x7f; rest >>>= 7) output.u8((rest & 0x7f) | 0x80);
    output.u8(rest).bytes(body).bytes(payload);
  }
}

function checkFirst(first: number, version: MqttVersion): void {
  const type = first >> 4;
  if (type === 0 || (type === 15 && version !== 5)) {
    throw new FramingError('BAD_TYPE', `no packet of MQTT ${version} has the type ${type} (2.1.2)`);
  }
  if ((first & FIXED_FLAGS[type]!) !== FLAGS[type]! && version !== 3) {
    throw new FramingError('BAD_HEADER', `wrong flags in the first byte, 0x${first.toString(16)} (2.1.3)`);
  }
  if (type !== 3) return;
  const qos = (first >> 1) & 3;
  if (qos === 3) throw new FramingError('BAD_HEADER', 'a publish with QoS 3 (3.3.1.2)');
  if (qos === 0 && (first & 8) !== 0 && version !== 3) {
    throw new FramingError('BAD_HEADER', 'a publish with QoS 0 that is a duplicate (3.3.1.1)');
  }
}

/**
 * The control packets of MQTT 3.1.1 and 5 (OASIS), for clients and servers. A codec of a server reads the version off
 * the CONNECT; to answer in it, go on with `use(mqtt({ version: connect.version }))`.
 *
 * One packet is checked by itself: what may follow what is left to the session.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function mqtt(options: MqttOptions = {}): Codec<MqttPacket> {
  return new MqttCodec(options);
}
