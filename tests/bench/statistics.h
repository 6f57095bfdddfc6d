// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <vector>

namespace tintype::test {

/// All of them are 0 where there are no values.
double median(std::vector<double> values);
/// The smallest value that 99 of 100 do not exceed; with fewer than 100 values, the highest.
double p99(std::vector<double> values);
double highest(const std::vector<double>& values);

double milliseconds_since(std::chrono::steady_clock::time_point start);

}  // namespace tintype::test
