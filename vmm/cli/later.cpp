// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/later.h"

#include <array>

namespace tintype {

namespace {

struct LaterOption {
  std::string_view verb;
  const char* option;
};

constexpr auto kOptions = std::array<LaterOption, 0>{};

}  // namespace

std::vector<const char*> later_options(std::string_view verb) {
  std::vector<const char*> options;
  for (const LaterOption& later : kOptions) {
    if (later.verb == verb) options.push_back(later.option);
  }
  return options;
}

}  // namespace tintype
