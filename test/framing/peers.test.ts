/**
 * The decoders of others as oracles: the same random streams, cut at random, give the same messages. Where theirs is wrong,
 * a line says why, and the stream is one on which they agree.
 */
import { createRequire } from 'node:module';
import { decodeAll, encodeAll, Framed } from '@fdset/framing';
import {
  type MqttPacket,
  mqtt,
  postgres,
  RespError,
  type RespMessage,
  resp,
  type WebSocketFrameToSend,
  websocket,
} from '@fdset/framing/protocols';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cut, cuts } from './support.js';

// biome-ignore lint/suspicious/noExplicitAny: internals without types
const peer: (name: string) => any = createRequire(import.meta.url);

/** Bytes as hex, at any depth, so that it does not matter which class of bytes they are. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `hex ${Buffer.from(value).toString('hex')}`;
  if (value instanceof Error) return `error ${value.message}`;
  if (Array.isArray(value)) return value.map(plain);
  return value;
}

function throwing(error: Error): never {
  throw error;
}

describe('the same messages as', () => {
  it('redis-parser, for RESP2', () => {
    const Parser = peer('redis-parser');
    // It reads integers beyond 2^53 as other numbers, and takes no digits for 0 (`:12a4` is 1694 there).
    const { message } = fc.letrec<{ message: RespMessage }>((tie) => ({
      message: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.string({ unit: fc.constantFrom(...'abc é:$*') }),
        fc.uint8Array({ maxLength: 50 }),
        fc.maxSafeInteger(),
        fc.constant(null),
        fc.string({ unit: 'grapheme-ascii', maxLength: 20 }).map((text) => new RespError(`ERR ${text}`)),
        fc.array(tie('message'), { maxLength: 6 }),
      ),
    }));
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), cuts, (messages, sizes) => {
        const stream = encodeAll(resp(), messages);
        const theirs: unknown[] = [];
        const keep = (reply: unknown) => theirs.push(reply);
        const parser = new Parser({
          returnReply: keep,
          returnError: keep,
          returnFatalError: throwing,
          returnBuffers: true,
        });
        const ours: unknown[] = [];
        const framer = new Framed(resp(), (reply) => ours.push(reply));
        for (const piece of cut(stream, sizes)) {
          parser.execute(Buffer.from(piece));
          framer.push(piece);
        }
        framer.end();
        // Strings are bytes there, simple ones too.
        const simple = (value: unknown): unknown =>
          Array.isArray(value) ? value.map(simple) : typeof value === 'string' ? Buffer.from(value) : value;
        expect(plain(ours.map(simple))).toEqual(plain(theirs));
      }),
      { numRuns: 300 },
    );
  });

  it.each([true, false])('the Receiver of ws, masked: %s', (masked) => {
    const { Receiver } = peer('ws');
    const control = fc.record({ opcode: fc.constantFrom(9, 10), payload: fc.uint8Array({ maxLength: 125 }) });
    const message = fc
      .tuple(
        fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 4 }),
        fc.array(control, { maxLength: 2 }),
      )
      .map(([parts, between]): WebSocketFrameToSend[] =>
        parts.flatMap((payload, i) => [
          { opcode: i === 0 ? 2 : 0, fin: i === parts.length - 1, payload },
          ...(i === 0 ? between : []),
        ]),
      );
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), cuts, (messages, sizes) => {
        const codec = websocket({ masked });
        const stream = encodeAll(codec, messages.flat());
        const theirs: unknown[] = [];
        const receiver = new Receiver({ isServer: masked });
        receiver.on('message', (data: Buffer) => theirs.push(['message', Buffer.from(data)]));
        receiver.on('ping', (data: Buffer) => theirs.push([9, Buffer.from(data)]));
        receiver.on('pong', (data: Buffer) => theirs.push([10, Buffer.from(data)]));
        receiver.on('error', throwing);
        const ours: unknown[] = [];
        let parts: Uint8Array[] = [];
        const framer = new Framed(codec, ({ fin, opcode, payload }) => {
          if (opcode > 8) ours.push([opcode, payload]);
          else {
            parts.push(payload);
            if (fin) ours.push(['message', Buffer.concat(parts.splice(0))]);
          }
        });
        for (const piece of cut(stream, sizes)) {
          framer.push(Buffer.from(piece));
          receiver.write(piece);
        }
        framer.end();
        parts = [];
        expect(plain(ours)).toEqual(plain(theirs));
      }),
      { numRuns: 200 },
    );
  });

  it('pg-protocol, for CopyData, whose bytes it overwrites later: they are copied when they come', () => {
    const { Parser } = peer('pg-protocol/dist/parser');
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 12 }), cuts, (bodies, sizes) => {
        const stream = encodeAll(
          postgres(),
          bodies.map((body) => ({ type: 0x64, body })),
        );
        const theirs: unknown[] = [];
        const ours: unknown[] = [];
        const parser = new Parser();
        const framer = new Framed(postgres(), ({ body }) => ours.push(body));
        for (const piece of cut(stream, sizes)) {
          parser.parse(Buffer.from(piece), ({ chunk }: { chunk: Buffer }) => theirs.push(Buffer.from(chunk)));
          framer.push(piece);
        }
        framer.end();
        expect(plain(ours)).toEqual(plain(theirs));
      }),
      { numRuns: 300 },
    );
  });

  it.each([4, 5] as const)('mqtt-packet, version %s', (version) => {
    const library = peer('mqtt-packet');
    const id = fc.integer({ min: 1, max: 65535 });
    const topic = fc.string({ unit: fc.constantFrom(...'abc/é€'), minLength: 1, maxLength: 60 });
    const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);
    // Of a DISCONNECT without a code (MQTT 5, 3.14.2.1) it takes the next packet's first byte for the code.
    const plainTypes = ['pingreq', 'pingresp', ...(version === 4 ? (['disconnect'] as const) : [])] as const;
    const packet: fc.Arbitrary<MqttPacket> = fc.oneof(
      fc
        .record({ topic, payload: fc.uint8Array({ maxLength: 200 }), qos, retain: fc.boolean(), dup: fc.boolean(), id })
        .map((each) => ({ type: 'publish' as const, ...each, dup: each.dup && each.qos > 0 })),
      fc.record({
        type: fc.constantFrom('puback' as const, 'pubrec' as const, 'pubrel' as const, 'pubcomp' as const),
        id,
      }),
      fc.record({
        type: fc.constant('subscribe' as const),
        id,
        subscriptions: fc.array(fc.record({ topic, qos }), { minLength: 1, maxLength: 4 }),
      }),
      fc.record({
        type: fc.constant('unsubscribe' as const),
        id,
        topics: fc.array(topic, { minLength: 1, maxLength: 4 }),
      }),
      fc.record({ type: fc.constantFrom(...plainTypes) }),
    );
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 8 }), cuts, (packets, sizes) => {
        const codec = mqtt({ version });
        const stream = encodeAll(codec, packets);
        const theirs: Record<string, unknown>[] = [];
        const parser = library.parser({ protocolVersion: version });
        parser.on('packet', (each: Record<string, unknown>) => theirs.push(each));
        parser.on('error', throwing);
        const ours: MqttPacket[] = [];
        const framer = new Framed(codec, (each) => ours.push(each));
        for (const piece of cut(stream, sizes)) {
          parser.parse(Buffer.from(piece));
          framer.push(piece);
        }
        framer.end();
        expect(ours.length).toBe(packets.length);
        const told = ours.map((each) => {
          const { type, ...rest } = each as MqttPacket & { id?: number; topics?: string[]; subscriptions?: object[] };
          return {
            cmd: type,
            messageId: rest.id,
            topic: undefined,
            payload: undefined,
            qos: undefined,
            ...rest,
          } as Record<string, unknown>;
        });
        for (const [i, our] of told.entries()) {
          const their = theirs[i]!;
          expect(their.cmd).toBe(our.cmd);
          expect(their.messageId).toBe(our.messageId);
          if (our.cmd === 'publish') {
            for (const name of ['topic', 'qos', 'retain', 'dup']) expect(their[name]).toBe(our[name]);
            expect(plain(their.payload)).toEqual(plain(our.payload));
          }
          if (our.cmd === 'unsubscribe') expect(their.unsubscriptions).toEqual(our.topics);
          if (our.cmd === 'subscribe') {
            const names = (list: unknown) =>
              (list as { topic: string; qos: number }[]).map((each) => [each.topic, each.qos]);
            expect(names(their.subscriptions)).toEqual(names(our.subscriptions));
          }
        }
        // And the bytes that it makes of its packets are ours again.
        const again = Buffer.concat(theirs.map((each) => library.generate(each, { protocolVersion: version })));
        expect(decodeAll(codec, again).map(plain)).toEqual(ours.map(plain));
      }),
      { numRuns: 200 },
    );
  });
});
