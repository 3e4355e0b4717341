/*
 * The 100 % line of datagrams: an echo server over recvmmsg and sendmmsg, as a good C programmer writes it. One thread, one
 * socket, level-triggered epoll, up to 64 datagrams by one call in each direction per event. What a short send leaves over
 * is sent when the socket is writable, and until then nothing is received. No GRO, no GSO, no busy polling, no second
 * recvmmsg that finds nothing.
 *
 *   udp-echo [--host 127.0.0.1] [--port 0]      prints "ready <port>" and serves until SIGTERM
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { BATCH = 64, ROOM = 2048 }; /* as the targets over DatagramBatch have them */

static char payloads[BATCH][ROOM];
static struct sockaddr_storage addresses[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];
static unsigned received, sent; /* of the batch; what is between them waits to be sent */

static void fail(const char *what) {
  fprintf(stderr, "udp-echo: %s: %s\n", what, strerror(errno));
  exit(1);
}

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
  static const struct option names[] = {
    { "host", required_argument, 0, 'h' },
    { "port", required_argument, 0, 'p' },
    { 0, 0, 0, 0 },
  };
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (option == 'p') address.sin_port = htons((uint16_t)atoi(optarg));
    else if (option != 'h' || inet_pton(AF_INET, optarg, &address.sin_addr) != 1) {
      fprintf(stderr, "usage: udp-echo [--host IPv4 address] [--port n]\n");
      return 1;
    }
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlives the harness */
  signal(SIGUSR2, SIG_IGN);         /* the harness asks servers that have a garbage collector to run it */

  for (unsigned i = 0; i < BATCH; i++) {
    vectors[i].iov_base = payloads[i];
    messages[i].msg_hdr = (struct msghdr){ .msg_name = &addresses[i], .msg_iov = &vectors[i], .msg_iovlen = 1 };
  }
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  getsockname(fd, (struct sockaddr *)&address, &(socklen_t){ sizeof address });
  int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
  if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll");
  printf("ready %d\n", ntohs(address.sin_port));
  fflush(stdout);

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
