// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/error.h"

#include <cstdio>
#include <cstdlib>

namespace tintype {

void throw_errno_text(int error_number, const std::string& what) {
  throw std::system_error(error_number, std::generic_category(), what);
}

std::string errno_text(int error_number) { return std::generic_category().message(error_number); }

void check(bool holds, std::string_view what, const char* file, int line) noexcept {
  if (holds) return;
  std::fprintf(stderr, "tintype: internal check failed at %s:%d: %.*s\n", file, line, static_cast<int>(what.size()),
               what.data());
  std::abort();
}

}  // namespace tintype
