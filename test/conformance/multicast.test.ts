/** Multicast groups over IPv4 and IPv6: by interface, by source, and the options beside them. All of it stays on this host. */
import { networkInterfaces } from 'node:os';
import type { InetAddress, Reactor, Socket } from '@fdset/reactor';
import { describe, expect, it, type TestContext } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { bound, type InetFamily, LOOPBACK, receivedFrom, refusal, textFrom } from '../support/datagrams.js';
import { owned } from '../support/sockets.js';
import { rounds, thrown } from '../support/waiting.js';

interface Multicast {
  readonly family: InetFamily;
  readonly group: string;
  readonly other: string;
  /** The network interface, by its name. */
  readonly device: string;
}

/**
 * Groups of the host's own scope: what is sent to them leaves no host (RFC 4291 2.7: ff01). They are this process's own: a
 * socket that has left a group hears it as long as any other one of the host is in it (ip(7), IP_MULTICAST_ALL).
 */
const [HIGH, LOW] = [(process.pid >> 8) & 255, process.pid & 255];
const LOW16 = (process.pid & 0xffff).toString(16);
const GROUPS = {
  ipv4: { group: `239.255.${HIGH}.${LOW}`, other: `239.254.${HIGH}.${LOW}` },
  ipv6: { group: `ff01::4d:${LOW16}`, other: `ff01::4e:${LOW16}` },
};

function loopback(): string {
  const found = Object.entries(networkInterfaces()).find(([, entries]) => entries?.some(({ internal }) => internal));
  return found?.[0] as string;
}

/** The first interface over which the family's multicasts have a route: the loopback interface, unless it must be another. */
async function multicast(reactor: Reactor, family: InetFamily, looped: boolean): Promise<Multicast | undefined> {
  const probe = bound(reactor, family, '').socket;
  const { port } = probe.localAddress as InetAddress;
  const others = Object.keys(networkInterfaces()).filter((name) => name !== loopback());
  for (const device of looped ? [loopback(), ...others] : others) {
    try {
      probe.setOption('multicastInterface', device);
      probe.setOption('multicastTtl', 0);
      probe.sendTo(Buffer.alloc(0), { host: GROUPS[family].group, port });
      // A backend that hears of a refusal later has heard of it by now.
      await rounds(1);
      if (probe.takeError() === null) return { family, device, ...GROUPS[family] };
    } catch {
      // No route for multicasts over it.
    }
  }
  return undefined;
}

async function found(context: TestContext, reactor: Reactor, family: InetFamily, looped = true): Promise<Multicast> {
  const one = await multicast(reactor, family, looped);
  if (one === undefined) context.skip(`no interface here has a route for ${family} multicasts`);
  return one as Multicast;
}

/** A sender whose multicasts stay on this host. */
function sender(reactor: Reactor, { family, device }: Multicast): { socket: Socket; port: number } {
  const { socket, address } = bound(reactor, family, '');
  socket.setOption('multicastInterface', device);
  socket.setOption('multicastTtl', 0);
  return { socket, port: address.port };
}

describeBackends('multicast', (stage) => {
  const onInterfaces = stage.real('network interfaces');

  describe.each(['ipv4', 'ipv6'] as const)('over %s', (family) => {
    it('a group is received from once it is joined, and no more when it was left (88)', async (context) => {
      const reactor = stage.reactor();
      const net = await found(context, reactor, family);
      const { socket, address } = bound(reactor, family, '');
      const { socket: from, port } = sender(reactor, net);
      const to = { host: net.group, port: address.port };
      socket.joinGroup(net.group, { interface: net.device });
      from.sendTo(Buffer.from('joined'), to);
      const [text, received] = await receivedFrom(reactor, socket);
      expect([text, received.address]).toEqual(['joined', expect.objectContaining({ port })]);
      socket.leaveGroup(net.group, { interface: net.device });
      from.sendTo(Buffer.from('left'), to);
      // A datagram to itself shows that nothing else comes: loopback keeps the order.
      from.sendTo(Buffer.from('mark'), { host: LOOPBACK[family], port: address.port });
      expect(await textFrom(reactor, socket)).toBe('mark');
    });

    it('with a source only that sender is heard, until the source is left', async (context) => {
      const reactor = stage.reactor();
      const net = await found(context, reactor, family);
      const [one, two] = [bound(reactor, family, ''), bound(reactor, family, '')];
      const { socket: from } = sender(reactor, net);
      // Whom it is heard as is what a receiver of any source is told.
      two.socket.joinGroup(net.group, { interface: net.device });
      from.sendTo(Buffer.from('who?'), { host: net.group, port: two.address.port });
      const source = ((await receivedFrom(reactor, two.socket))[1].address as InetAddress).host;
      const stranger = family === 'ipv4' ? '127.9.9.9' : 'fd00::9';
      one.socket.joinGroup(net.other, { interface: net.device, source: stranger });
      const send = (text: string) => from.sendTo(Buffer.from(text), { host: net.other, port: one.address.port });
      send('from another');
      one.socket.joinGroup(net.other, { interface: net.device, source });
      send('from the source');
      expect(await textFrom(reactor, one.socket)).toBe('from the source');
      one.socket.leaveGroup(net.other, { interface: net.device, source });
      send('after');
      from.sendTo(Buffer.from('mark'), { host: LOOPBACK[family], port: one.address.port });
      expect(await textFrom(reactor, one.socket)).toBe('mark');
      expect(thrown(() => one.socket.leaveGroup(net.other, { interface: net.device, source }))).toMatchObject({
        code: 'EADDRNOTAVAIL',
      });
    });

    it('without multicastLoop this host does not hear itself', async (context) => {
      const reactor = stage.reactor();
      // The loopback interface is a wire that comes back, whatever the option says.
      const net = await found(context, reactor, family, false);
      const { socket, address } = bound(reactor, family, '');
      socket.joinGroup(net.group, { interface: net.device });
      const { socket: from } = sender(reactor, net);
      expect(from.getOption('multicastLoop')).toBe(true);
      from.setOption('multicastLoop', false);
      from.sendTo(Buffer.from('unheard'), { host: net.group, port: address.port });
      from.setOption('multicastLoop', true);
      from.sendTo(Buffer.from('heard'), { host: net.group, port: address.port });
      expect(await textFrom(reactor, socket)).toBe('heard');
    });

    onInterfaces('the options are read as they were set (88)', () => {
      const reactor = stage.reactor();
      const { socket } = bound(reactor, family);
      expect([socket.getOption('multicastTtl'), socket.getOption('multicastInterface')]).toEqual([1, '']);
      for (const ttl of [0, 7, 255]) {
        socket.setOption('multicastTtl', ttl);
        expect(socket.getOption('multicastTtl')).toBe(ttl);
      }
      const device = loopback();
      const named = family === 'ipv4' ? '127.0.0.1' : device;
      for (const given of [device, LOOPBACK[family]]) {
        socket.setOption('multicastInterface', given);
        expect(socket.getOption('multicastInterface')).toBe(named);
      }
      socket.setOption('multicastInterface', '');
      expect(socket.getOption('multicastInterface')).toBe('');
      for (const [name, value, code] of [
        ['multicastTtl', 256, 'ERR_REACTOR_ARGUMENT'],
        ['multicastTtl', -1, 'ERR_REACTOR_ARGUMENT'],
        ['multicastLoop', 1, 'ERR_REACTOR_ARGUMENT'],
        ['multicastInterface', 1, 'ERR_REACTOR_ARGUMENT'],
        ['multicastInterface', 'nosuch0', 'ENODEV'],
      ] as const)
        expect(thrown(() => socket.setOption(name, value as never))).toMatchObject({ code });
    });

    onInterfaces('what is no group, no interface, joined twice or never is refused (88)', async (context) => {
      const reactor = stage.reactor();
      const net = await found(context, reactor, family);
      const { socket } = bound(reactor, family, '');
      const onDevice = { interface: net.device };
      expect(thrown(() => socket.joinGroup(LOOPBACK[family], onDevice))).toMatchObject({ code: 'EINVAL' });
      expect(thrown(() => socket.joinGroup(net.group, { interface: 'nosuch0' }))).toMatchObject({ code: 'ENODEV' });
      socket.joinGroup(net.group, onDevice);
      expect(thrown(() => socket.joinGroup(net.group, onDevice))).toMatchObject({
        name: 'SocketError',
        code: 'EADDRINUSE',
        address: net.group,
      });
      expect(thrown(() => socket.leaveGroup(net.other, onDevice))).toMatchObject({ code: 'EADDRNOTAVAIL' });
      const wrong = family === 'ipv4' ? GROUPS.ipv6.group : GROUPS.ipv4.group;
      for (const group of [wrong, 'all-hosts.test', '', undefined, 'ff02::1%lo'])
        expect(thrown(() => socket.joinGroup(group as string))).toMatchObject({ code: 'ERR_REACTOR_ADDRESS' });
      expect(thrown(() => socket.joinGroup(net.other, { source: wrong }))).toMatchObject({
        code: 'ERR_REACTOR_ADDRESS',
      });
      expect(thrown(() => socket.joinGroup(net.other, { interface: 7 as never }))).toMatchObject({
        code: 'ERR_REACTOR_ARGUMENT',
      });
    });
  });

  onInterfaces('the scope of a link-local sender is told, and a zone in a host means the same', async (context) => {
    const reactor = stage.reactor();
    const [device, local] =
      Object.entries(networkInterfaces())
        .map(([name, entries]) => [name, entries?.find(({ address }) => address.startsWith('fe80:'))] as const)
        .find(([, entry]) => entry !== undefined) ?? [];
    if (device === undefined || local === undefined) {
      context.skip('no interface here has a link-local address');
      return;
    }
    const scopeId = (local as { scopeid: number }).scopeid;
    const one = bound(reactor, 'ipv6', `${local.address}%${device}`);
    expect(one.address).toEqual({ host: local.address, port: one.address.port, scopeId });
    const two = owned(reactor.socket({ type: 'datagram', family: 'ipv6' }));
    expect(await refusal(reactor, two, () => two.bind({ host: local.address, port: 0 }))).toMatchObject({
      code: 'EINVAL',
    });
    two.bind({ host: local.address, port: 0, scopeId });
    // Sent to an address of this host: it goes over the loopback interface.
    two.sendTo(Buffer.from('scoped'), one.address);
    const [text, { address }] = await receivedFrom(reactor, one.socket);
    expect([text, address]).toEqual(['scoped', two.localAddress]);
    one.socket.sendTo(Buffer.from('zoned'), {
      host: `${local.address}%${scopeId}`,
      port: (address as InetAddress).port,
    });
    expect(await textFrom(reactor, two)).toBe('zoned');
  });
});
