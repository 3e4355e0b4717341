/* Sockets from their beginning to their end; what passes over them is in transfer.c. */
#include "internal.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { TYPE_STREAM = 1, TYPE_DATAGRAM = 2, TYPE_SEQPACKET = 3, TYPE_RAW = 4, TYPE_PIPE = 5 };
enum { FAMILY_UNIX = 1, FAMILY_IPV4 = 4, FAMILY_IPV6 = 6, FAMILY_PIPE = 0 };

static int system_family(int family) {
  switch (family) {
    case FAMILY_UNIX: return AF_UNIX;
    case FAMILY_IPV4: return AF_INET;
    case FAMILY_IPV6: return AF_INET6;
    default: return -1;
  }
}

static int system_type(int type) {
  switch (type) {
    case TYPE_STREAM: return SOCK_STREAM;
    case TYPE_DATAGRAM: return SOCK_DGRAM;
    case TYPE_SEQPACKET: return SOCK_SEQPACKET;
    case TYPE_RAW: return SOCK_RAW;
    default: return -1;
  }
}

static napi_value open_socket(napi_env env, napi_callback_info info) {
  fds_call call;
  int family, type, protocol;
  if (!fds_begin(env, info, 3, &call) || !fds_int(&call, 0, &family) || !fds_int(&call, 1, &type) ||
      !fds_int(&call, 2, &protocol) || system_family(family) < 0 || system_type(type) < 0)
    return fds_bad_argument(env);
  int fd = socket(system_family(family), system_type(type) | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  return fd < 0 ? fds_errno(env) : fds_number(env, fds_own(call.state, fd));
}

/* socketPair(family, type, Int32Array of 2) */
static napi_value open_pair(napi_env env, napi_callback_info info) {
  fds_call call;
  int family, type, pair[2];
  int32_t *into;
  size_t length;
  if (!fds_begin(env, info, 3, &call) || !fds_int(&call, 0, &family) || !fds_int(&call, 1, &type) ||
      !fds_int32s(&call, 2, &into, &length) || length < 2 || system_family(family) < 0 || system_type(type) < 0)
    return fds_bad_argument(env);
  if (socketpair(system_family(family), system_type(type) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
    return fds_errno(env);
  int first = fds_own(call.state, pair[0]);
  int second = fds_own(call.state, pair[1]);
  if (first < 0 || second < 0) {
    if (first >= 0 && fds_disown(call.state, first)) close(first);
    if (second >= 0 && fds_disown(call.state, second)) close(second);
    return fds_number(env, -ENOMEM);
  }
  into[0] = first;
  into[1] = second;
  return fds_number(env, 0);
}

/* adopt(fd, Int32Array of 2): writes the type and the family, makes the descriptor non-blocking and this thread's. */
static napi_value adopt(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  int32_t *into;
  size_t length;
  struct stat status;
  if (!fds_begin(env, info, 2, &call) || !fds_int(&call, 0, &fd) || fd < 0 ||
      !fds_int32s(&call, 1, &into, &length) || length < 2)
    return fds_bad_argument(env);
  if (fds_owns(call.state, fd)) return fds_number(env, -EEXIST);
  if (fstat(fd, &status) != 0) return fds_errno(env);
  if (S_ISSOCK(status.st_mode)) {
    int type, domain;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return fds_errno(env);
    size = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return fds_errno(env);
    switch (type) {
      case SOCK_STREAM: into[0] = TYPE_STREAM; break;
      case SOCK_DGRAM: into[0] = TYPE_DATAGRAM; break;
      case SOCK_SEQPACKET: into[0] = TYPE_SEQPACKET; break;
      case SOCK_RAW: into[0] = TYPE_RAW; break;
      default: return fds_number(env, -EPROTONOSUPPORT);
    }
    switch (domain) {
      case AF_UNIX: into[1] = FAMILY_UNIX; break;
      case AF_INET: into[1] = FAMILY_IPV4; break;
      case AF_INET6: into[1] = FAMILY_IPV6; break;
      default: return fds_number(env, -EAFNOSUPPORT);
    }
  } else if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
    into[0] = TYPE_PIPE;
    into[1] = FAMILY_PIPE;
  } else {
    /* What epoll_ctl(2) says of regular files and directories. */
    return fds_number(env, -EPERM);
  }
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return fds_errno(env);
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return fds_errno(env);
  return fds_number(env, fds_note(call.state, fd) ? 0 : -ENOMEM);
}

static napi_value bind_socket(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  struct sockaddr_storage address;
  socklen_t length;
  if (!fds_begin(env, info, 6, &call) || !fds_int(&call, 0, &fd) || !fds_read_address(&call, 1, &address, &length))
    return fds_bad_argument(env);
  return bind(fd, (struct sockaddr *)&address, length) == 0 ? fds_number(env, 0) : fds_errno(env);
}

static napi_value listen_socket(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, backlog;
  if (!fds_begin(env, info, 2, &call) || !fds_int(&call, 0, &fd) || !fds_int(&call, 1, &backlog))
    return fds_bad_argument(env);
  return listen(fd, backlog) == 0 ? fds_number(env, 0) : fds_errno(env);
}

static napi_value accept_socket(napi_env env, napi_callback_info info) {
  fds_call call;
  int listener, fd;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &listener)) return fds_bad_argument(env);
  do {
    call.state->peer_length = sizeof call.state->peer;
    fd = accept4(listener, (struct sockaddr *)&call.state->peer, &call.state->peer_length,
                 SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return fds_errno(env);
  if (call.state->packed_peer != NULL) call.state->packed_peer[0] = fds_pack_address(&call.state->peer, call.state->peer_length);
  return fds_number(env, fds_own(call.state, fd));
}

/* setPackedPeer(Float64Array of 2): where accept and recvFrom write the packed address, and whether it was cut. */
static napi_value set_packed_peer(napi_env env, napi_callback_info info) {
  fds_call call;
  napi_typedarray_type type;
  size_t length;
  void *data;
  if (!fds_begin(env, info, 1, &call) || call.state->packed_peer_ref != NULL ||
      napi_get_typedarray_info(env, call.values[0], &type, &length, &data, NULL, NULL) != napi_ok ||
      type != napi_float64_array || length < 2 ||
      napi_create_reference(env, call.values[0], 1, &call.state->packed_peer_ref) != napi_ok)
    return fds_bad_argument(env);
  call.state->packed_peer = data;
  return fds_number(env, 0);
}

/* The address that the latest accept or recvFrom gave, whole. */
static napi_value accepted_address(napi_env env, napi_callback_info info) {
  fds_call call;
  if (!fds_begin(env, info, 0, &call)) return fds_bad_argument(env);
  return fds_address(env, &call.state->peer, call.state->peer_length);
}

static napi_value connect_socket(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  struct sockaddr_storage address;
  socklen_t length;
  if (!fds_begin(env, info, 6, &call) || !fds_int(&call, 0, &fd) || !fds_read_address(&call, 1, &address, &length))
    return fds_bad_argument(env);
  /* An interrupted connect goes on by itself: connect(2), EINTR. */
  if (connect(fd, (struct sockaddr *)&address, length) == 0) return fds_number(env, 0);
  return fds_number(env, errno == EINTR ? -EINPROGRESS : -errno);
}

/* 0 = connected, -EINPROGRESS = not yet, otherwise the error, which is then no longer pending. */
static napi_value finish_connect(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, error;
  socklen_t size = sizeof error;
  struct sockaddr_storage peer;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd)) return fds_bad_argument(env);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return fds_errno(env);
  if (error != 0) return fds_number(env, -error);
  size = sizeof peer;
  if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0) return fds_number(env, 0);
  return fds_number(env, errno == ENOTCONN ? -EINPROGRESS : -errno);
}

static napi_value take_error(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, error;
  socklen_t size = sizeof error;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd)) return fds_bad_argument(env);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return fds_errno(env);
  return fds_number(env, error);
}

static int own_name(int fd, struct sockaddr *address, socklen_t *length) { return getsockname(fd, address, length); }

static int peer_name(int fd, struct sockaddr *address, socklen_t *length) { return getpeername(fd, address, length); }

static napi_value name_of(napi_env env, napi_callback_info info,
                          int (*get)(int, struct sockaddr *, socklen_t *)) {
  fds_call call;
  int fd;
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd)) return fds_bad_argument(env);
  if (get(fd, (struct sockaddr *)&address, &length) != 0) return fds_errno(env);
  return fds_address(env, &address, length);
}

static napi_value local_address(napi_env env, napi_callback_info info) {
  return name_of(env, info, own_name);
}

static napi_value remote_address(napi_env env, napi_callback_info info) {
  return name_of(env, info, peer_name);
}

/* shutdown(fd, 0 = read | 1 = write | 2 = both) */
static napi_value shutdown_socket(napi_env env, napi_callback_info info) {
  static const int how[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
  fds_call call;
  int fd, direction;
  if (!fds_begin(env, info, 2, &call) || !fds_int(&call, 0, &fd) || !fds_int(&call, 1, &direction) || direction < 0 ||
      direction > 2)
    return fds_bad_argument(env);
  return shutdown(fd, how[direction]) == 0 ? fds_number(env, 0) : fds_errno(env);
}

static napi_value at_mark(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd)) return fds_bad_argument(env);
  int result = sockatmark(fd);
  return result < 0 ? fds_errno(env) : fds_number(env, result);
}

/* The descriptor is gone whatever close(2) says, also after EINTR, so that it is never tried twice. */
static napi_value close_owned(napi_env env, fds_call *call, int fd) {
  if (!fds_disown(call->state, fd)) return fds_number(env, -EBADF);
  close(fd);
  return fds_number(env, 0);
}

static napi_value close_socket(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd)) return fds_bad_argument(env);
  return close_owned(env, &call, fd);
}

static napi_value reset_socket(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  const struct linger abort = {.l_onoff = 1, .l_linger = 0};
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd)) return fds_bad_argument(env);
  if (fds_owns(call.state, fd)) setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  return close_owned(env, &call, fd);
}

static napi_value detach(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd)) return fds_bad_argument(env);
  return fds_number(env, fds_disown(call.state, fd) ? fd : -EBADF);
}

bool fds_define_sockets(napi_env env, napi_value exports, fds_state *state) {
  return fds_define(env, exports, state, "socket", open_socket) &&
         fds_define(env, exports, state, "socketPair", open_pair) &&
         fds_define(env, exports, state, "adopt", adopt) && fds_define(env, exports, state, "bind", bind_socket) &&
         fds_define(env, exports, state, "listen", listen_socket) &&
         fds_define(env, exports, state, "accept", accept_socket) &&
         fds_define(env, exports, state, "setPackedPeer", set_packed_peer) &&
         fds_define(env, exports, state, "acceptedAddress", accepted_address) &&
         fds_define(env, exports, state, "connect", connect_socket) &&
         fds_define(env, exports, state, "finishConnect", finish_connect) &&
         fds_define(env, exports, state, "takeError", take_error) &&
         fds_define(env, exports, state, "localAddress", local_address) &&
         fds_define(env, exports, state, "remoteAddress", remote_address) &&
         fds_define(env, exports, state, "shutdown", shutdown_socket) &&
         fds_define(env, exports, state, "atMark", at_mark) &&
         fds_define(env, exports, state, "close", close_socket) &&
         fds_define(env, exports, state, "reset", reset_socket) && fds_define(env, exports, state, "detach", detach);
}
