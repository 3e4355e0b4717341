/* Options whose values are structures of the system's headers: tcp_info of tcp(7) and ucred of unix(7). */
#include "internal.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

typedef struct field {
  const char *name;
  size_t offset;
  size_t size;
} field;

#define FIELD(name, member) \
  { name, offsetof(struct tcp_info, member), sizeof(((struct tcp_info *)0)->member) }

static const field TCP_FIELDS[] = {
    FIELD("state", tcpi_state),
    FIELD("congestionState", tcpi_ca_state),
    FIELD("retransmits", tcpi_retransmits),
    FIELD("probes", tcpi_probes),
    FIELD("backoff", tcpi_backoff),
    FIELD("options", tcpi_options),
    FIELD("rto", tcpi_rto),
    FIELD("ato", tcpi_ato),
    FIELD("sendMss", tcpi_snd_mss),
    FIELD("receiveMss", tcpi_rcv_mss),
    FIELD("unacked", tcpi_unacked),
    FIELD("sacked", tcpi_sacked),
    FIELD("lost", tcpi_lost),
    FIELD("retrans", tcpi_retrans),
    FIELD("lastDataSent", tcpi_last_data_sent),
    FIELD("lastDataReceived", tcpi_last_data_recv),
    FIELD("lastAckReceived", tcpi_last_ack_recv),
    FIELD("pmtu", tcpi_pmtu),
    FIELD("rtt", tcpi_rtt),
    FIELD("rttVariance", tcpi_rttvar),
    FIELD("minRtt", tcpi_min_rtt),
    FIELD("slowStartThreshold", tcpi_snd_ssthresh),
    FIELD("congestionWindow", tcpi_snd_cwnd),
    FIELD("advertisedMss", tcpi_advmss),
    FIELD("reordering", tcpi_reordering),
    FIELD("receiveRtt", tcpi_rcv_rtt),
    FIELD("receiveSpace", tcpi_rcv_space),
    FIELD("totalRetrans", tcpi_total_retrans),
    FIELD("pacingRate", tcpi_pacing_rate),
    FIELD("deliveryRate", tcpi_delivery_rate),
    FIELD("bytesAcked", tcpi_bytes_acked),
    FIELD("bytesReceived", tcpi_bytes_received),
    FIELD("notSentBytes", tcpi_notsent_bytes),
    FIELD("segmentsOut", tcpi_segs_out),
    FIELD("segmentsIn", tcpi_segs_in),
    FIELD("dataSegmentsOut", tcpi_data_segs_out),
    FIELD("dataSegmentsIn", tcpi_data_segs_in),
};

static bool set_field(napi_env env, napi_value object, const char *name, double value) {
  napi_value number;
  return napi_create_double(env, value, &number) == napi_ok &&
         napi_set_named_property(env, object, name, number) == napi_ok;
}

static double read_field(const struct tcp_info *info, const field *field) {
  const char *at = (const char *)info + field->offset;
  uint64_t wide;
  uint32_t word;
  switch (field->size) {
    case sizeof wide: memcpy(&wide, at, sizeof wide); return (double)wide;
    case sizeof word: memcpy(&word, at, sizeof word); return word;
    default: return (uint8_t)*at;
  }
}

/* tcpInfo(fd): an object, or -errno. What an older kernel does not tell is 0. */
static napi_value tcp_info(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  struct tcp_info values;
  socklen_t size = sizeof values;
  napi_value result;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd)) return fds_bad_argument(env);
  memset(&values, 0, sizeof values);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &values, &size) != 0) return fds_errno(env);
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  for (size_t i = 0; i < sizeof TCP_FIELDS / sizeof *TCP_FIELDS; i += 1)
    if (!set_field(env, result, TCP_FIELDS[i].name, read_field(&values, &TCP_FIELDS[i]))) return NULL;
  return result;
}

/* peerCredentials(fd): { pid, uid, gid }, or -errno; -ENOTCONN where there is no peer. */
static napi_value peer_credentials(napi_env env, napi_callback_info info) {
  fds_call call;
  int fd;
  struct ucred peer;
  socklen_t size = sizeof peer;
  napi_value result;
  if (!fds_begin(env, info, 1, &call) || !fds_int(&call, 0, &fd)) return fds_bad_argument(env);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return fds_errno(env);
  if (peer.uid == (uid_t)-1) return fds_number(env, -ENOTCONN);
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  return set_field(env, result, "pid", peer.pid) && set_field(env, result, "uid", peer.uid) &&
                 set_field(env, result, "gid", peer.gid)
             ? result
             : NULL;
}

bool fds_define_option_structures(napi_env env, napi_value exports, fds_state *state) {
  return fds_define(env, exports, state, "tcpInfo", tcp_info) &&
         fds_define(env, exports, state, "peerCredentials", peer_credentials);
}
