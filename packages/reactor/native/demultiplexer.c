/*
 * The demultiplexer and its driver: one epoll descriptor for a reactor, and one uv_poll_t on that descriptor. (One
 * uv_poll_t for each socket would hide errors as EBADF, change an interest by DEL and ADD, and cost a handle each.)
 * A timer wakes the reactor at its earliest deadline. Either calls the reactor's turn, once for all that is ready.
 */
#include "internal.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

/* Events taken from the kernel in one wait. */
enum { BATCH = 1024 };

/* A slot whose socket is received for ahead of its handler: fd is -1 where that is not asked for. */
typedef struct fds_ahead {
  int32_t fd;
  int32_t generation;
} fds_ahead;

typedef struct fds_demultiplexer {
  fds_state *state;
  uint32_t id;
  int epoll_fd;

  napi_ref turn;
  napi_async_context async_context;
  napi_async_cleanup_hook_handle cleanup;

  uv_poll_t poll;
  uv_timer_t timer;
  int open_handles;
  bool closing;

  /* Triples (slot, generation, readiness) for JavaScript. */
  int32_t *triples;
  size_t triple_capacity;
  napi_ref triples_ref;

  /* For each event of the batch that was received for: the count or -errno, and its place in the pool. */
  int32_t *received;
  napi_ref received_ref;
  fds_ahead *ahead;
  size_t ahead_slots;

  struct epoll_event batch[BATCH];
} fds_demultiplexer;

static fds_demultiplexer *find(const fds_call *call, size_t index) {
  size_t id;
  if (!fds_size(call, index, &id) || id >= call->state->demultiplexer_count) return NULL;
  return call->state->demultiplexers[id];
}

/* The masks of epoll and of poll are the same bits: <linux/eventpoll.h>, <asm-generic/poll.h>. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLPRI == POLLPRI && EPOLLERR == POLLERR &&
                   EPOLLHUP == POLLHUP && EPOLLRDHUP == POLLRDHUP,
               "epoll and poll share their bits");

uint32_t fds_poll_events(int interest) {
  return ((interest & FDS_READABLE) != 0 ? EPOLLIN | EPOLLRDHUP : 0) |
         ((interest & FDS_WRITABLE) != 0 ? EPOLLOUT : 0) | ((interest & FDS_ERROR) != 0 ? EPOLLPRI : 0) |
         ((interest & FDS_READ_CLOSED) != 0 ? EPOLLRDHUP : 0);
}

int fds_readiness(uint32_t events) {
  return ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 ? FDS_READABLE : 0) |
         ((events & (EPOLLOUT | EPOLLERR)) != 0 ? FDS_WRITABLE : 0) |
         ((events & (EPOLLPRI | EPOLLERR)) != 0 ? FDS_ERROR : 0) | ((events & EPOLLHUP) != 0 ? FDS_HANGUP : 0) |
         ((events & (EPOLLRDHUP | EPOLLHUP)) != 0 ? FDS_READ_CLOSED : 0);
}

/*
 * Calls the reactor's turn from the top of libuv's stack. The turn never throws. Any failure (the environment is being
 * torn down) stops the handles: a level-triggered descriptor that nobody serves would spin.
 */
static void run_turn(fds_demultiplexer *demultiplexer) {
  napi_status status =
      fds_call_back(demultiplexer->state->env, demultiplexer->turn, demultiplexer->async_context);
  if (status == napi_ok || demultiplexer->closing) return;
  uv_poll_stop(&demultiplexer->poll);
  uv_timer_stop(&demultiplexer->timer);
}

static void on_ready(uv_poll_t *handle, int status, int events) {
  (void)status;
  (void)events;
  run_turn(handle->data);
}

static void on_deadline(uv_timer_t *handle) { run_turn(handle->data); }

static void on_closed(uv_handle_t *handle) {
  fds_demultiplexer *demultiplexer = handle->data;
  demultiplexer->open_handles -= 1;
  if (demultiplexer->open_handles > 0) return;
  napi_env env = demultiplexer->state->env;
  napi_async_cleanup_hook_handle cleanup = demultiplexer->cleanup;
  close(demultiplexer->epoll_fd);
  napi_delete_reference(env, demultiplexer->turn);
  napi_delete_reference(env, demultiplexer->triples_ref);
  napi_delete_reference(env, demultiplexer->received_ref);
  napi_async_destroy(env, demultiplexer->async_context);
  free(demultiplexer->ahead);
  free(demultiplexer);
  /* From here on the environment may go: this was the last that held it. */
  napi_remove_async_cleanup_hook(cleanup);
}

static void begin_close(fds_demultiplexer *demultiplexer) {
  if (demultiplexer->closing) return;
  demultiplexer->closing = true;
  demultiplexer->state->demultiplexers[demultiplexer->id] = NULL;
  uv_poll_stop(&demultiplexer->poll);
  uv_close((uv_handle_t *)&demultiplexer->poll, on_closed);
  uv_close((uv_handle_t *)&demultiplexer->timer, on_closed);
}

static void on_environment_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  begin_close(data);
}

/* A free place in the thread's table, or -1 without memory. */
static int64_t reserve_id(fds_state *state) {
  for (uint32_t id = 0; id < state->demultiplexer_count; id += 1)
    if (state->demultiplexers[id] == NULL) return id;
  fds_demultiplexer **table =
      realloc(state->demultiplexers, (state->demultiplexer_count + 1) * sizeof(fds_demultiplexer *));
  if (table == NULL) return -1;
  state->demultiplexers = table;
  table[state->demultiplexer_count] = NULL;
  state->demultiplexer_count += 1;
  return state->demultiplexer_count - 1;
}

/* open(turn function, Int32Array of triples, Int32Array of pairs for what is received ahead): the id, or the error. */
static napi_value open_demultiplexer(napi_env env, napi_callback_info info) {
  fds_call call;
  int32_t *triples, *received;
  size_t length, received_length;
  napi_valuetype type;
  uv_loop_t *loop;
  napi_value name;
  if (!fds_begin(env, info, 3, &call) || napi_typeof(env, call.values[0], &type) != napi_ok ||
      type != napi_function || !fds_int32s(&call, 1, &triples, &length) || length < 3 ||
      !fds_int32s(&call, 2, &received, &received_length) || received_length / 2 < length / 3)
    return fds_bad_argument(env);
  int64_t id = reserve_id(call.state);
  fds_demultiplexer *demultiplexer = id < 0 ? NULL : calloc(1, sizeof *demultiplexer);
  if (demultiplexer == NULL) return fds_number(env, -ENOMEM);
  demultiplexer->state = call.state;
  demultiplexer->id = (uint32_t)id;
  demultiplexer->triples = triples;
  demultiplexer->triple_capacity = length / 3;
  demultiplexer->received = received;
  demultiplexer->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (demultiplexer->epoll_fd < 0) {
    napi_value result = fds_errno(env);
    free(demultiplexer);
    return result;
  }
  int error = 0;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_reference(env, call.values[0], 1, &demultiplexer->turn) != napi_ok ||
      napi_create_reference(env, call.values[1], 1, &demultiplexer->triples_ref) != napi_ok ||
      napi_create_reference(env, call.values[2], 1, &demultiplexer->received_ref) != napi_ok ||
      napi_create_string_utf8(env, "fdset:reactor", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &demultiplexer->async_context) != napi_ok)
    error = -ENOMEM;
  if (error == 0) error = uv_poll_init(loop, &demultiplexer->poll, demultiplexer->epoll_fd);
  if (error != 0) {
    if (demultiplexer->async_context != NULL) napi_async_destroy(env, demultiplexer->async_context);
    if (demultiplexer->received_ref != NULL) napi_delete_reference(env, demultiplexer->received_ref);
    if (demultiplexer->triples_ref != NULL) napi_delete_reference(env, demultiplexer->triples_ref);
    if (demultiplexer->turn != NULL) napi_delete_reference(env, demultiplexer->turn);
    close(demultiplexer->epoll_fd);
    free(demultiplexer);
    return fds_number(env, error);
  }
  demultiplexer->poll.data = demultiplexer;
  uv_timer_init(loop, &demultiplexer->timer);
  demultiplexer->timer.data = demultiplexer;
  demultiplexer->open_handles = 2;
  uv_unref((uv_handle_t *)&demultiplexer->poll);
  uv_unref((uv_handle_t *)&demultiplexer->timer);
  call.state->demultiplexers[id] = demultiplexer;
  error = uv_poll_start(&demultiplexer->poll, UV_READABLE, on_ready);
  /* Asynchronous, because the handles end by callbacks: a plain hook would let the thread go before them. */
  if (napi_add_async_cleanup_hook(env, on_environment_cleanup, demultiplexer, &demultiplexer->cleanup) != napi_ok)
    error = -ENOMEM;
  if (error != 0) {
    begin_close(demultiplexer);
    return fds_number(env, error);
  }
  return fds_number(env, id);
}

static napi_value close_demultiplexer(napi_env env, napi_callback_info info) {
  fds_call call;
  if (!fds_begin(env, info, 1, &call)) return fds_bad_argument(env);
  fds_demultiplexer *demultiplexer = find(&call, 0);
  if (demultiplexer == NULL) return fds_number(env, -EBADF);
  begin_close(demultiplexer);
  return fds_number(env, 0);
}

/* More sockets than this one process never watches: the notes of their slots take 32 MiB. */
enum { MOST_AHEAD_SLOTS = 1 << 22 };

/* Notes whether the slot is received for ahead; without memory for the note it is not, and its handler reads. */
static void note_ahead(fds_demultiplexer *demultiplexer, int slot, int fd, int generation) {
  if ((size_t)slot >= demultiplexer->ahead_slots) {
    if (fd < 0 || slot >= MOST_AHEAD_SLOTS) return;
    size_t slots = demultiplexer->ahead_slots == 0 ? 64 : demultiplexer->ahead_slots;
    while (slots <= (size_t)slot) slots *= 2;
    fds_ahead *ahead = realloc(demultiplexer->ahead, slots * sizeof *ahead);
    if (ahead == NULL) return;
    for (size_t i = demultiplexer->ahead_slots; i < slots; i += 1) ahead[i].fd = -1;
    demultiplexer->ahead = ahead;
    demultiplexer->ahead_slots = slots;
  }
  demultiplexer->ahead[slot] = (fds_ahead){.fd = fd, .generation = generation};
}

/*
 * (id, fd, slot, generation, interest): `first` is tried, and where the kernel's table says otherwise, `second`. (The
 * table is by file and number, and a number may have got another file by dup2 meanwhile.)
 */
static napi_value control(napi_env env, napi_callback_info info, int first, int second) {
  fds_call call;
  int fd, slot, generation, interest;
  if (!fds_begin(env, info, 5, &call) || !fds_int(&call, 1, &fd) || !fds_int(&call, 2, &slot) ||
      !fds_int(&call, 3, &generation) || !fds_int(&call, 4, &interest))
    return fds_bad_argument(env);
  fds_demultiplexer *demultiplexer = find(&call, 0);
  if (demultiplexer == NULL) return fds_number(env, -EBADF);
  if (slot < 0) return fds_bad_argument(env);
  note_ahead(demultiplexer, slot, (interest & FDS_AHEAD) != 0 ? fd : -1, generation);
  struct epoll_event event = {.events = fds_poll_events(interest),
                              .data.u64 = (uint64_t)(uint32_t)generation << 32 | (uint32_t)slot};
  if (interest == 0) {
    if (epoll_ctl(demultiplexer->epoll_fd, EPOLL_CTL_DEL, fd, &event) == 0) return fds_number(env, 0);
    /* The descriptor is gone already, and its entry with it. */
    return fds_number(env, errno == ENOENT || errno == EBADF ? 0 : -errno);
  }
  if (epoll_ctl(demultiplexer->epoll_fd, first, fd, &event) == 0) return fds_number(env, 0);
  if (errno != (first == EPOLL_CTL_ADD ? EEXIST : ENOENT)) return fds_errno(env);
  return epoll_ctl(demultiplexer->epoll_fd, second, fd, &event) == 0 ? fds_number(env, 0) : fds_errno(env);
}

/* add(id, fd, slot, generation, interest): for a descriptor that is not watched yet. */
static napi_value add(napi_env env, napi_callback_info info) {
  return control(env, info, EPOLL_CTL_ADD, EPOLL_CTL_MOD);
}

/* watch(id, fd, slot, generation, interest): for one that is; interest 0 removes it, any other replaces what was. */
static napi_value watch(napi_env env, napi_callback_info info) {
  return control(env, info, EPOLL_CTL_MOD, EPOLL_CTL_ADD);
}

/* wait(id, capacity): writes the triples that are ready, without waiting, and returns their count. */
static napi_value wait_ready(napi_env env, napi_callback_info info) {
  fds_call call;
  size_t capacity;
  if (!fds_begin(env, info, 2, &call) || !fds_size(&call, 1, &capacity)) return fds_bad_argument(env);
  fds_demultiplexer *demultiplexer = find(&call, 0);
  if (demultiplexer == NULL) return fds_number(env, -EBADF);
  if (capacity > demultiplexer->triple_capacity) capacity = demultiplexer->triple_capacity;
  if (capacity > BATCH) capacity = BATCH;
  if (capacity == 0) return fds_number(env, 0);
  int count;
  do {
    count = epoll_wait(demultiplexer->epoll_fd, demultiplexer->batch, (int)capacity, 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return fds_errno(env);
  int32_t *triple = demultiplexer->triples;
  for (int i = 0; i < count; i += 1, triple += 3) {
    const struct epoll_event *event = &demultiplexer->batch[i];
    triple[0] = (int32_t)(uint32_t)event->data.u64;
    triple[1] = (int32_t)(uint32_t)(event->data.u64 >> 32);
    triple[2] = fds_readiness(event->events);
  }
  return fds_number(env, count);
}

/*
 * receiveAhead(): the registers hold the id, the first event of the latest wait and their count. Receives for the events
 * whose slots ask for it, in a row, and marks them with FDS_AHEAD. It ends with the events, or with a chunk that does not
 * fit into the pool and so stands in the block. The result is the event to go on from; the offset, the event whose chunk
 * stands in the block, or -1.
 */
static napi_value receive_ahead(napi_env env, napi_callback_info info) {
  fds_call call;
  if (!fds_begin(env, info, 0, &call) || call.state->registers == NULL || call.state->block == NULL)
    return fds_bad_argument(env);
  int32_t *registers = call.state->registers;
  uint32_t id = (uint32_t)registers[FDS_REGISTER_FD];
  uint32_t i = (uint32_t)registers[FDS_REGISTER_OFFSET];
  uint32_t count = (uint32_t)registers[FDS_REGISTER_LENGTH];
  fds_demultiplexer *demultiplexer = id < call.state->demultiplexer_count ? call.state->demultiplexers[id] : NULL;
  if (demultiplexer == NULL || count > demultiplexer->triple_capacity) return fds_bad_argument(env);
  registers[FDS_REGISTER_OFFSET] = -1;
  while (i < count && registers[FDS_REGISTER_OFFSET] < 0) {
    int32_t *triple = demultiplexer->triples + 3 * (size_t)i;
    uint32_t slot = (uint32_t)triple[0];
    if ((triple[2] & FDS_READABLE) != 0 && slot < demultiplexer->ahead_slots) {
      const fds_ahead *ahead = &demultiplexer->ahead[slot];
      if (ahead->fd >= 0 && ahead->generation == triple[1]) {
        int32_t *received = demultiplexer->received + 2 * (size_t)i;
        received[0] = fds_receive_chunk(call.state, ahead->fd, &received[1]);
        triple[2] |= FDS_AHEAD;
        if (received[0] > 0 && received[1] < 0) registers[FDS_REGISTER_OFFSET] = (int32_t)i;
      }
    }
    i += 1;
  }
  registers[FDS_REGISTER_RESULT] = (int32_t)i;
  return NULL;
}

/* schedule(id, delay in ms; below 0 for none): the next turn at the latest. */
static napi_value schedule(napi_env env, napi_callback_info info) {
  fds_call call;
  double delay;
  if (!fds_begin(env, info, 2, &call) || napi_get_value_double(env, call.values[1], &delay) != napi_ok)
    return fds_bad_argument(env);
  fds_demultiplexer *demultiplexer = find(&call, 0);
  if (demultiplexer == NULL) return fds_number(env, -EBADF);
  if (!(delay >= 0)) return fds_number(env, uv_timer_stop(&demultiplexer->timer));
  if (delay > 9007199254740991.0) delay = 9007199254740991.0;
  /* libuv's clock stands still while callbacks run. */
  uv_update_time(demultiplexer->timer.loop);
  return fds_number(env, uv_timer_start(&demultiplexer->timer, on_deadline, (uint64_t)delay, 0));
}

/* hold(id, 0 | 1): whether the reactor keeps the process alive. */
static napi_value hold(napi_env env, napi_callback_info info) {
  fds_call call;
  int on;
  if (!fds_begin(env, info, 2, &call) || !fds_int(&call, 1, &on)) return fds_bad_argument(env);
  fds_demultiplexer *demultiplexer = find(&call, 0);
  if (demultiplexer == NULL) return fds_number(env, -EBADF);
  if (on != 0) uv_ref((uv_handle_t *)&demultiplexer->poll);
  else uv_unref((uv_handle_t *)&demultiplexer->poll);
  return fds_number(env, 0);
}

bool fds_define_demultiplexer(napi_env env, napi_value exports, fds_state *state) {
  return fds_define(env, exports, state, "openDemultiplexer", open_demultiplexer) &&
         fds_define(env, exports, state, "closeDemultiplexer", close_demultiplexer) &&
         fds_define(env, exports, state, "add", add) && fds_define(env, exports, state, "watch", watch) &&
         fds_define(env, exports, state, "wait", wait_ready) &&
         fds_define(env, exports, state, "receiveAhead", receive_ahead) &&
         fds_define(env, exports, state, "schedule", schedule) && fds_define(env, exports, state, "hold", hold);
}
