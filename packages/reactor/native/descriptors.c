/* Descriptors that travel over unix sockets (SCM_RIGHTS of unix(7)), and duplicates. */
#include "internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* SCM_MAX_FD of <net/scm.h>: the most that one message carries. */
enum { MOST_DESCRIPTORS = 253 };
/* What the receiver is told in front of the descriptors. */
enum { RECEIVED_COUNT, RECEIVED_TRUNCATED, RECEIVED_FIRST };

/* sendDescriptors(fd, Int32Array of descriptors, bytes) */
static napi_value send_descriptors(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  int32_t *descriptors;
  uint8_t *data;
  size_t count, length;
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
  } control;
  if (!fds_begin(env, info, 3, &call) || !fds_int(&call, 0, &fd) || !fds_int32s(&call, 1, &descriptors, &count) ||
      count == 0 || count > MOST_DESCRIPTORS || !fds_bytes(&call, 2, &data, &length) || length == 0)
    return fds_bad_argument(env);
  memset(&control, 0, sizeof control);
  struct iovec vector = {.iov_base = data, .iov_len = length};
  struct msghdr message = {.msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(rights), descriptors, count * sizeof(int));
  ssize_t sent;
  do sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? fds_errno(env) : fds_number(env, sent);
}

/*
 * recvDescriptors(fd, bytes, Int32Array): the count of bytes; in the array the count of descriptors, whether something
 * was cut off, and the descriptors, closed on exec. Those that do not fit are closed.
 */
static napi_value receive_descriptors(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  uint8_t *data;
  int32_t *into;
  size_t length, words, room;
  /* More than SCM_RIGHTS fills: a socket that has SO_PASSCRED on is told credentials beside them. */
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int)) + 512];
  } control;
  if (!fds_begin(env, info, 3, &call) || !fds_int(&call, 0, &fd) || !fds_bytes(&call, 1, &data, &length) ||
      length == 0 || !fds_int32s(&call, 2, &into, &words) || words < RECEIVED_FIRST)
    return fds_bad_argument(env);
  room = words - RECEIVED_FIRST;
  struct iovec vector = {.iov_base = data, .iov_len = length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control};
  ssize_t received;
  do {
    message.msg_controllen = sizeof control;
    received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return fds_errno(env);
  size_t count = 0;
  into[RECEIVED_TRUNCATED] = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    size_t descriptors = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < descriptors; i += 1) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(part) + i * sizeof descriptor, sizeof descriptor);
      if (count < room) {
        into[RECEIVED_FIRST + count] = descriptor;
        count += 1;
      } else {
        close(descriptor);
        into[RECEIVED_TRUNCATED] = 1;
      }
    }
  }
  into[RECEIVED_COUNT] = (int32_t)count;
  return fds_number(env, received);
}

/* duplicate(fd): another descriptor of the same file, closed on exec, and nobody's until it is adopted. */
static napi_value duplicate(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd)) return fds_bad_argument(env);
  int result = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return result < 0 ? fds_errno(env) : fds_number(env, result);
}

bool fds_define_descriptors(napi_env env, napi_value exports, fds_state *state) {
  return fds_define(env, exports, state, "sendDescriptors", send_descriptors) &&
         fds_define(env, exports, state, "recvDescriptors", receive_descriptors) &&
         fds_define(env, exports, state, "duplicate", duplicate);
}
