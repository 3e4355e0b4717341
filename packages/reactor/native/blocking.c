/*
 * The blocking verbs, for worker threads, and the look of select. Each tries its call and, at EAGAIN, polls the
 * descriptor together with the thread's wake descriptor: a thread that is stuck in recv(2) itself could be ended
 * neither by terminate() nor by process.exit().
 */
#include "internal.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/*
 * A wait is cut into slices, after each of which the thread looks whether it is being ended. That is a net below the
 * wakers, for the case that nobody knew this thread and woke it.
 */
static const double SLICE_MS = 500;

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* Whether JavaScript may no longer run here: the thread is being terminated, or the process exits. */
static bool is_ending(napi_env env) {
  napi_handle_scope scope;
  napi_value global, name;
  bool found, ending = true;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return true;
  if (napi_get_global(env, &global) == napi_ok &&
      napi_create_string_utf8(env, "globalThis", NAPI_AUTO_LENGTH, &name) == napi_ok)
    ending = napi_has_own_property(env, global, name, &found) != napi_ok;
  napi_close_handle_scope(env, scope);
  return ending;
}

struct pollfd *fds_polls(fds_state *state, size_t count) {
  if (count <= state->poll_capacity) return state->polls;
  struct pollfd *polls = realloc(state->polls, count * sizeof *polls);
  if (polls == NULL) return NULL;
  state->polls = polls;
  state->poll_capacity = count;
  return polls;
}

static int wait_in_slices(fds_state *state, struct pollfd *polls, size_t count, double timeout_ms) {
  polls[count] = (struct pollfd){.fd = state->wake_fd, .events = POLLIN};
  double deadline = now_ms() + timeout_ms;
  for (;;) {
    double left = timeout_ms < 0 ? SLICE_MS : deadline - now_ms();
    if (left < 0) left = 0;
    if (left > SLICE_MS) left = SLICE_MS;
    int slice = (int)left;
    /* Rounded up: a wait of 0.3 ms must not become a busy loop. */
    if (slice < left) slice += 1;
    int ready = poll(polls, count + 1, slice);
    if (ready < 0 && errno != EINTR) return -errno;
    if (ready > 0 && polls[count].revents != 0) return -EINTR;
    if (ready > 0) return ready;
    if (timeout_ms >= 0 && now_ms() >= deadline) return 0;
    if (is_ending(state->env)) return -EINTR;
  }
}

/* `polls` has room for one more than `count`: the wake descriptor. A negative timeout waits for ever. */
int fds_wait(fds_state *state, struct pollfd *polls, size_t count, double timeout_ms) {
  int wake_fd = fds_wake_descriptor(state);
  if (wake_fd < 0) return wake_fd;
  if (fds_wake_enter(state)) return -EINTR;
  int ready = wait_in_slices(state, polls, count, timeout_ms);
  fds_wake_leave(state, ready == -EINTR);
  return ready;
}

static int wait_one(fds_state *state, int fd, short events, double timeout_ms) {
  struct pollfd polls[2] = {{.fd = fd, .events = events}};
  return fds_wait(state, polls, 1, timeout_ms);
}

/*
 * Waits before a call is tried again. What was ready and gave EAGAIN all the same is ready again at once (a datagram
 * socket whose reading was shut down is reported as input for ever): from the second time on the thread rests first, where
 * it can be woken.
 */
static int wait_to_retry(fds_state *state, int fd, short events, double left_ms, bool again) {
  static const double REST_MS = 5;
  if (!again) return wait_one(state, fd, events, left_ms);
  struct pollfd wake[1];
  bool last = left_ms >= 0 && left_ms <= REST_MS;
  int rested = fds_wait(state, wake, 0, last ? left_ms : REST_MS);
  if (rested < 0 || last) return rested;
  return wait_one(state, fd, events, left_ms < 0 ? left_ms : left_ms - REST_MS);
}

/* NaN is none: a wait for it would have no end. */
static bool read_timeout(const fds_call *call, size_t index, double *timeout_ms) {
  return napi_get_value_double(call->env, call->values[index], timeout_ms) == napi_ok && *timeout_ms == *timeout_ms;
}

/* recvSync(fd, bytes, offset, length, timeout): the count, -EAGAIN when the time is over, -EINTR when woken. */
static napi_value receive_blocking(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  uint8_t *data;
  size_t length;
  double timeout_ms;
  bool again = false;
  if (!fds_begin(env, info, 5, &call) || !fds_int(&call, 0, &fd) || !fds_range(&call, 1, &data, &length) ||
      length == 0 || !read_timeout(&call, 4, &timeout_ms))
    return fds_bad_argument(env);
  double deadline = now_ms() + timeout_ms;
  for (;;) {
    ssize_t count = recv(fd, data, length, 0);
    if (count < 0 && errno == ENOTSOCK) count = read(fd, data, length);
    if (count >= 0) return fds_number(env, count);
    if (errno != EAGAIN && errno != EINTR) return fds_errno(env);
    double left = timeout_ms < 0 ? -1 : deadline - now_ms();
    int ready = wait_to_retry(call.state, fd, POLLIN, timeout_ms >= 0 && left < 0 ? 0 : left, again);
    again = true;
    if (ready <= 0) return fds_number(env, ready == 0 ? -EAGAIN : ready);
  }
}

/* sendAllSync(fd, bytes, timeout): the count sent, fewer than all when the time was over or the thread was woken. */
static napi_value send_blocking(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  uint8_t *data;
  size_t length, sent = 0;
  double timeout_ms;
  bool again = false;
  if (!fds_begin(env, info, 3, &call) || !fds_int(&call, 0, &fd) || !fds_bytes(&call, 1, &data, &length) ||
      !read_timeout(&call, 2, &timeout_ms))
    return fds_bad_argument(env);
  double deadline = now_ms() + timeout_ms;
  /* Once at least: an empty datagram is one. */
  do {
    ssize_t count = send(fd, data + sent, length - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == ENOTSOCK) count = write(fd, data + sent, length - sent);
    if (count >= 0) {
      sent += (size_t)count;
      again = false;
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) return fds_errno(env);
    double left = timeout_ms < 0 ? -1 : deadline - now_ms();
    int ready = wait_to_retry(call.state, fd, POLLOUT, timeout_ms >= 0 && left < 0 ? 0 : left, again);
    again = true;
    if (ready == 0 || (ready == -EINTR && sent > 0)) break;
    if (ready < 0) return fds_number(env, ready);
  } while (sent < length);
  return fds_number(env, (int64_t)sent);
}

/* waitSync(fd, interest, timeout): 1 = ready, 0 = the time is over, -EINTR = woken. For accept and connect. */
static napi_value wait_blocking(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd, interest;
  double timeout_ms;
  if (!fds_begin(env, info, 3, &call) || !fds_int(&call, 0, &fd) || !fds_int(&call, 1, &interest) ||
      !read_timeout(&call, 2, &timeout_ms))
    return fds_bad_argument(env);
  return fds_number(env, wait_one(call.state, fd, (short)fds_poll_events(interest), timeout_ms));
}

/*
 * look(fds, masks, count, timeout): masks come in as interests and go out as readiness, ANDed with the interest. With
 * timeout 0 it is one poll(2) that does not wait. Returns how many are ready; -EINTR when woken.
 */
static napi_value look(napi_env env, napi_callback_info info) {
  fds_call call;
  int32_t *fds, *masks;
  size_t fd_count, mask_count, count;
  double timeout_ms;
  if (!fds_begin(env, info, 4, &call) || !fds_int32s(&call, 0, &fds, &fd_count) ||
      !fds_int32s(&call, 1, &masks, &mask_count) || !fds_size(&call, 2, &count) || count > fd_count ||
      count > mask_count || !read_timeout(&call, 3, &timeout_ms))
    return fds_bad_argument(env);
  struct pollfd *polls = fds_polls(call.state, count + 1);
  if (polls == NULL) return fds_number(env, -ENOMEM);
  for (size_t i = 0; i < count; i += 1)
    polls[i] = (struct pollfd){.fd = fds[i], .events = (short)fds_poll_events(masks[i])};
  double deadline = now_ms() + timeout_ms;
  for (;;) {
    int ready = 0;
    if (timeout_ms == 0) {
      do ready = poll(polls, count, 0);
      while (ready < 0 && errno == EINTR);
    } else {
      double left = timeout_ms < 0 ? -1 : deadline - now_ms();
      ready = fds_wait(call.state, polls, count, timeout_ms >= 0 && left < 0 ? 0 : left);
    }
    if (ready < 0) return timeout_ms == 0 ? fds_errno(env) : fds_number(env, ready);
    size_t wanted = 0;
    for (size_t i = 0; ready > 0 && i < count; i += 1) {
      if (polls[i].revents == 0) continue;
      if ((polls[i].revents & POLLNVAL) != 0) return fds_number(env, -EBADF);
      int readiness = fds_readiness((uint16_t)polls[i].revents) & masks[i];
      polls[i].revents = (short)readiness;
      if (readiness != 0) wanted += 1;
      /* A hang-up that nobody asked for: poll(2) cannot mask it and would report it for ever. */
      else polls[i].fd = -1;
    }
    if (ready > 0 && wanted == 0 && timeout_ms != 0) continue;
    for (size_t i = 0; i < count; i += 1) masks[i] = ready > 0 ? polls[i].revents : 0;
    return fds_number(env, (int64_t)wanted);
  }
}

bool fds_define_blocking(napi_env env, napi_value exports, fds_state *state) {
  return fds_define(env, exports, state, "recvSync", receive_blocking) &&
         fds_define(env, exports, state, "sendAllSync", send_blocking) &&
         fds_define(env, exports, state, "waitSync", wait_blocking) &&
         fds_define(env, exports, state, "look", look);
}
