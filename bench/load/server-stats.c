/*
 * How a server is measured from outside.
 *
 * CPU time of a process is read from its CPU clock (clock_getcpuclockid(3)): nanoseconds, exact while the process
 * runs on another core, the sum over all its threads including those that have ended. So it is right for one loop, for
 * a thread per connection, and for threads that come and go. /proc/<pid>/task/<tid>/schedstat has the same unit but
 * loses ended threads; utime and stime in /proc/<pid>/stat keep them but count ticks of 10 ms.
 * Children that have ended and were waited for are in their parent's cutime and cstime: ticks of 10 ms, the error of
 * one reading whatever the number of children, because the kernel sums nanoseconds and rounds when it prints. Only
 * process-per-connection under `arrivals` depends on them. A child that was alive at the first sample and is gone at
 * the second moves from one place to the other and is counted once.
 *
 * Memory is PSS (smaps_rollup): shared pages are divided among those that share them, so that the sum over a hundred
 * processes of one binary means something.
 */
#define _GNU_SOURCE
#include "server-stats.h"

#include <ctype.h>
#include <dirent.h>
#include <time.h>
#include <unistd.h>

struct process {
  pid_t pid, parent;
  int ours;
  unsigned threads;
  uint64_t own_ticks, reaped_ticks;
};

static int read_process(pid_t pid, struct process *into) {
  char path[64], line[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "re");
  if (!file) return -1;
  size_t length = fread(line, 1, sizeof line - 1, file);
  fclose(file);
  line[length] = 0;
  /* The second field, the name, may hold blanks and parentheses: the fields are counted from its last one. */
  char *rest = strrchr(line, ')');
  int parent;
  unsigned threads;
  unsigned long long user, system;
  long long reaped_user, reaped_system;
  if (!rest || sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %u", &parent, &user, &system,
                      &reaped_user, &reaped_system, &threads) != 6)
    return -1;
  *into = (struct process){ .pid = pid, .parent = parent, .threads = threads, .own_ticks = user + system,
                            .reaped_ticks = (uint64_t)(reaped_user + reaped_system) };
  return 0;
}

/* Lists the processes of the whole machine, and marks the given ones and their descendants. The caller frees the list. */
static size_t list_processes(const pid_t *roots, size_t root_count, struct process **list) {
  size_t count = 0, room = 0;
  *list = NULL;
  DIR *directory = opendir("/proc");
  if (!directory) return 0;
  for (struct dirent *entry; (entry = readdir(directory));) {
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    struct process found;
    if (read_process((pid_t)atoi(entry->d_name), &found) < 0) continue;
    for (size_t i = 0; i < root_count; i++) found.ours |= roots[i] == found.pid;
    if (count == room) {
      room = room ? room * 2 : 256;
      *list = realloc(*list, room * sizeof **list);
      if (!*list) abort();
    }
    (*list)[count++] = found;
  }
  closedir(directory);
  for (int changed = 1; changed;) {
    changed = 0;
    for (size_t i = 0; i < count; i++)
      for (size_t j = 0; !(*list)[i].ours && j < count; j++)
        if ((*list)[j].ours && (*list)[j].pid == (*list)[i].parent) (*list)[i].ours = changed = 1;
  }
  return count;
}

static uint64_t read_pss(pid_t pid) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
  FILE *file = fopen(path, "re");
  unsigned long long kilobytes = 0;
  if (!file) return 0;
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "Pss: %llu kB", &kilobytes) == 1) break;
  fclose(file);
  return kilobytes * 1024;
}

struct server_stats read_server(const pid_t *roots, size_t root_count, int with_memory) {
  struct server_stats stats = { 0 };
  struct process *list;
  double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
  size_t count = list_processes(roots, root_count, &list);
  for (size_t i = 0; i < count; i++) {
    if (!list[i].ours) continue;
    clockid_t clock;
    struct timespec used;
    stats.processes++;
    stats.threads += list[i].threads;
    if (clock_getcpuclockid(list[i].pid, &clock) == 0 && clock_gettime(clock, &used) == 0)
      stats.cpu_seconds += (double)used.tv_sec + (double)used.tv_nsec / 1e9;
    else
      stats.cpu_seconds += (double)list[i].own_ticks * tick;
    stats.cpu_seconds += (double)list[i].reaped_ticks * tick;
    if (with_memory) stats.pss_bytes += read_pss(list[i].pid);
  }
  free(list);
  return stats;
}

/* One counter of the files in /proc/net that give a line of names and then a line of values. 0 where it is missing. */
static uint64_t read_counter(const char *path, const char *group, const char *name) {
  static char names[8192], values[8192];
  FILE *file = fopen(path, "re");
  uint64_t value = 0;
  if (!file) return 0;
  while (fgets(names, sizeof names, file) && fgets(values, sizeof values, file)) {
    if (strncmp(names, group, strlen(group)) != 0) continue;
    char *name_state, *value_state;
    char *n = strtok_r(names, " \n", &name_state), *v = strtok_r(values, " \n", &value_state);
    for (; n && v; n = strtok_r(NULL, " \n", &name_state), v = strtok_r(NULL, " \n", &value_state))
      if (strcmp(n, name) == 0) value = strtoull(v, NULL, 10);
    break;
  }
  fclose(file);
  return value;
}

struct machine_stats read_machine(void) {
  struct machine_stats stats = { 0 };
  double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
  unsigned long long user, nice, system, idle, wait, irq, softirq, steal;
  FILE *file = fopen("/proc/stat", "re");
  if (file) {
    if (fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait, &irq, &softirq, &steal) == 8) {
      stats.busy_seconds = (double)(user + nice + system + irq + softirq) * tick;
      stats.steal_seconds = (double)steal * tick;
    }
    fclose(file);
  }
  stats.listen_overflows = read_counter("/proc/net/netstat", "TcpExt:", "ListenOverflows");
  stats.retransmits = read_counter("/proc/net/snmp", "Tcp:", "RetransSegs");
  return stats;
}
