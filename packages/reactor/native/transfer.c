/*
 * Bytes in and out. This is the hot path: positional arguments, one crossing a call, no allocation. Descriptors are
 * always non-blocking; a descriptor that is no socket (a pipe, a terminal) is noticed by its ENOTSOCK and read or
 * written instead, so that sockets pay nothing for it.
 */
#include "internal.h"

#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

bool fds_message_flags(int bits, int allowed, int *flags) {
  if ((bits & ~allowed) != 0) return false;
  *flags = ((bits & FDS_MSG_PEEK) != 0 ? MSG_PEEK : 0) | ((bits & FDS_MSG_OOB) != 0 ? MSG_OOB : 0) |
           ((bits & FDS_MSG_MORE) != 0 ? MSG_MORE : 0);
  return true;
}

/*
 * The bare system calls: recv(3) and send(3) are cancellation points, which in a process with threads costs them two
 * more atomic operations than the kernel asks for.
 */
static ssize_t system_recv(int fd, void *data, size_t length, int flags) {
  return syscall(SYS_recvfrom, fd, data, length, flags, NULL, NULL);
}

static ssize_t system_send(int fd, const void *data, size_t length, int flags) {
  return syscall(SYS_sendto, fd, data, length, flags, NULL, 0);
}

static ssize_t receive_bytes(int fd, uint8_t *data, size_t length, int flags) {
  ssize_t count;
  do {
    count = system_recv(fd, data, length, flags);
    if (count < 0 && errno == ENOTSOCK && flags == 0) count = read(fd, data, length);
  } while (count < 0 && errno == EINTR);
  return count;
}

static ssize_t send_bytes(int fd, const uint8_t *data, size_t length, int flags) {
  ssize_t count;
  do {
    count = system_send(fd, data, length, flags | MSG_NOSIGNAL);
    if (count < 0 && errno == ENOTSOCK && flags == 0) count = write(fd, data, length);
  } while (count < 0 && errno == EINTR);
  return count;
}

typedef struct transfer {
  int fd;
  uint8_t *data;
  size_t length;
  int flags;
} transfer;

/* (fd, bytes) or (fd, bytes, offset, length, flags); `allowed` are fdset's bits that the verb takes. */
static bool read_transfer(napi_env env, napi_callback_info info, int allowed, transfer *into) {
  fds_call call;
  int bits;
  if (!fds_begin(env, info, 2, &call) || !fds_int(&call, 0, &into->fd)) return false;
  into->flags = 0;
  if (call.count == 2) return fds_bytes(&call, 1, &into->data, &into->length);
  return call.count >= 5 && fds_range(&call, 1, &into->data, &into->length) && fds_int(&call, 4, &bits) &&
         fds_message_flags(bits, allowed, &into->flags);
}

static napi_value receive(napi_env env, napi_callback_info info) {
  transfer t;
  if (!read_transfer(env, info, FDS_MSG_PEEK | FDS_MSG_OOB, &t) || t.length == 0) return fds_bad_argument(env);
  ssize_t count = receive_bytes(t.fd, t.data, t.length, t.flags);
  return count < 0 ? fds_errno(env) : fds_number(env, count);
}

static napi_value transmit(napi_env env, napi_callback_info info) {
  transfer t;
  if (!read_transfer(env, info, FDS_MSG_OOB | FDS_MSG_MORE, &t)) return fds_bad_argument(env);
  ssize_t count = send_bytes(t.fd, t.data, t.length, t.flags);
  return count < 0 ? fds_errno(env) : fds_number(env, count);
}

/* sendv(fd, array of bytes, offset into the first of them) */
static napi_value transmit_gathered(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  uint32_t chunks;
  size_t offset;
  struct iovec vector[IOV_MAX];
  napi_value elements[IOV_MAX];
  if (!fds_begin(env, info, 3, &call) || !fds_int(&call, 0, &fd) ||
      napi_get_array_length(env, call.values[1], &chunks) != napi_ok || !fds_size(&call, 2, &offset))
    return fds_bad_argument(env);
  if (chunks > IOV_MAX) chunks = IOV_MAX;
  /* All elements first: one with a getter runs code, which may free the memory of those before it. */
  for (uint32_t i = 0; i < chunks; i += 1)
    if (napi_get_element(env, call.values[1], i, &elements[i]) != napi_ok) return fds_bad_argument(env);
  for (uint32_t i = 0; i < chunks; i += 1) {
    fds_call element = {.env = env, .values = {elements[i]}};
    uint8_t *data;
    size_t length;
    if (!fds_bytes(&element, 0, &data, &length)) return fds_bad_argument(env);
    if (i == 0) {
      if (offset > length) return fds_bad_argument(env);
      data += offset;
      length -= offset;
    }
    vector[i] = (struct iovec){.iov_base = data, .iov_len = length};
  }
  struct msghdr message = {.msg_iov = vector, .msg_iovlen = chunks};
  ssize_t count;
  do {
    count = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (count < 0 && errno == ENOTSOCK) count = writev(fd, vector, (int)chunks);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? fds_errno(env) : fds_number(env, count);
}

/* The state of a function that is called without arguments. */
static fds_state *state_of(napi_env env, napi_callback_info info) {
  void *data = NULL;
  return napi_get_cb_info(env, info, NULL, NULL, NULL, &data) == napi_ok ? data : NULL;
}

/* Transfers the registers' range of a pinned buffer over the registers' descriptor. */
static napi_value transfer_pinned(napi_env env, napi_callback_info info, int which) {
  fds_state *state = state_of(env, info);
  if (state == NULL || state->registers == NULL) return fds_bad_argument(env);
  const fds_pinned *pinned = &state->pinned[which];
  size_t offset = (size_t)(uint32_t)state->registers[FDS_REGISTER_OFFSET];
  size_t length = (size_t)(uint32_t)state->registers[FDS_REGISTER_LENGTH];
  if (pinned->data == NULL || offset > pinned->length || length > pinned->length - offset)
    return fds_bad_argument(env);
  int fd = state->registers[FDS_REGISTER_FD];
  ssize_t count = which == FDS_PINNED_RECV ? receive_bytes(fd, pinned->data + offset, length, 0)
                                           : send_bytes(fd, pinned->data + offset, length, 0);
  state->registers[FDS_REGISTER_RESULT] = count < 0 ? -errno : (int32_t)count;
  return NULL;
}

static napi_value receive_pinned(napi_env env, napi_callback_info info) {
  return transfer_pinned(env, info, FDS_PINNED_RECV);
}

static napi_value transmit_pinned(napi_env env, napi_callback_info info) {
  return transfer_pinned(env, info, FDS_PINNED_SEND);
}

/* sendChunk(bytes): sends all of it over the registers' descriptor. */
static napi_value transmit_chunk(napi_env env, napi_callback_info info) {
  fds_call call;
  uint8_t *data;
  size_t length;
  if (!fds_begin(env, info, 1, &call) || call.state->registers == NULL || !fds_bytes(&call, 0, &data, &length))
    return fds_bad_argument(env);
  ssize_t count = send_bytes(call.state->registers[FDS_REGISTER_FD], data, length, 0);
  call.state->registers[FDS_REGISTER_RESULT] = count < 0 ? -errno : (int32_t)count;
  return NULL;
}

int32_t fds_receive_chunk(fds_state *state, int fd, int32_t *offset) {
  ssize_t count = receive_bytes(fd, state->block, FDS_BLOCK_BYTES, 0);
  *offset = -1;
  if (count < 0) return -errno;
  if (count > 0 && count < FDS_SMALL_BYTES && state->pool_offset + (size_t)count <= state->pool_bytes) {
    memcpy(state->pool + state->pool_offset, state->block, (size_t)count);
    *offset = (int32_t)state->pool_offset;
    /* Aligned to 8 bytes, as Node's own pool is: typed arrays can be laid over a chunk. */
    state->pool_offset = (state->pool_offset + (size_t)count + 7) & ~(size_t)7;
  }
  return (int32_t)count;
}

/* receive(): reads a chunk from the registers' descriptor; the result and its offset come out in the registers. */
static napi_value receive_chunk(napi_env env, napi_callback_info info) {
  fds_state *state = state_of(env, info);
  if (state == NULL || state->registers == NULL || state->block == NULL) return fds_bad_argument(env);
  state->registers[FDS_REGISTER_RESULT] =
      fds_receive_chunk(state, state->registers[FDS_REGISTER_FD], &state->registers[FDS_REGISTER_OFFSET]);
  return NULL;
}

/*
 * sendAll(): what stands in the outbox, as many sends as the register says. Each has a descriptor and a length in
 * `outgoing`, and its length is replaced by the count that was sent, or the negative errno.
 */
static napi_value transmit_outbox(napi_env env, napi_callback_info info) {
  fds_state *state = state_of(env, info);
  if (state == NULL || state->registers == NULL || state->outbox == NULL) return fds_bad_argument(env);
  size_t sends = (size_t)(uint32_t)state->registers[FDS_REGISTER_LENGTH];
  if (sends > state->outgoing_length / 2) return fds_bad_argument(env);
  size_t offset = 0;
  for (size_t i = 0; i < sends; i += 1) {
    int32_t *send = state->outgoing + 2 * i;
    size_t length = (size_t)(uint32_t)send[1];
    if (length > state->outbox_bytes - offset) return fds_bad_argument(env);
    ssize_t count = send_bytes(send[0], state->outbox + offset, length, 0);
    send[1] = count < 0 ? -errno : (int32_t)count;
    offset += length;
  }
  return NULL;
}

/* borrow(fd): reads into the thread's block, and copies nothing. */
static napi_value borrow_chunk(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd) || call.state->block == NULL)
    return fds_bad_argument(env);
  ssize_t count = receive_bytes(fd, call.state->block, FDS_BLOCK_BYTES, 0);
  return count < 0 ? fds_errno(env) : fds_number(env, count);
}

/* Nothing has changed when it fails. */
static bool keep(const fds_call *call, uint8_t **data, size_t *length, napi_ref *reference) {
  uint8_t *bytes;
  size_t count;
  napi_ref fresh;
  if (!fds_bytes(call, 0, &bytes, &count)) return false;
  if (napi_create_reference(call->env, call->values[0], 1, &fresh) != napi_ok) return false;
  if (*reference != NULL) napi_delete_reference(call->env, *reference);
  *reference = fresh;
  *data = bytes;
  *length = count;
  return true;
}

/* setRegisters(Int32Array): see FDS_REGISTERS. */
static napi_value set_registers(napi_env env, napi_callback_info info) {
  fds_call call;
  int32_t *registers;
  size_t length;
  if (!fds_begin(env, info, 1, &call) || call.state->registers != NULL ||
      !fds_int32s(&call, 0, &registers, &length) || length < FDS_REGISTERS ||
      napi_create_reference(env, call.values[0], 1, &call.state->registers_ref) != napi_ok)
    return fds_bad_argument(env);
  call.state->registers = registers;
  return fds_number(env, 0);
}

/* pin(bytes, 0 = for recv | 1 = for send): replaces the buffer that was pinned before. */
static napi_value pin(napi_env env, napi_callback_info info) {
  fds_call call;
  uint8_t *data;
  size_t length;
  int which;
  if (!fds_begin(env, info, 2, &call) || !fds_int(&call, 1, &which) || which < 0 || which > 1 ||
      !keep(&call, &data, &length, &call.state->pinned[which].reference))
    return fds_bad_argument(env);
  call.state->pinned[which].data = data;
  call.state->pinned[which].length = length;
  return fds_number(env, 0);
}

/* setBlock(bytes): the block that receive reads into, of FDS_BLOCK_BYTES. */
static napi_value set_block(napi_env env, napi_callback_info info) {
  fds_call call;
  uint8_t *data;
  size_t length;
  if (!fds_begin(env, info, 1, &call) || !fds_bytes(&call, 0, &data, &length) || length < FDS_BLOCK_BYTES ||
      !keep(&call, &data, &length, &call.state->block_ref))
    return fds_bad_argument(env);
  call.state->block = data;
  return fds_number(env, 0);
}

/* setOutbox(bytes, Int32Array of pairs) */
static napi_value set_outbox(napi_env env, napi_callback_info info) {
  fds_call call;
  int32_t *outgoing;
  size_t length;
  if (!fds_begin(env, info, 2, &call) || call.state->outgoing != NULL || !fds_int32s(&call, 1, &outgoing, &length) ||
      napi_create_reference(env, call.values[1], 1, &call.state->outgoing_ref) != napi_ok ||
      !keep(&call, &call.state->outbox, &call.state->outbox_bytes, &call.state->outbox_ref))
    return fds_bad_argument(env);
  call.state->outgoing = outgoing;
  call.state->outgoing_length = length;
  return fds_number(env, 0);
}

/* setPool(bytes, offset): where small reads are copied to, from the offset on. */
static napi_value set_pool(napi_env env, napi_callback_info info) {
  fds_call call;
  uint8_t *data;
  size_t length;
  size_t offset;
  if (!fds_begin(env, info, 2, &call) || !fds_size(&call, 1, &offset) ||
      !keep(&call, &data, &length, &call.state->pool_ref))
    return fds_bad_argument(env);
  call.state->pool = data;
  call.state->pool_offset = offset;
  call.state->pool_bytes = length;
  return fds_number(env, 0);
}

bool fds_define_transfer(napi_env env, napi_value exports, fds_state *state) {
  return fds_define(env, exports, state, "recv", receive) && fds_define(env, exports, state, "send", transmit) &&
         fds_define(env, exports, state, "sendv", transmit_gathered) &&
         fds_define(env, exports, state, "setRegisters", set_registers) &&
         fds_define(env, exports, state, "pin", pin) &&
         fds_define(env, exports, state, "recvPinned", receive_pinned) &&
         fds_define(env, exports, state, "sendPinned", transmit_pinned) &&
         fds_define(env, exports, state, "sendChunk", transmit_chunk) &&
         fds_define(env, exports, state, "receive", receive_chunk) &&
         fds_define(env, exports, state, "borrow", borrow_chunk) &&
         fds_define(env, exports, state, "sendAll", transmit_outbox) &&
         fds_define(env, exports, state, "setOutbox", set_outbox) &&
         fds_define(env, exports, state, "setBlock", set_block) &&
         fds_define(env, exports, state, "setPool", set_pool);
}
