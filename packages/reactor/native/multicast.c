/* Multicast groups, by the calls of RFC 3678, which are the same for IPv4 and IPv6; and the names of interfaces. */
#include "internal.h"

#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

static int level_of(const struct sockaddr_storage *group) {
  return group->ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
}

/* The address of (kind, text) at `index`: a group or source has neither port nor scope. */
static bool read_host(const fds_call *call, size_t kind, size_t index, struct sockaddr_storage *host) {
  fds_call part = *call;
  socklen_t length;
  if (napi_create_int32(call->env, 0, &part.values[2]) != napi_ok) return false;
  part.values[0] = call->values[kind];
  part.values[1] = call->values[index];
  part.values[3] = part.values[2];
  part.values[4] = part.values[2];
  part.count = 5;
  return fds_read_address(&part, 0, host, &length) && host->ss_family != AF_UNIX;
}

/* group(fd, 1 = join | 0 = leave, interface's index or 0, kind, group, source?) */
static napi_value change_group(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, join, index;
  struct sockaddr_storage group, source;
  if (!fds_begin(env, info, 5, &call) || !fds_int(&call, 0, &fd) || !fds_int(&call, 1, &join) ||
      !fds_int(&call, 2, &index) || index < 0 || !read_host(&call, 3, 4, &group))
    return fds_bad_argument(env);
  int result;
  if (call.count == 5) {
    struct group_req request = {.gr_interface = (uint32_t)index, .gr_group = group};
    result = setsockopt(fd, level_of(&group), join ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &request, sizeof request);
  } else {
    if (!read_host(&call, 3, 5, &source)) return fds_bad_argument(env);
    struct group_source_req request = {
        .gsr_interface = (uint32_t)index, .gsr_group = group, .gsr_source = source};
    result = setsockopt(fd, level_of(&group), join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP, &request,
                        sizeof request);
  }
  return result == 0 ? fds_number(env, 0) : fds_errno(env);
}

/* setGroupInterface(fd, interface's index, its IPv4 address or '0.0.0.0'): IP_MULTICAST_IF, with both. */
static napi_value set_group_interface(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, index;
  struct sockaddr_storage address;
  if (!fds_begin(env, info, 4, &call) || !fds_int(&call, 0, &fd) || !fds_int(&call, 1, &index) || index < 0 ||
      !read_host(&call, 2, 3, &address) || address.ss_family != AF_INET)
    return fds_bad_argument(env);
  struct ip_mreqn request = {.imr_ifindex = index, .imr_address = ((struct sockaddr_in *)&address)->sin_addr};
  return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request) == 0 ? fds_number(env, 0)
                                                                                    : fds_errno(env);
}

/* interfaceIndex(name): above 0, or -ENODEV. */
static napi_value interface_index(napi_env env, napi_callback_info info) {
  fds_call call;
  char name[IF_NAMESIZE + 1];
  size_t length;
  if (!fds_begin(env, info, 1, &call) ||
      napi_get_value_string_utf8(env, call.values[0], name, sizeof name, &length) != napi_ok)
    return fds_bad_argument(env);
  unsigned index = length < IF_NAMESIZE ? if_nametoindex(name) : 0;
  return fds_number(env, index == 0 ? -ENODEV : (int64_t)index);
}

/* interfaceName(index): its name, or -errno. */
static napi_value interface_name(napi_env env, napi_callback_info info) {
  fds_call call;
  int index;
  char name[IF_NAMESIZE];
  napi_value result;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &index) || index < 0) return fds_bad_argument(env);
  if (if_indextoname((unsigned)index, name) == NULL) return fds_errno(env);
  return napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &result) == napi_ok ? result : NULL;
}

bool fds_define_multicast(napi_env env, napi_value exports, fds_state *state) {
  return fds_define(env, exports, state, "group", change_group) &&
         fds_define(env, exports, state, "setGroupInterface", set_group_interface) &&
         fds_define(env, exports, state, "interfaceIndex", interface_index) &&
         fds_define(env, exports, state, "interfaceName", interface_name);
}
