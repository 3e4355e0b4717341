/*
 * Descriptors on their way from one thread of this process to another. All threads share the numbers, so what travels is
 * the ownership, and a table of the process, guarded by its mutex, has it meanwhile: at each moment a descriptor is
 * closed by one thread or by none.
 *
 *   the giver's ──offer──▶ offered ──claim──▶ held ──settle(keep)──▶ the taker's
 *        ▲                    │ ▲               │
 *        └─────withdraw───────┘ └─settle(back)──┘   (as at the end of the taker's thread)
 *
 * When the giver's thread ends, what is offered is closed, and what is held is the taker's.
 */
#include "internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct offer {
  /* -1 = a free place */
  int fd;
  uint32_t generation;
  /* Who may withdraw it; NULL when that thread has ended. */
  fds_state *giver;
  /* Who has claimed it; NULL = nobody. */
  fds_state *taker;
} offer;

enum { OFFER_BITS = 20, MAX_OFFERS = 1 << OFFER_BITS };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static offer *offers;
static size_t offer_count;

/* The offer that a token names, or NULL when that is over. */
static offer *find(size_t token) {
  size_t index = token % MAX_OFFERS;
  if (index >= offer_count || offers[index].fd < 0) return NULL;
  return offers[index].generation == token / MAX_OFFERS ? &offers[index] : NULL;
}

static double add(int fd, fds_state *giver) {
  size_t index = 0;
  while (index < offer_count && offers[index].fd >= 0) index += 1;
  if (index == offer_count) {
    size_t wanted = offer_count == 0 ? 16 : offer_count * 2;
    if (wanted > MAX_OFFERS) return -1;
    offer *grown = realloc(offers, wanted * sizeof *grown);
    if (grown == NULL) return -1;
    offers = grown;
    for (; offer_count < wanted; offer_count += 1) offers[offer_count] = (offer){.fd = -1};
  }
  offers[index] = (offer){.fd = fd, .generation = offers[index].generation + 1, .giver = giver};
  return (double)offers[index].generation * MAX_OFFERS + (double)index;
}

/* This thread closes or gives away a descriptor that it holds: so it has taken it. */
void fds_offer_taken(fds_state *state, int fd) {
  pthread_mutex_lock(&lock);
  for (size_t index = 0; index < offer_count; index += 1) {
    if (offers[index].fd != fd || offers[index].taker != state) continue;
    offers[index].fd = -1;
    state->held -= 1;
  }
  pthread_mutex_unlock(&lock);
}

/* The thread ends: before its descriptors are closed. */
void fds_offers_end(fds_state *state) {
  pthread_mutex_lock(&lock);
  for (size_t index = 0; index < offer_count; index += 1) {
    offer *at = &offers[index];
    if (at->fd < 0) continue;
    if (at->taker == state) {
      fds_forget(state, at->fd);
      at->taker = NULL;
    }
    if (at->giver == state) at->giver = NULL;
    if (at->taker == NULL && at->giver == NULL) {
      close(at->fd);
      at->fd = -1;
    }
  }
  state->held = 0;
  pthread_mutex_unlock(&lock);
}

/* offer(fd): the token by which any thread may claim it; -EBADF where it is not this thread's. */
static napi_value offer_descriptor(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  napi_value result;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd)) return fds_bad_argument(env);
  if (!fds_owns(call.state, fd)) return fds_number(env, -EBADF);
  fds_disown(call.state, fd);
  pthread_mutex_lock(&lock);
  double token = add(fd, call.state);
  pthread_mutex_unlock(&lock);
  if (token < 0) {
    /* It was noted a moment ago: there is room. */
    fds_note(call.state, fd);
    return fds_number(env, -ENOMEM);
  }
  return napi_create_double(env, token, &result) == napi_ok ? result : NULL;
}

/* claim(token): the descriptor, this thread's to adopt and to settle; -ENOENT where it was withdrawn or claimed. */
static napi_value claim(napi_env env, napi_callback_info info) {
  fds_call call;
  size_t token;
  int fd = -ENOENT;
  if (!fds_begin(env, info, 1, &call) || !fds_size(&call, 0, &token)) return fds_bad_argument(env);
  pthread_mutex_lock(&lock);
  offer *at = find(token);
  if (at != NULL && at->taker == NULL) {
    at->taker = call.state;
    call.state->held += 1;
    fd = at->fd;
  }
  pthread_mutex_unlock(&lock);
  return fds_number(env, fd);
}

/* settle(token, 1 = keep | 0 = give it back): 0; -ENOENT where this thread holds no such offer. */
static napi_value settle(napi_env env, napi_callback_info info) {
  fds_call call;
  size_t token;
  int keep, result = -ENOENT;
  if (!fds_begin(env, info, 2, &call) || !fds_size(&call, 0, &token) || !fds_int(&call, 1, &keep))
    return fds_bad_argument(env);
  pthread_mutex_lock(&lock);
  offer *at = find(token);
  if (at != NULL && at->taker == call.state) {
    call.state->held -= 1;
    result = 0;
    if (keep != 0 && (fds_owns(call.state, at->fd) || fds_note(call.state, at->fd))) at->fd = -1;
    else {
      fds_forget(call.state, at->fd);
      at->taker = NULL;
      /* Nobody is there to take it back. */
      if (at->giver == NULL) {
        close(at->fd);
        at->fd = -1;
      }
      if (keep != 0) result = -ENOMEM;
    }
  }
  pthread_mutex_unlock(&lock);
  return fds_number(env, result);
}

/*
 * withdraw(token): the descriptor, this thread's again; -EBUSY while another thread holds it undecided; -ENOENT where it
 * was taken, or is not this thread's offer.
 */
static napi_value withdraw(napi_env env, napi_callback_info info) {
  fds_call call;
  size_t token;
  int result = -ENOENT;
  if (!fds_begin(env, info, 1, &call) || !fds_size(&call, 0, &token)) return fds_bad_argument(env);
  pthread_mutex_lock(&lock);
  offer *at = find(token);
  if (at != NULL && at->giver == call.state) {
    if (at->taker != NULL) result = -EBUSY;
    else if (!fds_note(call.state, at->fd)) result = -ENOMEM;
    else {
      result = at->fd;
      at->fd = -1;
    }
  }
  pthread_mutex_unlock(&lock);
  return fds_number(env, result);
}

bool fds_define_offers(napi_env env, napi_value exports, fds_state *state) {
  return fds_define(env, exports, state, "offer", offer_descriptor) &&
         fds_define(env, exports, state, "claim", claim) && fds_define(env, exports, state, "settle", settle) &&
         fds_define(env, exports, state, "withdraw", withdraw);
}
