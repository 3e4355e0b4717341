/*
 * The 100 % line: an echo server over epoll, as a good C programmer writes it. One thread, level-triggered, up to 1024
 * events a wait, one recv of at most 64 KiB and one send per event. What a short send leaves over is kept, and until it
 * is gone the connection is not read: a client that does not read cannot make the server grow. No io_uring, no busy
 * polling, no zero-copy, no reading until EAGAIN (a second recv per message that finds nothing).
 *
 *   epoll-echo [--host 127.0.0.1] [--port 0]      prints "ready <port>" and serves until SIGTERM
 */
#define _GNU_SOURCE
#include "echo-server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 1024, BLOCK = 64 * 1024, BACKLOG = 511 };

/* What a short send left over; indexed by descriptor, allocated only while there is something. */
struct rest {
  char *bytes;
  size_t length, sent;
};

static struct rest *rests;
static int epoll_fd;

static void watch(int operation, int fd, uint32_t events) {
  struct epoll_event event = { .events = events, .data.fd = fd };
  if (epoll_ctl(epoll_fd, operation, fd, &event) < 0) fail("epoll_ctl");
}

/* The kernel takes the descriptor out of the epoll set itself: it is the only one of its description. */
static void drop(int fd) {
  free(rests[fd].bytes);
  rests[fd] = (struct rest){ 0 };
  close(fd);
}

static void accept_all(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN) return;
      if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO) continue;
      fail("accept4");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    watch(EPOLL_CTL_ADD, fd, EPOLLIN);
  }
}

static void echo(int fd) {
  static char block[BLOCK];
  ssize_t got = recv(fd, block, sizeof block, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return drop(fd);
  ssize_t sent = send(fd, block, (size_t)got, MSG_NOSIGNAL);
  if (sent == got) return;
  if (sent < 0 && errno != EAGAIN) return drop(fd);
  if (sent < 0) sent = 0;
  struct rest *rest = &rests[fd];
  rest->length = (size_t)(got - sent);
  rest->sent = 0;
  rest->bytes = malloc(rest->length);
  if (!rest->bytes) fail("malloc");
  memcpy(rest->bytes, block + sent, rest->length);
  watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static void send_rest(int fd) {
  struct rest *rest = &rests[fd];
  ssize_t sent = send(fd, rest->bytes + rest->sent, rest->length - rest->sent, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno != EAGAIN && errno != EINTR) drop(fd);
    return;
  }
  rest->sent += (size_t)sent;
  if (rest->sent < rest->length) return;
  free(rest->bytes);
  *rest = (struct rest){ 0 };
  watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

int main(int argc, char **argv) {
  struct sockaddr_in address = begin_server(argc, argv);

  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max < 1 << 20 ? files.rlim_max : 1 << 20;
  setrlimit(RLIMIT_NOFILE, &files);
  rests = calloc(files.rlim_cur, sizeof *rests);
  if (!rests) fail("calloc");

  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) fail("socket");
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
  bind_server(listener, &address);
  if (listen(listener, BACKLOG) < 0) fail("listen");
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1");
  watch(EPOLL_CTL_ADD, listener, EPOLLIN);
  ready(&address);

  static struct epoll_event events[BATCH];
  for (;;) {
    int count = epoll_wait(epoll_fd, events, BATCH, -1);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) accept_all(listener);
      else if (rests[fd].bytes) send_rest(fd);
      else echo(fd);
    }
  }
}
