// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tests/bench/results.h"

namespace tintype::test {

/// A figure that was measured beside the one that it should be.
struct Goal {
  std::string what;
  double value = 0, limit = 0;
  std::string unit;
  bool at_least = false;  ///< the limit is the least it should be, else the most

  bool met() const noexcept { return at_least ? value >= limit : value <= limit; }
};

/// The goals of everything that was measured.
std::vector<Goal> judge(const Results& results);
void print_goals(const std::vector<Goal>& goals);

}  // namespace tintype::test
