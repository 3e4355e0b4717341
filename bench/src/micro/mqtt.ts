/**
 * PUBLISH packets of MQTT 3.1.1 out of 64 KiB chunks: `Framed` with `mqtt` and mqtt-packet against a loop written by hand
 * for PUBLISH with QoS 0 alone.
 */
import { Framed } from '@fdset/framing';
import { type MqttPacket, type MqttPublish, mqtt } from '@fdset/framing/protocols';
import { type Contender, frameCases, joining, payloadsTo, peer, View } from '../micro-frames.js';
import { runSuite } from '../micro-suite.js';

const TOPIC = Buffer.from('sensors/kitchen/temperature');

const contenders: Contender[] = [
  {
    name: 'loop written by hand',
    make: (sink) => {
      const deliver = payloadsTo(sink, (packet: { payload: Uint8Array; [field: string]: unknown }) => packet.payload);
      return joining((bytes) => {
        const { length, buffer, byteOffset } = bytes;
        let at = 0;
        while (length - at >= 2) {
          if (bytes[at] !== 0x30) throw new RangeError('not a publish');
          let size = bytes[at + 1]! & 127;
          let head = at + 2;
          for (let shift = 7; bytes[head - 1]! > 127; shift += 7, head++) {
            if (head === length || shift > 21) break;
            size |= (bytes[head]! & 127) << shift;
          }
          if (bytes[head - 1]! > 127 || head + size > length) break;
          const topicEnd = head + 2 + ((bytes[head]! << 8) | bytes[head + 1]!);
          if (topicEnd > head + size) throw new RangeError('bad topic');
          const topic = (bytes as Buffer).toString('utf8', head + 2, topicEnd);
          const payload = new View(buffer, byteOffset + topicEnd, head + size - topicEnd);
          deliver({ type: 'publish', topic, payload, qos: 0, retain: false, dup: false });
          at = head + size;
        }
        return at;
      });
    },
  },
  {
    name: 'Framed, mqtt',
    make: (sink) => {
      const deliver = payloadsTo(sink, (packet: MqttPacket) => (packet as MqttPublish).payload as Uint8Array);
      const framer = new Framed(mqtt(), deliver);
      return (chunk) => framer.push(chunk);
    },
  },
  {
    name: 'mqtt-packet',
    make: (sink) => {
      const parser = peer('mqtt-packet').parser({ protocolVersion: 4 });
      parser.on(
        'packet',
        payloadsTo(sink, (packet: { payload: Uint8Array }) => packet.payload),
      );
      parser.on('error', (error: Error) => {
        throw error;
      });
      return (chunk) => parser.parse(chunk);
    },
  },
];

runSuite(
  frameCases((payload) => {
    let rest = 2 + TOPIC.length + payload.length;
    const head = [0x30];
    for (; rest > 127; rest >>= 7) head.push((rest & 127) | 128);
    head.push(rest, 0, TOPIC.length);
    return Buffer.concat([Uint8Array.from(head), TOPIC, payload]);
  }, contenders),
);
