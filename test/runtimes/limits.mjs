// What does not work on a runtime for reasons of its own, by the deed of smoke.mjs that shows it. The table in docs/backends.md
// is checked against this list.
export const LIMITS = {
  bun: {
    'multicasts that stay on this host: multicastTtl 0': 'setMulticastTTL refuses 0 (EINVAL)',
  },
  deno: {
    'multicasts that stay on this host: multicastTtl 0': 'setMulticastTTL refuses 0 (EINVAL)',
    'a datagram that nobody received is ECONNREFUSED of a connected socket': 'node:dgram tells no ICMP error',
  },
};
