// SPDX-License-Identifier: Apache-2.0
//
// The smallest thing that can be seen to run: says hello and leaves.
#include "guest-images/runtime/boot_info.h"
#include "guest-images/runtime/console.h"
#include "guest-images/runtime/options.h"
#include "guest-images/runtime/runtime.h"

namespace tintype::guest {

std::uint8_t kernel_main() {
  print("HELLO\n");
  print("hello from ", boot_info().loader, " memory_kib=", boot_info().ram_bytes() >> 10,
        " command_line=", boot_info().command_line, "\n");
  return static_cast<std::uint8_t>(number_option("exit", 0));
}

}  // namespace tintype::guest
