// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/later.h"

#include <algorithm>
#include <array>

namespace tintype {

namespace {

constexpr auto kVerbs =
    std::to_array<std::string_view>({"console", "backup", "drill", "standby", "promote", "serve", "report"});

struct LaterOption {
  std::string_view verb;
  const char* option;
};

constexpr auto kOptions =
    std::to_array<LaterOption>({{"run", "--gdb"}, {"restore", "--clones"}, {"restore", "--gdb"}, {"export", "--core"}});

}  // namespace

bool is_later_verb(std::string_view verb) { return std::ranges::find(kVerbs, verb) != kVerbs.end(); }

std::vector<const char*> later_options(std::string_view verb) {
  std::vector<const char*> options;
  for (const LaterOption& later : kOptions) {
    if (later.verb == verb) options.push_back(later.option);
  }
  return options;
}

}  // namespace tintype
