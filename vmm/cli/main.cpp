// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>

#include "vmm/cli/command_line.h"

// Of a machine's twenty threads few allocate at the same time. With a heap each, every new thread would lock the
// address space three times to map one, and whoever waits for a page with it.
int main(int argc, char** argv) {
  ::mallopt(M_ARENA_MAX, 2);
  return tintype::run_command_line(argc, argv);
}
