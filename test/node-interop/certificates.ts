/** Certificates of a test's own authority, made by openssl, gone with the process. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface Identity {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface Certificates {
  readonly caFile: string;
  readonly ca: Buffer;
  /** For localhost and 127.0.0.1. */
  readonly server: Identity;
  readonly client: Identity;
}

let made: Certificates | undefined;

export function certificates(): Certificates {
  made ??= make();
  return made;
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function make(): Certificates {
  const folder = mkdtempSync(path.join(tmpdir(), 'fdset-certificates-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = (name: string) => path.join(folder, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.crt'),
    '-days',
    '2',
    '-subj',
    '/CN=authority',
  );
  const identity = (name: string, subject: string): Identity => {
    const [certFile, keyFile] = [file(`${name}.crt`), file(`${name}.key`)];
    writeFileSync(file(`${name}.ext`), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
    openssl('req', ...key, '-keyout', keyFile, '-out', file(`${name}.csr`), '-subj', `/CN=${subject}`);
    openssl(
      ...['x509', '-req', '-in', file(`${name}.csr`), '-CA', file('ca.crt'), '-CAkey', file('ca.key')],
      ...['-CAcreateserial', '-out', certFile, '-days', '2', '-extfile', file(`${name}.ext`)],
    );
    return { certFile, keyFile, cert: readFileSync(certFile), key: readFileSync(keyFile) };
  };
  return {
    caFile: file('ca.crt'),
    ca: readFileSync(file('ca.crt')),
    server: identity('server', 'localhost'),
    client: identity('client', 'the client'),
  };
}
