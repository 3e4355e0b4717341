/* What messages are made of: contents differ by connection, place and sequence number, so that a mix-up is found. */
#ifndef FDSET_BENCH_CONTENTS_H
#define FDSET_BENCH_CONTENTS_H

#include <stddef.h>
#include <stdint.h>

struct contents {
  unsigned size, prefix; /* bytes of a payload, and of what stands before it: 0, or 4 for a u32 length */
};

uint64_t mix(uint64_t x);
/* Fills the messages of a batch once with noise of this key and with the length prefixes, which never change. */
void contents_prepare(struct contents shape, uint64_t key, unsigned char *messages, unsigned count);
/* Makes them new: eight bytes of every 64 are others for each sequence number, which is counted on. */
void contents_renew(struct contents shape, uint64_t key, uint64_t *sequence, unsigned char *messages, unsigned count);

#endif
