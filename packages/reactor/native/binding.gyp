{
  "targets": [
    {
      "target_name": "fdset",
      "sources": [
        "module.c",
        "state.c",
        "address.c",
        "socket.c",
        "options.c",
        "option-structures.c",
        "multicast.c",
        "transfer.c",
        "datagram.c",
        "descriptors.c",
        "demultiplexer.c",
        "waker.c",
        "blocking.c"
      ],
      "defines": ["NAPI_VERSION=8", "_GNU_SOURCE"],
      # uv.h needs the GNU dialect (pthread_rwlock_t).
      "cflags": ["-std=gnu11", "-O2", "-flto", "-fno-plt", "-Wall", "-Wextra", "-fvisibility=hidden"],
      "ldflags": ["-flto", "-O2"]
    }
  ]
}
