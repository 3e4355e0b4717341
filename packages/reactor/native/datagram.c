/*
 * Datagrams: one by one with their addresses, and many in one system call over memory that JavaScript keeps.
 *
 * A batch is three typed arrays: the payloads, `stride` bytes for each datagram; the raw addresses, ADDRESS_BYTES each;
 * and the headers, HEADER_WORDS each. It stays as it was received, so that it can be sent back as it is.
 */
#include "internal.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

/* After <time.h>: it uses struct timespec. */
#include <linux/errqueue.h>

/* Room for every address; and UIO_MAXIOV, the most that recvmmsg(2) and sendmmsg(2) look at. */
enum { ADDRESS_BYTES = sizeof(struct sockaddr_storage), MOST_DATAGRAMS = 1024 };
enum { HEADER_LENGTH, HEADER_ADDRESS_LENGTH, HEADER_TRUNCATED, HEADER_WORDS };

typedef struct batch {
  uint8_t *payloads;
  uint8_t *addresses;
  int32_t *headers;
  size_t stride;
  size_t capacity;
} batch;

/* (payloads, stride, addresses, headers) from `index` on. */
static bool read_batch(const fds_call *call, size_t index, batch *into) {
  size_t payload_bytes, address_bytes, words;
  if (!fds_bytes(call, index, &into->payloads, &payload_bytes) || !fds_size(call, index + 1, &into->stride) ||
      !fds_bytes(call, index + 2, &into->addresses, &address_bytes) ||
      !fds_int32s(call, index + 3, &into->headers, &words))
    return false;
  into->capacity = words / HEADER_WORDS;
  return into->stride > 0 && into->capacity <= MOST_DATAGRAMS && payload_bytes / into->stride >= into->capacity &&
         address_bytes / ADDRESS_BYTES >= into->capacity;
}

/* recvBatch(fd, payloads, stride, addresses, headers): datagrams received. */
static napi_value receive_batch(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  batch b;
  if (!fds_begin(env, info, 5, &call) || !fds_int(&call, 0, &fd) || !read_batch(&call, 1, &b))
    return fds_bad_argument(env);
  struct mmsghdr messages[MOST_DATAGRAMS];
  struct iovec vectors[MOST_DATAGRAMS];
  for (size_t i = 0; i < b.capacity; i += 1) {
    vectors[i] = (struct iovec){.iov_base = b.payloads + i * b.stride, .iov_len = b.stride};
    messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = b.addresses + i * ADDRESS_BYTES,
                                               .msg_namelen = ADDRESS_BYTES,
                                               .msg_iov = &vectors[i],
                                               .msg_iovlen = 1}};
  }
  int count;
  do count = recvmmsg(fd, messages, (unsigned)b.capacity, 0, NULL);
  while (count < 0 && errno == EINTR);
  if (count < 0) return fds_errno(env);
  for (int i = 0; i < count; i += 1) {
    int32_t *header = b.headers + (size_t)i * HEADER_WORDS;
    header[HEADER_LENGTH] = (int32_t)messages[i].msg_len;
    header[HEADER_ADDRESS_LENGTH] = (int32_t)messages[i].msg_hdr.msg_namelen;
    header[HEADER_TRUNCATED] = (messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
  }
  return fds_number(env, count);
}

/*
 * sendBatch(fd, payloads, stride, addresses, headers, start, end): datagrams sent. It may stop early, at a full buffer
 * or before a datagram that fails; that one's error comes when it is the first.
 */
static napi_value send_batch(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  size_t start, end;
  batch b;
  if (!fds_begin(env, info, 7, &call) || !fds_int(&call, 0, &fd) || !read_batch(&call, 1, &b) ||
      !fds_size(&call, 5, &start) || !fds_size(&call, 6, &end) || start > end || end > b.capacity)
    return fds_bad_argument(env);
  struct mmsghdr messages[MOST_DATAGRAMS];
  struct iovec vectors[MOST_DATAGRAMS];
  for (size_t i = start; i < end; i += 1) {
    const int32_t *header = b.headers + i * HEADER_WORDS;
    int32_t length = header[HEADER_LENGTH], address_length = header[HEADER_ADDRESS_LENGTH];
    if (length < 0 || (size_t)length > b.stride || address_length < 0 || address_length > ADDRESS_BYTES)
      return fds_bad_argument(env);
    vectors[i] = (struct iovec){.iov_base = b.payloads + i * b.stride, .iov_len = (size_t)length};
    messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = address_length == 0 ? NULL : b.addresses + i * ADDRESS_BYTES,
                                               .msg_namelen = (socklen_t)address_length,
                                               .msg_iov = &vectors[i],
                                               .msg_iovlen = 1}};
  }
  int count;
  do count = sendmmsg(fd, messages + start, (unsigned)(end - start), MSG_NOSIGNAL);
  while (count < 0 && errno == EINTR);
  return count < 0 ? fds_errno(env) : fds_number(env, count);
}

/* recvFrom(fd, bytes, flags): the count; the address as accept gives it, and in the second place whether it was cut. */
static napi_value receive_from(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, bits, flags;
  uint8_t *data;
  size_t length;
  if (!fds_begin(env, info, 3, &call) || !fds_int(&call, 0, &fd) || !fds_bytes(&call, 1, &data, &length) ||
      length == 0 || !fds_int(&call, 2, &bits) || !fds_message_flags(bits, FDS_MSG_PEEK | FDS_MSG_OOB, &flags))
    return fds_bad_argument(env);
  struct iovec vector = {.iov_base = data, .iov_len = length};
  struct msghdr message = {.msg_name = &call.state->peer, .msg_iov = &vector, .msg_iovlen = 1};
  ssize_t count;
  do {
    message.msg_namelen = sizeof call.state->peer;
    count = recvmsg(fd, &message, flags);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return fds_errno(env);
  call.state->peer_length = message.msg_namelen;
  if (call.state->packed_peer != NULL) {
    call.state->packed_peer[0] = fds_pack_address(&call.state->peer, call.state->peer_length);
    call.state->packed_peer[1] = (message.msg_flags & MSG_TRUNC) != 0;
  }
  return fds_number(env, count);
}

/* sendTo(fd, bytes, flags, kind, host, port, flow, scope) */
static napi_value send_to(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, bits, flags;
  uint8_t *data;
  size_t length;
  struct sockaddr_storage address;
  socklen_t address_length;
  if (!fds_begin(env, info, 8, &call) || !fds_int(&call, 0, &fd) || !fds_bytes(&call, 1, &data, &length) ||
      !fds_int(&call, 2, &bits) || !fds_message_flags(bits, FDS_MSG_OOB | FDS_MSG_MORE, &flags) ||
      !fds_read_address(&call, 3, &address, &address_length))
    return fds_bad_argument(env);
  ssize_t count;
  do count = sendto(fd, data, length, flags | MSG_NOSIGNAL, (struct sockaddr *)&address, address_length);
  while (count < 0 && errno == EINTR);
  return count < 0 ? fds_errno(env) : fds_number(env, count);
}

static bool is_error(const struct cmsghdr *part) {
  return (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
         (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR);
}

/*
 * takeQueuedError(fd): the first errno of the error queue (ip(7), IP_RECVERR), 0 where it is empty. Taking it also moves
 * SO_ERROR on to the next. Whom the datagram was sent to is given as accept gives its peer.
 */
static napi_value take_queued_error(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, error = 0;
  union {
    struct cmsghdr header;
    char bytes[512];
  } control;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd)) return fds_bad_argument(env);
  struct msghdr message = {.msg_name = &call.state->peer, .msg_control = &control};
  ssize_t count;
  do {
    message.msg_namelen = sizeof call.state->peer;
    message.msg_controllen = sizeof control;
    count = recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  /* Families without an error queue say so in several ways; an empty one says EAGAIN. */
  if (count < 0) return fds_number(env, errno == EBADF ? -EBADF : 0);
  call.state->peer_length = message.msg_namelen;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL; part = CMSG_NXTHDR(&message, part)) {
    struct sock_extended_err extended;
    if (!is_error(part) || part->cmsg_len < CMSG_LEN(sizeof extended)) continue;
    memcpy(&extended, CMSG_DATA(part), sizeof extended);
    error = (int)extended.ee_errno;
  }
  return fds_number(env, error);
}

/* encodeAddress(bytes, kind, host, port, flow, scope): writes the raw address, and returns its length. */
static napi_value encode_address(napi_env env, napi_callback_info info) {
  fds_call call;
  uint8_t *data;
  size_t length;
  struct sockaddr_storage address;
  socklen_t address_length;
  if (!fds_begin(env, info, 6, &call) || !fds_bytes(&call, 0, &data, &length) ||
      !fds_read_address(&call, 1, &address, &address_length) || length < address_length)
    return fds_bad_argument(env);
  memcpy(data, &address, address_length);
  return fds_number(env, address_length);
}

/* decodeAddress(bytes, length): the object of a raw address, undefined for an unnamed one. */
static napi_value decode_address(napi_env env, napi_callback_info info) {
  fds_call call;
  uint8_t *data;
  size_t size, length;
  struct sockaddr_storage address;
  if (!fds_begin(env, info, 2, &call) || !fds_bytes(&call, 0, &data, &size) || !fds_size(&call, 1, &length) ||
      length > size || length > sizeof address)
    return fds_bad_argument(env);
  memset(&address, 0, sizeof address);
  /* Without bytes there is no memory, and memcpy takes no null pointer. */
  if (length > 0) memcpy(&address, data, length);
  return fds_address(env, &address, (socklen_t)length);
}

bool fds_define_datagrams(napi_env env, napi_value exports, fds_state *state) {
  return fds_define(env, exports, state, "recvBatch", receive_batch) &&
         fds_define(env, exports, state, "sendBatch", send_batch) &&
         fds_define(env, exports, state, "recvFrom", receive_from) &&
         fds_define(env, exports, state, "sendTo", send_to) &&
         fds_define(env, exports, state, "takeQueuedError", take_queued_error) &&
         fds_define(env, exports, state, "encodeAddress", encode_address) &&
         fds_define(env, exports, state, "decodeAddress", decode_address);
}
