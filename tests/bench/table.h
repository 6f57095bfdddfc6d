// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/bench/results.h"

namespace tintype::test {

/// All figures as a table to read, on stdout.
void print_table(const Results& results);

}  // namespace tintype::test
