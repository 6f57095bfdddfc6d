// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/log.h"

#include <unistd.h>

#include "vmm/base/printable.h"

namespace tintype {

void log_line(const std::string& text) noexcept {
  try {
    const std::string line = "tintype: " + printable(text) + "\n";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  } catch (...) {  // out of memory: a lost log line is the smaller harm
  }
}

}  // namespace tintype
