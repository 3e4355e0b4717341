/*
 * Wakers: ways into a thread for every other thread of the process. A thread that blocks has an eventfd, which ends its
 * waits; a reactor's waker has a uv_async_t, which calls back in its loop and ends its thread's blocking wait too. All
 * of them stand in one table of the process, guarded by its mutex. A handle names a place and its generation, so that a
 * handle kept too long wakes nobody.
 */
#include "internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

typedef struct fds_waker {
  napi_env env;
  size_t index;
  napi_ref callback;
  napi_async_context async_context;
  napi_async_cleanup_hook_handle cleanup;
  uv_async_t async;
} fds_waker;

typedef struct place {
  uint32_t generation;
  /* Whom it wakes; NULL = free. */
  fds_state *state;
  /* Its waker; NULL where the place is the thread's own. */
  fds_waker *waker;
  /* Woken, and the callback has not begun: further wakes are the same one. */
  bool rung;
  /* Woken, and neither has a blocking wait ended for it nor its callback begun. */
  bool unseen;
} place;

enum { PLACE_BITS = 20, MAX_PLACES = 1 << PLACE_BITS };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static place *places;
static size_t place_count;
/* Set when the process exits: from then on no thread may block any more. */
static bool exiting;

static double take_place(fds_state *state, fds_waker *waker) {
  size_t index = 0;
  while (index < place_count && places[index].state != NULL) index += 1;
  if (index == place_count) {
    size_t wanted = place_count == 0 ? 16 : place_count * 2;
    if (wanted > MAX_PLACES) return -1;
    place *grown = realloc(places, wanted * sizeof *grown);
    if (grown == NULL) return -1;
    places = grown;
    for (; place_count < wanted; place_count += 1) places[place_count] = (place){.generation = 0};
  }
  places[index] = (place){.generation = places[index].generation + 1, .state = state, .waker = waker};
  return (double)places[index].generation * MAX_PLACES + (double)index;
}

/* The place that a handle names, or NULL when that was left. */
static place *find(size_t handle) {
  size_t index = handle % MAX_PLACES;
  if (index >= place_count || places[index].state == NULL) return NULL;
  return places[index].generation == handle / MAX_PLACES ? &places[index] : NULL;
}

static void see(place *at) {
  if (at->unseen) at->state->unseen -= 1;
  at->unseen = false;
}

static void leave_place(size_t index) {
  see(&places[index]);
  places[index].state = NULL;
  places[index].waker = NULL;
}

static void signal_descriptor(int fd) {
  const uint64_t one = 1;
  /* EAGAIN: the counter is full, so the thread is being woken already. */
  ssize_t written = write(fd, &one, sizeof one);
  (void)written;
}

/* --- a thread's blocking waits ----------------------------------------------------------------------------------- */

/* This thread's wake descriptor, made at its first use, or a negative errno. */
int fds_wake_descriptor(fds_state *state) {
  if (state->wake_fd >= 0) return state->wake_fd;
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) return -errno;
  pthread_mutex_lock(&lock);
  double handle = take_place(state, NULL);
  if (handle >= 0) state->wake_fd = fd;
  if (exiting) signal_descriptor(fd);
  pthread_mutex_unlock(&lock);
  if (handle < 0) {
    close(fd);
    return -ENOMEM;
  }
  state->wake_handle = handle;
  return fd;
}

/* What has woken the thread ends one blocking wait, and no more. */
static bool take_unseen(fds_state *state) {
  if (state->unseen == 0) return false;
  for (size_t index = 0; index < place_count; index += 1)
    if (places[index].state == state) see(&places[index]);
  return true;
}

/* Before a blocking wait: whether the thread was woken already, so that it must not begin. */
bool fds_wake_enter(fds_state *state) {
  pthread_mutex_lock(&lock);
  bool woken = take_unseen(state);
  state->blocked = !woken;
  pthread_mutex_unlock(&lock);
  return woken;
}

/* After it. One that was ready in the moment of a wakeup leaves that for the next wait. */
void fds_wake_leave(fds_state *state, bool woken) {
  uint64_t count;
  pthread_mutex_lock(&lock);
  state->blocked = false;
  /* When the process exits, every wait ends at once. */
  if (state->unseen > 0 && !exiting) {
    ssize_t taken = read(state->wake_fd, &count, sizeof count);
    (void)taken;
  }
  if (woken) take_unseen(state);
  pthread_mutex_unlock(&lock);
}

void fds_waker_close(fds_state *state) {
  if (state->wake_fd < 0) return;
  pthread_mutex_lock(&lock);
  leave_place((size_t)state->wake_handle % MAX_PLACES);
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

/* --- wakers of a reactor ----------------------------------------------------------------------------------------- */

static void on_wake(uv_async_t *handle) {
  fds_waker *waker = handle->data;
  pthread_mutex_lock(&lock);
  /* A wake from here on is another one. */
  places[waker->index].rung = false;
  see(&places[waker->index]);
  pthread_mutex_unlock(&lock);
  /* Any failure means that the environment is being torn down: nobody is there to be told. */
  fds_call_back(waker->env, waker->callback, waker->async_context);
}

static void free_waker(fds_waker *waker) {
  if (waker->callback != NULL) napi_delete_reference(waker->env, waker->callback);
  if (waker->async_context != NULL) napi_async_destroy(waker->env, waker->async_context);
  free(waker);
}

static void on_closed(uv_handle_t *handle) {
  fds_waker *waker = handle->data;
  napi_async_cleanup_hook_handle cleanup = waker->cleanup;
  free_waker(waker);
  napi_remove_async_cleanup_hook(cleanup);
}

static void begin_close(fds_waker *waker) {
  if (uv_is_closing((uv_handle_t *)&waker->async)) return;
  /* Once it has left its place no other thread sends to the handle: libuv allows that until uv_close. */
  pthread_mutex_lock(&lock);
  leave_place(waker->index);
  pthread_mutex_unlock(&lock);
  uv_close((uv_handle_t *)&waker->async, on_closed);
}

static void on_environment_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  begin_close(data);
}

/* openWaker(callback): its handle. It does not hold the loop. */
static napi_value open_waker(napi_env env, napi_callback_info info) {
  fds_call call;
  napi_valuetype type;
  napi_value name, result;
  uv_loop_t *loop;
  if (!fds_begin(env, info, 1, &call) || napi_typeof(env, call.values[0], &type) != napi_ok || type != napi_function)
    return fds_bad_argument(env);
  fds_waker *waker = calloc(1, sizeof *waker);
  if (waker == NULL) return fds_number(env, -ENOMEM);
  waker->env = env;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_reference(env, call.values[0], 1, &waker->callback) != napi_ok ||
      napi_create_string_utf8(env, "fdset:waker", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &waker->async_context) != napi_ok) {
    free_waker(waker);
    return fds_number(env, -ENOMEM);
  }
  int error = uv_async_init(loop, &waker->async, on_wake);
  if (error != 0) {
    free_waker(waker);
    return fds_number(env, error);
  }
  waker->async.data = waker;
  uv_unref((uv_handle_t *)&waker->async);
  pthread_mutex_lock(&lock);
  double handle = take_place(call.state, waker);
  pthread_mutex_unlock(&lock);
  if (handle < 0) {
    uv_close((uv_handle_t *)&waker->async, on_closed);
    return fds_number(env, -ENOMEM);
  }
  waker->index = (size_t)handle % MAX_PLACES;
  if (napi_add_async_cleanup_hook(env, on_environment_cleanup, waker, &waker->cleanup) != napi_ok ||
      napi_create_double(env, handle, &result) != napi_ok) {
    begin_close(waker);
    return fds_number(env, -ENOMEM);
  }
  return result;
}

/* closeWaker(handle): 0, or -EBADF where it is no open waker of this thread. */
static napi_value close_waker(napi_env env, napi_callback_info info) {
  fds_call call;
  size_t handle;
  if (!fds_begin(env, info, 1, &call) || !fds_size(&call, 0, &handle)) return fds_bad_argument(env);
  pthread_mutex_lock(&lock);
  const place *at = find(handle);
  fds_waker *waker = at != NULL && at->state == call.state ? at->waker : NULL;
  pthread_mutex_unlock(&lock);
  if (waker == NULL) return fds_number(env, -EBADF);
  begin_close(waker);
  return fds_number(env, 0);
}

/* --- from any thread --------------------------------------------------------------------------------------------- */

/* wake(handle): 1 = woken, 0 = that waker is closed, or its thread has ended. */
static napi_value wake(napi_env env, napi_callback_info info) {
  fds_call call;
  size_t handle;
  if (!fds_begin(env, info, 1, &call) || !fds_size(&call, 0, &handle)) return fds_bad_argument(env);
  pthread_mutex_lock(&lock);
  place *at = find(handle);
  if (at != NULL && at->waker != NULL && !at->rung) {
    at->rung = true;
    uv_async_send(&at->waker->async);
  }
  if (at != NULL && !at->unseen) {
    at->unseen = true;
    at->state->unseen += 1;
    if (at->state->blocked) signal_descriptor(at->state->wake_fd);
  }
  pthread_mutex_unlock(&lock);
  return fds_number(env, at != NULL);
}

/* wakeForExit(): ends every wait of every thread, now and from now on. */
static napi_value wake_for_exit(napi_env env, napi_callback_info info) {
  (void)info;
  pthread_mutex_lock(&lock);
  exiting = true;
  for (size_t index = 0; index < place_count; index += 1)
    if (places[index].state != NULL && places[index].waker == NULL) signal_descriptor(places[index].state->wake_fd);
  pthread_mutex_unlock(&lock);
  return fds_number(env, 0);
}

bool fds_define_wakers(napi_env env, napi_value exports, fds_state *state) {
  return fds_define(env, exports, state, "threadWaker", thread_waker) &&
         fds_define(env, exports, state, "openWaker", open_waker) &&
         fds_define(env, exports, state, "closeWaker", close_waker) &&
         fds_define(env, exports, state, "wake", wake) &&
         fds_define(env, exports, state, "wakeForExit", wake_for_exit);
}
