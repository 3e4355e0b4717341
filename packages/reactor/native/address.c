/* Socket addresses: from JavaScript's arguments, and to its objects. */
#include "internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

enum { KIND_UNIX = 1, KIND_IPV4 = 4, KIND_IPV6 = 6 };

/* Reads (kind, host or path, port, flow information, scope) from `index` on. */
bool fds_read_address(const fds_call *call, size_t index, struct sockaddr_storage *address, socklen_t *length) {
  int kind;
  size_t port, flow, scope, text_length;
  char text[INET6_ADDRSTRLEN + 1];
  memset(address, 0, sizeof *address);
  if (call->count < index + 5 || !fds_int(call, index, &kind)) return false;
  if (kind == KIND_UNIX) {
    struct sockaddr_un *un = (struct sockaddr_un *)address;
    /* Longer than fits by more than a character, which is cut off whole: so a path that is too long stays too long. */
    char path[sizeof un->sun_path + 8];
    if (napi_get_value_string_utf8(call->env, call->values[index + 1], path, sizeof path, &text_length) != napi_ok)
      return false;
    /* A pathname ends with a NUL within the structure; an abstract name is counted and needs none. */
    if (text_length > sizeof un->sun_path - (path[0] == '\0' ? 0 : 1)) return false;
    un->sun_family = AF_UNIX;
    /* No name at all: bind(2) makes one up in the abstract namespace (unix(7), autobind). */
    if (text_length == 0) {
      *length = offsetof(struct sockaddr_un, sun_path);
      return true;
    }
    memcpy(un->sun_path, path, text_length);
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + text_length + (path[0] == '\0' ? 0 : 1));
    return true;
  }
  if (napi_get_value_string_latin1(call->env, call->values[index + 1], text, sizeof text, &text_length) != napi_ok)
    return false;
  if (!fds_size(call, index + 2, &port) || port > 65535) return false;
  if (!fds_size(call, index + 3, &flow) || flow > UINT32_MAX) return false;
  if (!fds_size(call, index + 4, &scope) || scope > UINT32_MAX) return false;
  if (kind == KIND_IPV4) {
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    *length = sizeof *in;
    return inet_pton(AF_INET, text, &in->sin_addr) == 1;
  }
  if (kind == KIND_IPV6) {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    in6->sin6_flowinfo = htonl((uint32_t)flow);
    in6->sin6_scope_id = (uint32_t)scope;
    *length = sizeof *in6;
    return inet_pton(AF_INET6, text, &in6->sin6_addr) == 1;
  }
  return false;
}

/* An IPv4 address and port as one number, so that an accepted connection carries 8 bytes of it; -1 for the others. */
double fds_pack_address(const struct sockaddr_storage *address, socklen_t length) {
  if (length < sizeof(struct sockaddr_in) || address->ss_family != AF_INET) return -1;
  const struct sockaddr_in *in = (const struct sockaddr_in *)address;
  return (double)ntohl(in->sin_addr.s_addr) * 65536 + ntohs(in->sin_port);
}

static bool set_number(napi_env env, napi_value object, const char *name, uint32_t value) {
  napi_value number;
  return napi_create_uint32(env, value, &number) == napi_ok &&
         napi_set_named_property(env, object, name, number) == napi_ok;
}

static bool set_text(napi_env env, napi_value object, const char *name, const char *text, size_t length) {
  napi_value string;
  return napi_create_string_utf8(env, text, length, &string) == napi_ok &&
         napi_set_named_property(env, object, name, string) == napi_ok;
}

/* { host, port, flowInfo?, scopeId? } or { path }; undefined for an unnamed one. NULL when memory is short. */
napi_value fds_address(napi_env env, const struct sockaddr_storage *address, socklen_t length) {
  napi_value result;
  char text[INET6_ADDRSTRLEN];
  if (length >= sizeof(struct sockaddr_in) && address->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    if (inet_ntop(AF_INET, &in->sin_addr, text, sizeof text) == NULL) return NULL;
    if (napi_create_object(env, &result) != napi_ok) return NULL;
    if (!set_text(env, result, "host", text, NAPI_AUTO_LENGTH)) return NULL;
    return set_number(env, result, "port", ntohs(in->sin_port)) ? result : NULL;
  }
  if (length >= sizeof(struct sockaddr_in6) && address->ss_family == AF_INET6) {
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    if (inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text) == NULL) return NULL;
    if (napi_create_object(env, &result) != napi_ok) return NULL;
    if (!set_text(env, result, "host", text, NAPI_AUTO_LENGTH)) return NULL;
    if (!set_number(env, result, "port", ntohs(in6->sin6_port))) return NULL;
    if (in6->sin6_flowinfo != 0 && !set_number(env, result, "flowInfo", ntohl(in6->sin6_flowinfo))) return NULL;
    if (in6->sin6_scope_id != 0 && !set_number(env, result, "scopeId", in6->sin6_scope_id)) return NULL;
    return result;
  }
  if (length > offsetof(struct sockaddr_un, sun_path) && address->ss_family == AF_UNIX) {
    const struct sockaddr_un *un = (const struct sockaddr_un *)address;
    size_t size = length - offsetof(struct sockaddr_un, sun_path);
    if (size > sizeof un->sun_path) size = sizeof un->sun_path;
    if (un->sun_path[0] != '\0') size = strnlen(un->sun_path, size);
    if (napi_create_object(env, &result) != napi_ok) return NULL;
    return set_text(env, result, "path", un->sun_path, size) ? result : NULL;
  }
  return napi_get_undefined(env, &result) == napi_ok ? result : NULL;
}
