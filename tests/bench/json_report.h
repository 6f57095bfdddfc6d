// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "tests/bench/goals.h"
#include "tests/bench/results.h"

namespace tintype::test {

/// Everything that was measured, value by value, for programs.
void write_json(const std::filesystem::path& path, const Results& results, const std::vector<Goal>& goals);

}  // namespace tintype::test
