#include "contents.h"

#include <arpa/inet.h>
#include <string.h>

enum { STAMP_STRIDE = 64 };

uint64_t mix(uint64_t x) { /* splitmix64 */
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

void contents_prepare(struct contents shape, uint64_t key, unsigned char *messages, unsigned count) {
  size_t message_bytes = shape.prefix + shape.size, all = message_bytes * count;
  for (size_t at = 0; at < all; at += 8) {
    uint64_t noise = mix(key + at);
    memcpy(messages + at, &noise, all - at < 8 ? all - at : 8);
  }
  for (unsigned i = 0; shape.prefix && i < count; i++) {
    uint32_t length = htonl(shape.size);
    memcpy(messages + i * message_bytes, &length, 4);
  }
}

void contents_renew(struct contents shape, uint64_t key, uint64_t *sequence, unsigned char *messages, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    unsigned char *payload = messages + i * ((size_t)shape.prefix + shape.size) + shape.prefix;
    uint64_t seed = mix(key ^ ++*sequence * 0xd6e8feb86659fd93ull);
    for (size_t at = 0; at < shape.size; at += STAMP_STRIDE) {
      uint64_t stamp = seed + at * 0x9e3779b97f4a7c15ull;
      memcpy(payload + at, &stamp, shape.size - at < 8 ? shape.size - at : 8);
    }
  }
}
