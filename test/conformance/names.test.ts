/** Names of hosts, of services, and of this host. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { hostName, type LookupOptions, lookup, reverse, servicePort } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { guardEachTest } from '../support/backends.js';
import { nameServer } from '../support/name-server.js';
import { runNode } from '../support/node-process.js';
import { rejection, thrown } from '../support/waiting.js';

/** Runs a program in a mount namespace of its own, where a folder may hide the system's files. */
const OWN_MOUNTS = ['unshare', '--user', '--map-root-user', '--mount'] as const;

describe('names', () => {
  guardEachTest();

  it('a literal answers itself, with the port that was asked for', async () => {
    expect(await lookup('127.0.0.1')).toEqual([{ host: '127.0.0.1', port: 0 }]);
    expect(await lookup('::1', { port: 80 })).toEqual([{ host: '::1', port: 80 }]);
    expect(await lookup('192.0.2.7', { family: 'ipv4', servers: ['127.0.0.1:9'] })).toEqual([
      { host: '192.0.2.7', port: 0 },
    ]);
  });

  it('a zone in a literal becomes its scopeId, by the index or by the name of the interface', async () => {
    expect(await lookup('fe80::1%3')).toEqual([{ host: 'fe80::1', port: 0, scopeId: 3 }]);
    for (const [name, entries] of Object.entries(networkInterfaces())) {
      const linked = entries?.find((entry) => entry.family === 'IPv6' && entry.scopeid !== 0);
      if (linked === undefined) continue;
      expect(await lookup(`fe80::1%${name}`)).toMatchObject([{ host: 'fe80::1', scopeId: linked.scopeid }]);
    }
    expect(await rejection(lookup('fe80::1%nowhere'))).toMatchObject({ code: 'ENOTFOUND', name: 'SocketError' });
  });

  it('a name of the hosts file has its addresses; of one family on demand', async () => {
    expect(await lookup('localhost', { port: 7 })).toContainEqual({ host: '127.0.0.1', port: 7 });
    expect(await lookup('localhost', { family: 'ipv4' })).toEqual([{ host: '127.0.0.1', port: 0 }]);
  });

  it('a name server of one’s own is asked for both families, and the names of an address', async () => {
    const servers = [
      await nameServer({
        'both.test': { A: ['192.0.2.1', '192.0.2.2'], AAAA: ['2001:db8::1'] },
        'old.test': { A: ['192.0.2.3'] },
        '1.2.0.192.in-addr.arpa': { PTR: ['one.test', 'uno.test'] },
        '1.2.0.193.in-addr.arpa': {},
      }),
    ];
    expect(await lookup('both.test', { servers })).toEqual(
      ['2001:db8::1', '192.0.2.1', '192.0.2.2'].map((host) => ({ host, port: 0 })),
    );
    expect(await lookup('both.test', { servers, family: 'ipv4', port: 53 })).toEqual(
      ['192.0.2.1', '192.0.2.2'].map((host) => ({ host, port: 53 })),
    );
    expect(await lookup('old.test', { servers })).toEqual([{ host: '192.0.2.3', port: 0 }]);
    expect(await rejection(lookup('old.test', { servers, family: 'ipv6' }))).toMatchObject({ code: 'ENOTFOUND' });
    expect(await rejection(lookup('none.test', { servers }))).toMatchObject({
      name: 'SocketError',
      code: 'ENOTFOUND',
      syscall: 'getaddrinfo',
      message: 'getaddrinfo ENOTFOUND none.test',
    });
    expect((await reverse('192.0.2.1', { servers })).sort()).toEqual(['one.test', 'uno.test']);
    expect((await reverse({ host: '192.0.2.1', port: 80 }, { servers })).sort()).toEqual(['one.test', 'uno.test']);
    expect(await rejection(reverse('192.0.2.9', { servers }))).toMatchObject({
      name: 'SocketError',
      code: 'ENOTFOUND',
      message: 'getnameinfo ENOTFOUND 192.0.2.9',
    });
  });

  it('a name server that does not answer is a failure after timeoutMs, not a wait for ever', async () => {
    // Nobody listens: the datagrams are refused at once, or lost.
    const error = await rejection(lookup('any.test', { servers: ['127.0.0.1:1'], timeoutMs: 20 }));
    expect(error.code).toMatch(/^E(CONNREFUSED|TIMEOUT)$/);
    expect(error.message).toContain('any.test');
  });

  it('loopback has a name', async () => {
    const names = await reverse('127.0.0.1');
    expect(names.length).toBeGreaterThan(0);
    for (const name of names)
      expect(await lookup(name, { family: 'ipv4' })).toContainEqual({ host: '127.0.0.1', port: 0 });
  });

  it.each([
    ['no name', '', {}],
    ['a name with a NUL', 'local\0host', {}],
    ['a number', 7, {}],
    ['an unknown family', 'localhost', { family: 'unix' }],
    ['a port beyond the range', 'localhost', { port: 65536 }],
    ['servers that are no list', 'localhost', { servers: '127.0.0.1' }],
    ['no servers', 'localhost', { servers: [] }],
    ['a server that is a name', 'localhost', { servers: ['dns.test'] }],
    ['a timeout of 0', 'localhost', { servers: ['127.0.0.1'], timeoutMs: 0 }],
  ])('%s is refused', async (_what, host, options) => {
    const error = await rejection(lookup(host as string, options as LookupOptions));
    expect(error.code).toBe('ERR_REACTOR_ARGUMENT');
    expect(error.message).toMatch(/got /);
  });

  it('reverse refuses what is no address', async () => {
    for (const wrong of ['localhost', '', 7, null, undefined, { path: '/x' }])
      expect(await rejection(reverse(wrong as string))).toMatchObject({ code: 'ERR_REACTOR_ADDRESS' });
  });

  it('servicePort knows services by their names and aliases', () => {
    expect([servicePort('http'), servicePort('domain', 'udp'), servicePort('smtp', 'tcp')]).toEqual([80, 53, 25]);
    expect(servicePort('mail')).toBe(25);
  });

  it.runIf(existsSync('/etc/services'))(
    'servicePort finds what getservbyname(3) finds, for every service of the file',
    () => {
      const script = `import json, re, socket
entries = re.findall(r'^(\\S+)\\s+\\d+/(tcp|udp)', open('/etc/services').read(), re.M)
print(json.dumps([(name, protocol, socket.getservbyname(name, protocol)) for name, protocol in entries]))`;
      const answers = JSON.parse(execFileSync('python3', ['-c', script], { encoding: 'utf8' })) as [
        string,
        string,
        number,
      ][];
      expect(answers.length).toBeGreaterThan(0);
      for (const [name, protocol, port] of answers) expect([name, servicePort(name, protocol)]).toEqual([name, port]);
    },
  );

  it('an unknown service is an error that names it and its protocol', () => {
    for (const [name, protocol] of [
      ['no-such-service', 'tcp'],
      ['http', 'sctp-or-so'],
      ['__proto__', 'tcp'],
    ] as const) {
      const error = thrown(() => servicePort(name, protocol));
      expect(error).toMatchObject({ name: 'RangeError', code: 'ERR_REACTOR_SERVICE' });
      expect(error.message).toContain(`'${name}'`);
      expect(error.message).toContain(`'${protocol}'`);
    }
    for (const wrong of ['', 80, undefined])
      expect(thrown(() => servicePort(wrong as string))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    expect(thrown(() => servicePort('http', 6 as never))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
  });

  it.runIf(spawnSync(OWN_MOUNTS[0], [...OWN_MOUNTS.slice(1), 'true']).status === 0)(
    'without a services file there is a small table',
    async () => {
      const { lines } = await runNode(
        `import { servicePort } from '@fdset/reactor';
         console.log(servicePort('http'), servicePort('echo', 'udp'), servicePort('redis'));
         try { servicePort('tcpmux'); } catch (error) { console.log(error.message); }`,
        { through: [...OWN_MOUNTS, 'sh', '-c', 'mount -t tmpfs none /etc && exec "$@"', 'sh'] },
      );
      expect(lines[0]).toBe('80 7 6379');
      expect(lines[1]).toContain("there is no service 'tcpmux' for the protocol 'tcp' in the built-in table");
    },
  );

  it('hostName is what the system is called', () => {
    expect(hostName()).toBe(execFileSync('hostname', { encoding: 'utf8' }).trim());
  });
});
