import { describe, expect, it } from 'vitest';
import { parseServices } from './services.js';

describe('parseServices', () => {
  it('reads names, aliases and protocols, and passes over comments and what is no entry', () => {
    const ports = parseServices(`
# a comment
http\t\t80/tcp\twww www-http # WorldWideWeb
  domain 53/udp
half 7
wrong port/tcp
beyond 65536/tcp
sctp-only 9/sctp`);
    expect(Object.fromEntries(ports)).toEqual({
      'http/tcp': 80,
      'www/tcp': 80,
      'www-http/tcp': 80,
      'domain/udp': 53,
      'sctp-only/sctp': 9,
    });
  });

  it('the first line of a name counts', () => {
    expect(parseServices('one 1/tcp\nother 2/tcp one').get('one/tcp')).toBe(1);
  });
});
