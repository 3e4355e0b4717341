/*
 * The 100 % line of datagrams: an echo server over recvmmsg and sendmmsg, as a good C programmer writes it. One thread, one
 * socket, level-triggered epoll, up to 64 datagrams by one call in each direction per event. What a short send leaves over
 * is sent when the socket is writable, and until then nothing is received. No GRO, no GSO, no busy polling, no second
 * recvmmsg that finds nothing.
 *
 *   udp-echo [--host 127.0.0.1] [--port 0]      prints "ready <port>" and serves until SIGTERM
 */
#define _GNU_SOURCE
#include "echo-server.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BATCH = 64, ROOM = 2048 }; /* as the targets over DatagramBatch have them */

static char payloads[BATCH][ROOM];
static struct sockaddr_storage addresses[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];
static unsigned received, sent; /* of the batch; what is between them waits to be sent */

/* Returns whether the whole batch is sent, or given up. */
static bool send_rest(int fd) {
  while (sent < received) {
    int count = sendmmsg(fd, messages + sent, received - sent, 0);
    if (count > 0) sent += (unsigned)count;
    else if (errno == EAGAIN || errno == ENOBUFS) return false;
    else if (errno != EINTR) sent++; /* that one cannot be sent: its client may be gone */
  }
  return true;
}

static void receive(int fd) {
  for (unsigned i = 0; i < BATCH; i++) {
    vectors[i].iov_len = ROOM;
    messages[i].msg_hdr.msg_namelen = sizeof addresses[i];
  }
  int count = recvmmsg(fd, messages, BATCH, 0, NULL);
  received = count < 0 ? 0 : (unsigned)count;
  sent = 0;
  for (unsigned i = 0; i < received; i++) vectors[i].iov_len = messages[i].msg_len;
}

int main(int argc, char **argv) {
  struct sockaddr_in address = begin_server(argc, argv);

  for (unsigned i = 0; i < BATCH; i++) {
    vectors[i].iov_base = payloads[i];
    messages[i].msg_hdr = (struct msghdr){ .msg_name = &addresses[i], .msg_iov = &vectors[i], .msg_iovlen = 1 };
  }
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  bind_server(fd, &address);
  int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
  if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll");
  ready(&address);

  for (;;) {
    int count = epoll_wait(epoll_fd, &event, 1, -1);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    if (count < 1) continue;
    bool was_blocked = sent < received;
    if (!was_blocked) receive(fd);
    bool blocked = !send_rest(fd);
    if (blocked == was_blocked) continue;
    event = (struct epoll_event){ .events = blocked ? EPOLLOUT : EPOLLIN, .data.fd = fd };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0) fail("epoll_ctl");
  }
}
