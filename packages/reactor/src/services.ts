/** The ports of services, by the system's services file: getservbyname(3). */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, misuse, outOfRange } from './errors.js';

/** Where there is no file (containers often have none): what a socket programmer's examples are likely to name. */
const WELL_KNOWN = `
echo 7/tcp
echo 7/udp
discard 9/tcp sink null
discard 9/udp sink null
daytime 13/tcp
daytime 13/udp
chargen 19/tcp ttytst source
chargen 19/udp ttytst source
ftp-data 20/tcp
ftp 21/tcp
ssh 22/tcp
telnet 23/tcp
smtp 25/tcp mail
time 37/tcp timserver
time 37/udp timserver
whois 43/tcp nicname
domain 53/tcp
domain 53/udp
tftp 69/udp
gopher 70/tcp
finger 79/tcp
http 80/tcp www
kerberos 88/tcp
kerberos 88/udp
pop3 110/tcp pop-3
sunrpc 111/tcp portmapper
sunrpc 111/udp portmapper
nntp 119/tcp readnews untp
ntp 123/udp
imap2 143/tcp imap
snmp 161/udp
irc 194/tcp
ldap 389/tcp
https 443/tcp
https 443/udp
submissions 465/tcp ssmtp smtps urd
syslog 514/udp
submission 587/tcp
ldaps 636/tcp
domain-s 853/tcp
imaps 993/tcp
pop3s 995/tcp
socks 1080/tcp
mqtt 1883/tcp
mysql 3306/tcp
postgresql 5432/tcp postgres
redis 6379/tcp
http-alt 8080/tcp webcache
memcached 11211/tcp
memcached 11211/udp
`;

const FILE =
  process.platform === 'win32'
    ? path.join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', 'drivers', 'etc', 'services')
    : '/etc/services';

interface Services {
  /** `name/protocol` to the port. */
  readonly ports: ReadonlyMap<string, number>;
  readonly source: string;
  readonly changed: number;
}

let known: Services | undefined;

/**
 * The port of a service, such as 80 for 'http', by its name or an alias of it, from the system's services file; where
 * there is none, from a small table of its own. Reads the file once, and again when it has changed.
 *
 * Throws `ERR_REACTOR_SERVICE` for a service that is not there, naming it and its protocol; `ERR_REACTOR_ARGUMENT` for
 * what is no string.
 */
export function servicePort(name: string, protocol = 'tcp'): number {
  if (typeof name !== 'string' || name === '')
    throw misuse('ERR_REACTOR_ARGUMENT', `a service is named by a string that is not empty, got ${describe(name)}`);
  if (typeof protocol !== 'string' || protocol === '')
    throw misuse('ERR_REACTOR_ARGUMENT', `a protocol is a string such as 'tcp' or 'udp', got ${describe(protocol)}`);
  const { ports, source } = services();
  const port = ports.get(`${name}/${protocol}`);
  if (port !== undefined) return port;
  throw outOfRange(
    'ERR_REACTOR_SERVICE',
    `there is no service ${describe(name)} for the protocol ${describe(protocol)} in ${source}`,
  );
}

function services(): Services {
  const changed = statSync(FILE, { throwIfNoEntry: false })?.mtimeMs ?? -1;
  if (known?.changed !== changed) known = read(changed);
  return known;
}

function read(changed: number): Services {
  try {
    if (changed !== -1) return { ports: parseServices(readFileSync(FILE, 'utf8')), source: FILE, changed };
  } catch {
    // Not readable for us.
  }
  return { ports: parseServices(WELL_KNOWN), source: `the built-in table (there is no ${FILE})`, changed };
}

/** Lines of `name port/protocol aliases… # comment` (services(5)); the first line of a name counts. Others are passed over. */
export function parseServices(text: string): Map<string, number> {
  const ports = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [name, entry = '', ...aliases] = (line.split('#', 1)[0] as string).trim().split(/\s+/) as [
      string,
      ...string[],
    ];
    const [, port, protocol] = /^(\d{1,5})\/(\S+)$/.exec(entry) ?? [];
    if (port === undefined || Number(port) > 65535) continue;
    for (const each of [name, ...aliases])
      if (!ports.has(`${each}/${protocol}`)) ports.set(`${each}/${protocol}`, Number(port));
  }
  return ports;
}
