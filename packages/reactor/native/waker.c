/*
 * Wakers: an eventfd for each thread that blocks, in one table of the process so that any thread can wake any other.
 * The table, guarded by its mutex, is the only process-wide state of the core. A handle names a place and its
 * generation, so that a handle kept too long wakes nobody.
 */
#include "internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct place {
  int fd;
  uint32_t generation;
} place;

enum { PLACE_BITS = 20, MAX_PLACES = 1 << PLACE_BITS };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static place *places;
static size_t place_count;
/* Set when the process exits: from then on no thread may block any more. */
static bool exiting;

static double take_place(int fd) {
  size_t index = 0;
  while (index < place_count && places[index].fd >= 0) index += 1;
  if (index == place_count) {
    size_t wanted = place_count == 0 ? 16 : place_count * 2;
    if (wanted > MAX_PLACES) return -1;
    place *grown = realloc(places, wanted * sizeof *grown);
    if (grown == NULL) return -1;
    places = grown;
    for (; place_count < wanted; place_count += 1) places[place_count] = (place){.fd = -1, .generation = 0};
  }
  places[index].fd = fd;
  places[index].generation += 1;
  return (double)places[index].generation * MAX_PLACES + (double)index;
}

static void signal_descriptor(int fd) {
  const uint64_t one = 1;
  /* EAGAIN: the counter is full, so the thread is being woken already. */
  ssize_t written = write(fd, &one, sizeof one);
  (void)written;
}

/* This thread's wake descriptor, made at its first use, or a negative errno. */
int fds_wake_descriptor(fds_state *state) {
  if (state->wake_fd >= 0) return state->wake_fd;
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) return -errno;
  pthread_mutex_lock(&lock);
  double handle = take_place(fd);
  if (exiting) signal_descriptor(fd);
  pthread_mutex_unlock(&lock);
  if (handle < 0) {
    close(fd);
    return -ENOMEM;
  }
  state->wake_fd = fd;
  state->wake_handle = handle;
  return fd;
}

/* Takes the wakeup, unless the process exits: then every wait ends at once. */
void fds_wake_drain(fds_state *state) {
  uint64_t count;
  pthread_mutex_lock(&lock);
  if (!exiting) {
    ssize_t taken = read(state->wake_fd, &count, sizeof count);
    (void)taken;
  }
  pthread_mutex_unlock(&lock);
}

void fds_waker_close(fds_state *state) {
  if (state->wake_fd < 0) return;
  pthread_mutex_lock(&lock);
  places[(uint64_t)state->wake_handle % MAX_PLACES].fd = -1;
  pthread_mutex_unlock(&lock);
  close(state->wake_fd);
  state->wake_fd = -1;
}

/* threadWaker(): the handle that wakes this thread. */
static napi_value thread_waker(napi_env env, napi_callback_info info) {
  fds_call call;
  napi_value handle;
  if (!fds_begin(env, info, 0, &call)) return fds_bad_argument(env);
  int fd = fds_wake_descriptor(call.state);
  if (fd < 0) return fds_number(env, fd);
  return napi_create_double(env, call.state->wake_handle, &handle) == napi_ok ? handle : NULL;
}

/* wake(handle): 1 = woken, 0 = that thread has ended. */
static napi_value wake(napi_env env, napi_callback_info info) {
  fds_call call;
  size_t handle;
  int woken = 0;
  if (!fds_begin(env, info, 1, &call) || !fds_size(&call, 0, &handle)) return fds_bad_argument(env);
  size_t index = handle % MAX_PLACES;
  pthread_mutex_lock(&lock);
  if (index < place_count && places[index].fd >= 0 && places[index].generation == handle / MAX_PLACES) {
    signal_descriptor(places[index].fd);
    woken = 1;
  }
  pthread_mutex_unlock(&lock);
  return fds_number(env, woken);
}

/* wakeForExit(): ends every wait of every thread, now and from now on. */
static napi_value wake_for_exit(napi_env env, napi_callback_info info) {
  (void)info;
  pthread_mutex_lock(&lock);
  exiting = true;
  for (size_t index = 0; index < place_count; index += 1)
    if (places[index].fd >= 0) signal_descriptor(places[index].fd);
  pthread_mutex_unlock(&lock);
  return fds_number(env, 0);
}

bool fds_define_wakers(napi_env env, napi_value exports, fds_state *state) {
  return fds_define(env, exports, state, "threadWaker", thread_waker) &&
         fds_define(env, exports, state, "wake", wake) &&
         fds_define(env, exports, state, "wakeForExit", wake_for_exit);
}
