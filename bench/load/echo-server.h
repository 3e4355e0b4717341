/* What the two echo servers that are the 100 % lines have in common: how they are started, and how they end. */
#ifndef ECHO_SERVER_H
#define ECHO_SERVER_H

#include <netinet/in.h>

/* "<program>: <what>: <errno>", and the process ends. */
_Noreturn void fail(const char *what);

/* Reads --host and --port, and makes the process one that never outlives the harness. */
struct sockaddr_in begin_server(int argc, char **argv);

/* Binds, and writes the port that the socket got into `address`. */
void bind_server(int fd, struct sockaddr_in *address);

/* Prints "ready <port>". */
void ready(const struct sockaddr_in *address);

#endif
