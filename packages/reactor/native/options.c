/* Socket options: numbers by level and name, and everything else as bytes. */
#include "internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

/* getOption(fd, level, name): a number; the error is told from it by being below INT32_MIN. */
static napi_value get_option(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, level, name, value = 0;
  socklen_t size = sizeof value;
  if (!fds_begin(env, info, 3, &call) || !fds_int(&call, 0, &fd) || !fds_int(&call, 1, &level) ||
      !fds_int(&call, 2, &name))
    return fds_bad_argument(env);
  if (getsockopt(fd, level, name, &value, &size) != 0) return fds_number(env, (int64_t)INT32_MIN - errno);
  return fds_number(env, value);
}

static napi_value set_option(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, level, name, value;
  if (!fds_begin(env, info, 4, &call) || !fds_int(&call, 0, &fd) || !fds_int(&call, 1, &level) ||
      !fds_int(&call, 2, &name) || !fds_int(&call, 3, &value))
    return fds_bad_argument(env);
  return setsockopt(fd, level, name, &value, sizeof value) == 0 ? fds_number(env, 0) : fds_errno(env);
}

/* getRawOption(fd, level, name, bytes): fills the bytes and returns their count. */
static napi_value get_raw_option(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, level, name;
  uint8_t *data;
  size_t length;
  if (!fds_begin(env, info, 4, &call) || !fds_int(&call, 0, &fd) || !fds_int(&call, 1, &level) ||
      !fds_int(&call, 2, &name) || !fds_bytes(&call, 3, &data, &length))
    return fds_bad_argument(env);
  socklen_t size = (socklen_t)length;
  return getsockopt(fd, level, name, data, &size) == 0 ? fds_number(env, size) : fds_errno(env);
}

static napi_value set_raw_option(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, level, name;
  uint8_t *data;
  size_t length;
  if (!fds_begin(env, info, 4, &call) || !fds_int(&call, 0, &fd) || !fds_int(&call, 1, &level) ||
      !fds_int(&call, 2, &name) || !fds_bytes(&call, 3, &data, &length))
    return fds_bad_argument(env);
  return setsockopt(fd, level, name, data, (socklen_t)length) == 0 ? fds_number(env, 0) : fds_errno(env);
}

bool fds_define_options(napi_env env, napi_value exports, fds_state *state) {
  static const struct {
    const char *name;
    int value;
  } constants[] = {
      {"SOCK_STREAM", SOCK_STREAM},     {"SO_TYPE", SO_TYPE},
      {"SOL_SOCKET", SOL_SOCKET},       {"SO_REUSEADDR", SO_REUSEADDR},   {"SO_REUSEPORT", SO_REUSEPORT},
      {"SO_ACCEPTCONN", SO_ACCEPTCONN}, {"SO_KEEPALIVE", SO_KEEPALIVE},   {"SO_RCVBUF", SO_RCVBUF},         {"SO_SNDBUF", SO_SNDBUF},
      {"SO_BROADCAST", SO_BROADCAST},   {"SO_OOBINLINE", SO_OOBINLINE},   {"SO_LINGER", SO_LINGER},
      {"IPPROTO_TCP", IPPROTO_TCP},     {"TCP_NODELAY", TCP_NODELAY},     {"TCP_KEEPIDLE", TCP_KEEPIDLE},
      {"TCP_KEEPINTVL", TCP_KEEPINTVL}, {"TCP_KEEPCNT", TCP_KEEPCNT},     {"TCP_USER_TIMEOUT", TCP_USER_TIMEOUT},
      {"TCP_QUICKACK", TCP_QUICKACK},   {"TCP_DEFER_ACCEPT", TCP_DEFER_ACCEPT},
      {"IPPROTO_IP", IPPROTO_IP},       {"IP_TOS", IP_TOS},               {"IP_TTL", IP_TTL},
      {"IPPROTO_IPV6", IPPROTO_IPV6},   {"IPV6_V6ONLY", IPV6_V6ONLY},     {"IPV6_TCLASS", IPV6_TCLASS},
      {"IPV6_UNICAST_HOPS", IPV6_UNICAST_HOPS},
      {"IP_MULTICAST_TTL", IP_MULTICAST_TTL},       {"IP_MULTICAST_LOOP", IP_MULTICAST_LOOP},
      {"IP_MULTICAST_IF", IP_MULTICAST_IF},         {"IPV6_MULTICAST_HOPS", IPV6_MULTICAST_HOPS},
      {"IPV6_MULTICAST_LOOP", IPV6_MULTICAST_LOOP}, {"IPV6_MULTICAST_IF", IPV6_MULTICAST_IF},
      {"TCP_FASTOPEN", TCP_FASTOPEN},               {"TCP_CONGESTION", TCP_CONGESTION},
      {"SO_MARK", SO_MARK},
  };
  napi_value table, number;
  if (napi_create_object(env, &table) != napi_ok) return false;
  for (size_t i = 0; i < sizeof constants / sizeof *constants; i += 1) {
    if (napi_create_int32(env, constants[i].value, &number) != napi_ok ||
        napi_set_named_property(env, table, constants[i].name, number) != napi_ok)
      return false;
  }
  return napi_set_named_property(env, exports, "constants", table) == napi_ok &&
         fds_define(env, exports, state, "getOption", get_option) &&
         fds_define(env, exports, state, "setOption", set_option) &&
         fds_define(env, exports, state, "getRawOption", get_raw_option) &&
         fds_define(env, exports, state, "setRawOption", set_raw_option);
}
