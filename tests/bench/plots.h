// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "tests/bench/results.h"

namespace tintype::test {

/// work.svg, pause.svg, size.svg and sets.svg in `directory`, drawn by gnuplot. A plot without figures is left out.
void draw_plots(const std::filesystem::path& directory, const Results& results);

}  // namespace tintype::test
