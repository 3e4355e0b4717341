/** Raw sockets (with the system's permission): an ICMP echo that the loopback interface answers. */
import { DatagramBatch, type Reactor, type Socket } from '@fdset/reactor';
import { describe, expect, type TestContext } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { type InetFamily, LOOPBACK } from '../support/datagrams.js';
import { owned } from '../support/sockets.js';
import { thrown } from '../support/waiting.js';

const PROTOCOL = { ipv4: 1, ipv6: 58 };
const ECHO_REQUEST = { ipv4: 8, ipv6: 128 };
const ECHO_REPLY = { ipv4: 0, ipv6: 129 };
/** An IPv4 raw socket receives the header of the packet as well; raw(7). */
const HEADER_BYTES = { ipv4: 20, ipv6: 0 };

function raw(context: TestContext, reactor: Reactor, family: InetFamily): Socket {
  try {
    return owned(reactor.socket({ type: 'raw', family, protocol: PROTOCOL[family] }));
  } catch (error) {
    expect(error).toMatchObject({ code: 'EPERM', syscall: 'socket' });
    context.skip('raw sockets take CAP_NET_RAW');
    throw error;
  }
}

/** RFC 1071; the checksum of ICMPv6 is the kernel's. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

function echo(family: InetFamily, id: number): Buffer {
  const packet = Buffer.alloc(16);
  packet[0] = ECHO_REQUEST[family];
  packet.writeUInt16BE(id, 4);
  packet.write('raw echo', 8);
  if (family === 'ipv4') packet.writeUInt16BE(checksum(packet), 2);
  return packet;
}

function isReply(family: InetFamily, id: number, payload: Buffer): boolean {
  const packet = payload.subarray(HEADER_BYTES[family]);
  return packet[0] === ECHO_REPLY[family] && packet.readUInt16BE(4) === id;
}

describeBackends('raw sockets', (stage) => {
  const check = stage.needs('raw');

  describe.each(['ipv4', 'ipv6'] as const)('over %s', (family) => {
    check('an echo request is answered', async (context) => {
      const reactor = stage.reactor();
      const socket = raw(context, reactor, family);
      expect([socket.type, socket.family]).toEqual(['raw', family]);
      const id = (process.pid ^ Date.now()) & 0xffff;
      const to = { host: LOOPBACK[family], port: 0 };
      expect(socket.sendTo(echo(family, id), to)).toBe(16);
      const into = Buffer.alloc(256);
      // The socket hears all of the host's ICMP, its own request included.
      for (;;) {
        const received = socket.recvFrom(into);
        if (received === null) {
          await reactor.select([socket], [], []);
          continue;
        }
        const payload = into.subarray(0, received.bytes);
        if (!isReply(family, id, payload)) continue;
        expect(payload.toString('latin1', HEADER_BYTES[family] + 8)).toBe('raw echo');
        expect(received).toMatchObject({ address: to, truncated: false });
        break;
      }
      const batch = new DatagramBatch(4, 256);
      batch.add(echo(family, id), to);
      expect(socket.sendBatch(batch)).toBe(1);
      let at = -1;
      while (at < 0) {
        await reactor.select([socket], [], []);
        socket.recvBatch(batch);
        at = Array.from({ length: batch.length }, (_, i) => batch.payload(i)).findIndex((payload) =>
          isReply(family, id, payload),
        );
      }
      expect(batch.address(at)).toEqual(to);
    });
  });

  check('a protocol that the system lacks is its error', (context) => {
    const reactor = stage.reactor();
    raw(context, reactor, 'ipv4');
    expect(thrown(() => reactor.socket({ type: 'raw', protocol: -1 }))).toMatchObject({ syscall: 'socket' });
    expect(thrown(() => reactor.socket({ type: 'raw', family: 'unix', protocol: 77 }))).toMatchObject({
      code: 'EPROTONOSUPPORT',
    });
  });
});
