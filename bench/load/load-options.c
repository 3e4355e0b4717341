/* The command line of the load generator; the head of load.c describes it. */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datagrams.h"
#include "load.h"

const char *const load_shape_names[SHAPE_COUNT] = { "sessions", "arrivals", "idle", "flood", "datagrams", "hold" };

void load_usage(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "load: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\nusage: load sessions|arrivals|idle|flood|datagrams|hold --port P [options; see the head of load.c]\n");
  va_end(arguments);
  exit(1);
}

static double number_of(const char *name, const char *text, double least, double most) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end || !(value >= least && value <= most))
    load_usage("--%s wants a number from %g to %g, not '%s'", name, least, most, text);
  return value;
}

struct load_options load_parse_options(int argc, char **argv) {
  struct load_options options = { .connections = 50, .size = 64, .pipeline = 1 };
  options.warmup = 0.5;
  options.duration = options.settle = 1;
  options.stall = 5;
  options.interval = 0.003;
  options.lost_after = 0.2;
  static const char *const known[] = { "host",   "port",     "connections", "idle",       "size",  "pipeline", "warmup",
                                       "settle", "duration", "stall",       "server-pid", "frame", "collect",
                                       "longest", "at-least", "interval",    "lost-after" };
  struct option names[sizeof known / sizeof *known + 1] = { 0 };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    names[i] = (struct option){ known[i], strcmp(known[i], "collect") == 0 ? no_argument : required_argument, 0, 0 };
  int shape = -1;
  for (int i = 0; argc > 1 && i < SHAPE_COUNT; i++)
    if (strcmp(argv[1], load_shape_names[i]) == 0) shape = i;
  if (shape < 0) load_usage("the first argument is one of sessions, arrivals, idle, flood, datagrams, hold");
  options.shape = (enum load_shape)shape;
  options.address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  optind = 2;
  for (int option, index; (option = getopt_long(argc, argv, "", names, &index)) != -1;) {
    if (option != 0) load_usage("unknown option");
    const char *name = known[index];
    if (strcmp(name, "host") == 0) {
      if (inet_pton(AF_INET, optarg, &options.address.sin_addr) != 1) load_usage("--host wants an IPv4 address, not '%s'", optarg);
    } else if (strcmp(name, "port") == 0) options.address.sin_port = htons((uint16_t)number_of(name, optarg, 1, 65535));
    else if (strcmp(name, "connections") == 0) options.connections = (unsigned)number_of(name, optarg, 1, 1e6);
    else if (strcmp(name, "idle") == 0) options.idle = (unsigned)number_of(name, optarg, 0, 1e6);
    else if (strcmp(name, "size") == 0) options.size = (unsigned)number_of(name, optarg, 1, 1 << 26);
    else if (strcmp(name, "pipeline") == 0) options.pipeline = (unsigned)number_of(name, optarg, 1, 1 << 16);
    else if (strcmp(name, "warmup") == 0) options.warmup = number_of(name, optarg, 0, 600);
    else if (strcmp(name, "duration") == 0) options.duration = number_of(name, optarg, 0.01, 600);
    else if (strcmp(name, "longest") == 0) options.longest = number_of(name, optarg, 0.01, 3600);
    else if (strcmp(name, "at-least") == 0) options.at_least = (unsigned)number_of(name, optarg, 0, 1e9);
    else if (strcmp(name, "interval") == 0) options.interval = number_of(name, optarg, 0.0001, 60);
    else if (strcmp(name, "lost-after") == 0) options.lost_after = number_of(name, optarg, 0.01, 60);
    else if (strcmp(name, "settle") == 0) options.settle = number_of(name, optarg, 0, 60);
    else if (strcmp(name, "stall") == 0) options.stall = number_of(name, optarg, 0.1, 600);
    else if (strcmp(name, "collect") == 0) options.collect = true;
    else if (strcmp(name, "frame") == 0) {
      if (strcmp(optarg, "u32") != 0) load_usage("--frame wants u32, not '%s'", optarg);
      options.prefix = 4;
    } else {
      if (options.server_count == LOAD_MAX_SERVERS) load_usage("at most %d --server-pid", LOAD_MAX_SERVERS);
      options.servers[options.server_count++] = (pid_t)number_of(name, optarg, 1, 1 << 30);
    }
  }
  if (optind < argc) load_usage("unknown argument '%s'", argv[optind]);
  if (options.longest < options.duration) options.longest = options.duration;
  if (!options.address.sin_port) load_usage("--port is missing");
  if ((options.shape == ARRIVALS || options.shape == FLOOD || options.shape == DATAGRAMS) && options.pipeline != 1)
    load_usage("%s sends one message at a time: --pipeline must be 1", load_shape_names[shape]);
  if ((options.shape == FLOOD || options.shape == DATAGRAMS) && options.prefix) load_usage("%s sends no frames", load_shape_names[shape]);
  if (options.shape == DATAGRAMS && (options.size < DATAGRAMS_LEAST_BYTES || options.size > DATAGRAMS_MOST_BYTES))
    load_usage("a datagram has %d to %d bytes, not %u", DATAGRAMS_LEAST_BYTES, DATAGRAMS_MOST_BYTES, options.size);
  if (options.shape == DATAGRAMS && options.connections > DATAGRAMS_MOST)
    load_usage("at most %d datagrams are in flight, not %u", DATAGRAMS_MOST, options.connections);
  return options;
}
