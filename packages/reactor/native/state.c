/* What a thread has: the descriptors that it owns, and their end with the thread. */
#include "internal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool grow(fds_state *state, size_t words) {
  size_t wanted = state->owned_words == 0 ? 16 : state->owned_words;
  while (wanted < words) wanted *= 2;
  uint64_t *owned = realloc(state->owned, wanted * sizeof *owned);
  if (owned == NULL) return false;
  memset(owned + state->owned_words, 0, (wanted - state->owned_words) * sizeof *owned);
  state->owned = owned;
  state->owned_words = wanted;
  return true;
}

/* Notes a descriptor as this thread's. */
bool fds_note(fds_state *state, int fd) {
  size_t word = (size_t)fd / 64;
  if (word >= state->owned_words && !grow(state, word + 1)) return false;
  state->owned[word] |= UINT64_C(1) << (fd % 64);
  return true;
}

/* Notes a descriptor that was just made; one that cannot be noted is closed, and the result is -ENOMEM. */
int fds_own(fds_state *state, int fd) {
  if (fds_note(state, fd)) return fd;
  close(fd);
  return -ENOMEM;
}

bool fds_owns(const fds_state *state, int fd) {
  return fd >= 0 && (size_t)fd / 64 < state->owned_words && (state->owned[fd / 64] >> (fd % 64) & 1) != 0;
}

void fds_forget(fds_state *state, int fd) {
  if (fds_owns(state, fd)) state->owned[fd / 64] &= ~(UINT64_C(1) << (fd % 64));
}

/* Before the descriptor is closed or given away; false where it is not this thread's. */
bool fds_disown(fds_state *state, int fd) {
  if (!fds_owns(state, fd)) return false;
  if (state->held > 0) fds_offer_taken(state, fd);
  fds_forget(state, fd);
  return true;
}

/* The thread ends, perhaps by terminate(): its peers see their connections closed, and nothing leaks. */
static void on_thread_end(void *data) {
  fds_state *state = data;
  fds_offers_end(state);
  for (size_t word = 0; word < state->owned_words; word += 1) {
    for (uint64_t bits = state->owned[word]; bits != 0; bits &= bits - 1)
      close((int)(word * 64) + __builtin_ctzll(bits));
  }
  free(state->owned);
  state->owned = NULL;
  state->owned_words = 0;
  fds_waker_close(state);
}

static void on_environment_end(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  fds_state *state = data;
  free(state->polls);
  free(state->demultiplexers);
  free(state);
}

fds_state *fds_state_open(napi_env env) {
  fds_state *state = calloc(1, sizeof *state);
  if (state == NULL) return NULL;
  state->env = env;
  state->wake_fd = -1;
  if (napi_add_env_cleanup_hook(env, on_thread_end, state) != napi_ok) {
    free(state);
    return NULL;
  }
  if (napi_set_instance_data(env, state, on_environment_end, NULL) != napi_ok) {
    napi_remove_env_cleanup_hook(env, on_thread_end, state);
    free(state);
    return NULL;
  }
  return state;
}
