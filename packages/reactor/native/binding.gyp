{
  # address, undefined or both: see build.mjs.
  "variables": { "fdset_sanitize%": "" },
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
        "offers.c",
        "blocking.c"
      ],
      "defines": ["NAPI_VERSION=8", "_GNU_SOURCE"],
      # uv.h needs the GNU dialect (pthread_rwlock_t).
      "cflags": ["-std=gnu11", "-O2", "-flto", "-fno-plt", "-Wall", "-Wextra", "-fvisibility=hidden"],
      "ldflags": ["-flto", "-O2"],
      "conditions": [
        [
          "fdset_sanitize!=''",
          {
            "cflags!": ["-O2", "-flto"],
            "cflags": [
              "-O1",
              "-g",
              "-fno-omit-frame-pointer",
              "-fsanitize=<(fdset_sanitize)",
              # A report ends the process: with both sanitizers, UBSan's goes to its stderr only.
              "-fno-sanitize-recover=all"
            ],
            "ldflags!": ["-flto", "-O2"],
            "ldflags": ["-fsanitize=<(fdset_sanitize)"]
          }
        ]
      ]
    }
  ]
}
