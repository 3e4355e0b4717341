/*
 * The native core of fdset: thin system calls and the wait, no policy.
 *
 * Every function that JavaScript calls returns a count or a negative errno. Arguments that JavaScript should have
 * checked give FDS_BAD_ARGUMENT, which lies outside the errnos; nothing here throws. Constants and layouts come from
 * the system's headers.
 */
#ifndef FDSET_INTERNAL_H
#define FDSET_INTERNAL_H

#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* The argument is of a wrong type or outside its range: JavaScript finds out which, and throws. */
#define FDS_BAD_ARGUMENT (-100000)

/* fdset's own bits, as in src/readiness.ts. */
enum { FDS_READABLE = 1, FDS_WRITABLE = 2, FDS_ERROR = 4, FDS_HANGUP = 8, FDS_READ_CLOSED = 16, FDS_AHEAD = 32 };
enum { FDS_MSG_PEEK = 1, FDS_MSG_OOB = 2, FDS_MSG_MORE = 4 };

/* A read is at most this long; the size of the thread's read block. */
enum { FDS_BLOCK_BYTES = 65536 };

/* Reads below this are copied to the pool: a page's worth of copying costs less than a new block. */
enum { FDS_SMALL_BYTES = 4096 };

struct pollfd;
struct fds_demultiplexer;

enum { FDS_REGISTER_FD, FDS_REGISTER_OFFSET, FDS_REGISTER_LENGTH, FDS_REGISTER_RESULT, FDS_REGISTERS };
enum { FDS_PINNED_RECV, FDS_PINNED_SEND };

typedef struct fds_pinned {
  uint8_t *data;
  size_t length;
  napi_ref reference;
} fds_pinned;

/* What one environment (one thread that runs JavaScript) has. */
typedef struct fds_state {
  napi_env env;

  /* A bit for each descriptor that this thread opened and has neither closed nor given away. */
  uint64_t *owned;
  size_t owned_words;

  struct fds_demultiplexer **demultiplexers;
  uint32_t demultiplexer_count;

  /* The thread's read block and the pool that small reads are copied to, both JavaScript's, kept by references. */
  uint8_t *block;
  napi_ref block_ref;
  uint8_t *pool;
  size_t pool_bytes;
  size_t pool_offset;
  napi_ref pool_ref;

  /* The thread's outbox: small sends of many sockets, one behind the other, and for each its descriptor and length. */
  uint8_t *outbox;
  size_t outbox_bytes;
  napi_ref outbox_ref;
  int32_t *outgoing;
  size_t outgoing_length;
  napi_ref outgoing_ref;

  /*
   * The address that the latest accept or recvFrom gave, and for JavaScript the same packed (host * 65536 + port, or
   * -1) and whether the datagram was cut.
   */
  struct sockaddr_storage peer;
  socklen_t peer_length;
  double *packed_peer;
  napi_ref packed_peer_ref;

  /*
   * The registers of the hot verbs, an Int32Array of JavaScript's: the descriptor, offset and length go in, the count or
   * negative errno comes out. A call without arguments or result is half as long as one with them.
   */
  int32_t *registers;
  napi_ref registers_ref;
  /* The buffers that are received into and sent from again and again; JavaScript checks that they are still whole. */
  fds_pinned pinned[2];

  struct pollfd *polls;
  size_t poll_capacity;

  /* The eventfd that ends this thread's waits, -1 until it is needed; its handle in the table of wakers. */
  int wake_fd;
  double wake_handle;
  /* Under the lock of the wakers: whether the thread is in a blocking wait; how many of its wakers it has not seen woken. */
  bool blocked;
  uint32_t unseen;

  /* Offers of other threads that this one has claimed and not settled. */
  uint32_t held;
} fds_state;

/* state.c */
fds_state *fds_state_open(napi_env env);
bool fds_note(fds_state *state, int fd);
int fds_own(fds_state *state, int fd);
bool fds_owns(const fds_state *state, int fd);
void fds_forget(fds_state *state, int fd);
bool fds_disown(fds_state *state, int fd);

/* arguments and results, module.c */
enum { FDS_MAX_ARGUMENTS = 8 };
typedef struct fds_call {
  napi_env env;
  fds_state *state;
  size_t count;
  napi_value values[FDS_MAX_ARGUMENTS];
} fds_call;
bool fds_begin(napi_env env, napi_callback_info info, size_t least, fds_call *call);
bool fds_int(const fds_call *call, size_t index, int *into);
bool fds_size(const fds_call *call, size_t index, size_t *into);
bool fds_bytes(const fds_call *call, size_t index, uint8_t **data, size_t *length);
bool fds_int32s(const fds_call *call, size_t index, int32_t **data, size_t *length);
napi_value fds_number(napi_env env, int64_t value);
napi_value fds_errno(napi_env env);
napi_value fds_bad_argument(napi_env env);

/* Calls a function without arguments from the top of libuv's stack; what it throws is raised as an uncaughtException. */
napi_status fds_call_back(napi_env env, napi_ref function, napi_async_context context);

/* A range of a byte array, from three arguments (bytes, offset, length), checked to lie within it. */
bool fds_range(const fds_call *call, size_t index, uint8_t **data, size_t *length);

/* address.c */
double fds_pack_address(const struct sockaddr_storage *address, socklen_t length);
bool fds_read_address(const fds_call *call, size_t index, struct sockaddr_storage *address, socklen_t *length);
napi_value fds_address(napi_env env, const struct sockaddr_storage *address, socklen_t length);

/* demultiplexer.c */
uint32_t fds_poll_events(int interest);
int fds_readiness(uint32_t events);

/* waker.c and offers.c: the only process-wide state. */
int fds_wake_descriptor(fds_state *state);
bool fds_wake_enter(fds_state *state);
void fds_wake_leave(fds_state *state, bool woken);
void fds_waker_close(fds_state *state);
void fds_offer_taken(fds_state *state, int fd);
void fds_offers_end(fds_state *state);

/* transfer.c: fdset's flags as the system's; `allowed` are fdset's bits that the verb takes. */
bool fds_message_flags(int bits, int allowed, int *flags);

/*
 * transfer.c: reads into the thread's block, and copies fewer than FDS_SMALL_BYTES to the pool where they fit. `offset` is
 * their place in the pool, or -1: then they stand at the beginning of the block. The count, or -errno.
 */
int32_t fds_receive_chunk(fds_state *state, int fd, int32_t *offset);

/* blocking.c: waits until one of `count` polls is ready, the time is over (0), or the thread is woken (-EINTR). */
int fds_wait(fds_state *state, struct pollfd *polls, size_t count, double timeout_ms);
struct pollfd *fds_polls(fds_state *state, size_t count);

/* Each family defines its functions on the module's exports. */
bool fds_define(napi_env env, napi_value exports, fds_state *state, const char *name, napi_callback callback);
bool fds_define_sockets(napi_env env, napi_value exports, fds_state *state);
bool fds_define_options(napi_env env, napi_value exports, fds_state *state);
bool fds_define_option_structures(napi_env env, napi_value exports, fds_state *state);
bool fds_define_transfer(napi_env env, napi_value exports, fds_state *state);
bool fds_define_datagrams(napi_env env, napi_value exports, fds_state *state);
bool fds_define_multicast(napi_env env, napi_value exports, fds_state *state);
bool fds_define_descriptors(napi_env env, napi_value exports, fds_state *state);
bool fds_define_demultiplexer(napi_env env, napi_value exports, fds_state *state);
bool fds_define_wakers(napi_env env, napi_value exports, fds_state *state);
bool fds_define_offers(napi_env env, napi_value exports, fds_state *state);
bool fds_define_blocking(napi_env env, napi_value exports, fds_state *state);

#endif
