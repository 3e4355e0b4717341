/* The module: its table of functions, and how arguments come in and results go out. */
#include "internal.h"

#include <dlfcn.h>
#include <math.h>

bool fds_begin(napi_env env, napi_callback_info info, size_t least, fds_call *call) {
  void *data = NULL;
  call->env = env;
  call->count = FDS_MAX_ARGUMENTS;
  if (napi_get_cb_info(env, info, &call->count, call->values, NULL, &data) != napi_ok) return false;
  call->state = data;
  return call->count >= least && call->count <= FDS_MAX_ARGUMENTS;
}

bool fds_int(const fds_call *call, size_t index, int *into) {
  double number;
  if (napi_get_value_double(call->env, call->values[index], &number) != napi_ok) return false;
  /* First: the conversion of a number outside the range is undefined. */
  if (!(number >= INT32_MIN && number <= INT32_MAX)) return false;
  int whole = (int)number;
  if ((double)whole != number) return false;
  *into = whole;
  return true;
}

bool fds_size(const fds_call *call, size_t index, size_t *into) {
  double number;
  if (napi_get_value_double(call->env, call->values[index], &number) != napi_ok) return false;
  if (!(number >= 0 && number <= 9007199254740991.0)) return false;
  size_t whole = (size_t)number;
  if ((double)whole != number) return false;
  *into = whole;
  return true;
}

bool fds_bytes(const fds_call *call, size_t index, uint8_t **data, size_t *length) {
  napi_typedarray_type type;
  void *bytes;
  if (napi_get_typedarray_info(call->env, call->values[index], &type, length, &bytes, NULL, NULL) != napi_ok)
    return false;
  *data = bytes;
  return type == napi_uint8_array || type == napi_uint8_clamped_array;
}

bool fds_int32s(const fds_call *call, size_t index, int32_t **data, size_t *length) {
  napi_typedarray_type type;
  void *numbers;
  if (napi_get_typedarray_info(call->env, call->values[index], &type, length, &numbers, NULL, NULL) != napi_ok)
    return false;
  *data = numbers;
  return type == napi_int32_array;
}

bool fds_range(const fds_call *call, size_t index, uint8_t **data, size_t *length) {
  size_t size, offset, count;
  if (!fds_bytes(call, index, data, &size)) return false;
  if (!fds_size(call, index + 1, &offset) || !fds_size(call, index + 2, &count)) return false;
  if (offset > size || count > size - offset) return false;
  *data += offset;
  *length = count;
  return true;
}

napi_value fds_number(napi_env env, int64_t value) {
  napi_value result;
  napi_status status = value >= INT32_MIN && value <= INT32_MAX ? napi_create_int32(env, (int32_t)value, &result)
                                                               : napi_create_double(env, (double)value, &result);
  return status == napi_ok ? result : NULL;
}

napi_value fds_errno(napi_env env) { return fds_number(env, -errno); }

napi_value fds_bad_argument(napi_env env) { return fds_number(env, FDS_BAD_ARGUMENT); }

/* An exception left pending would hang the process. */
napi_status fds_call_back(napi_env env, napi_ref function, napi_async_context context) {
  napi_handle_scope scope;
  napi_value callback, global, exception;
  napi_status status = napi_open_handle_scope(env, &scope);
  if (status != napi_ok) return status;
  status = napi_get_reference_value(env, function, &callback);
  if (status == napi_ok) status = napi_get_global(env, &global);
  if (status == napi_ok) status = napi_make_callback(env, context, global, callback, 0, NULL, NULL);
  if (status == napi_pending_exception && napi_get_and_clear_last_exception(env, &exception) == napi_ok)
    status = napi_fatal_exception(env, exception);
  napi_close_handle_scope(env, scope);
  return status;
}

bool fds_define(napi_env env, napi_value exports, fds_state *state, const char *name, napi_callback callback) {
  napi_property_descriptor property = {
      .utf8name = name, .method = callback, .attributes = napi_enumerable, .data = state};
  return napi_define_properties(env, exports, 1, &property) == napi_ok;
}

/*
 * Keeps this library in memory for ever: libuv's close callbacks of a worker that was the library's only user run
 * after Node has closed it.
 */
static void pin(void) {
  Dl_info self;
  if (dladdr((void *)pin, &self) != 0 && self.dli_fname != NULL) dlopen(self.dli_fname, RTLD_LAZY | RTLD_NODELETE);
}

NAPI_MODULE_INIT() {
  pin();
  fds_state *state = fds_state_open(env);
  if (state == NULL) {
    napi_throw_error(env, NULL, "fdset: no memory for the thread's state");
    return NULL;
  }
  if (!fds_define_sockets(env, exports, state) || !fds_define_options(env, exports, state) ||
      !fds_define_option_structures(env, exports, state) || !fds_define_multicast(env, exports, state) ||
      !fds_define_transfer(env, exports, state) || !fds_define_datagrams(env, exports, state) ||
      !fds_define_descriptors(env, exports, state) || !fds_define_demultiplexer(env, exports, state) ||
      !fds_define_wakers(env, exports, state) || !fds_define_offers(env, exports, state) ||
      !fds_define_blocking(env, exports, state)) {
    napi_throw_error(env, NULL, "fdset: the module's functions could not be defined");
    return NULL;
  }
  return exports;
}
