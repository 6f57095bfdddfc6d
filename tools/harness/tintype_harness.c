/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/harness/tintype_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct tintype_harness {
  struct tintype_area *area;
};

/* Sealed, so that the machine need not fear that its end is cut off. Returns the descriptor. */
static int make_area(struct tintype_area **area) {
  const int fd = memfd_create("tintype-harness", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return -1;
  void *map = MAP_FAILED;
  if (ftruncate(fd, sizeof **area) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
    map = mmap(NULL, sizeof **area, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) {
    close(fd);
    return -1;
  }
  *area = map;
  (*area)->magic = TINTYPE_AREA_MAGIC;
  return fd;
}

static int tell_machine(const char *program, const char *machine, int fd) {
  char file[64];
  snprintf(file, sizeof file, "/proc/%ld/fd/%d", (long)getpid(), fd);
  char *const arguments[] = {(char *)"tintype", (char *)"harness", (char *)machine, (char *)"--area", file, NULL};
  pid_t child;
  int status;
  const int failure = posix_spawnp(&child, program != NULL ? program : "tintype", NULL, NULL, arguments, environ);
  if (failure != 0) {
    errno = failure;
    return -1;
  }
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  errno = ECONNREFUSED;
  return -1;
}

struct tintype_harness *tintype_harness_open(const char *program, const char *machine) {
  struct tintype_harness *harness = calloc(1, sizeof *harness);
  if (harness == NULL) return NULL;
  const int fd = make_area(&harness->area);
  if (fd >= 0) {
    const int told = tell_machine(program, machine, fd);
    close(fd);
    if (told == 0) return harness;
    munmap(harness->area, sizeof *harness->area);
  }
  free(harness);
  return NULL;
}

/* The other side is often through in some microseconds: looking is cheaper than sleeping. */
const struct tintype_area *tintype_harness_wait(struct tintype_harness *harness) {
  uint32_t *const turn = &harness->area->turn;
  for (int looks = 0; looks < 2000; ++looks) {
    if (__atomic_load_n(turn, __ATOMIC_ACQUIRE) == TINTYPE_TURN_PROGRAM) return harness->area;
    __builtin_ia32_pause();
  }
  while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) != TINTYPE_TURN_PROGRAM)
    syscall(SYS_futex, turn, FUTEX_WAIT, TINTYPE_TURN_MACHINE, NULL, NULL, 0);
  return harness->area;
}

int tintype_harness_give(struct tintype_harness *harness, const void *input, size_t length) {
  struct tintype_area *const area = harness->area;
  if (length > sizeof area->input) {
    errno = EMSGSIZE;
    return -1;
  }
  memcpy(area->input, input, length);
  area->length = length;
  __atomic_store_n(&area->turn, TINTYPE_TURN_MACHINE, __ATOMIC_RELEASE);
  syscall(SYS_futex, &area->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
  return 0;
}

void tintype_harness_set_timeout(struct tintype_harness *harness, unsigned milliseconds) {
  harness->area->timeout_ms = milliseconds;
}

void tintype_harness_close(struct tintype_harness *harness) {
  munmap(harness->area, sizeof *harness->area);
  free(harness);
}
