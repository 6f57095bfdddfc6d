// SPDX-License-Identifier: Apache-2.0
#pragma once

// How sizes, times and counts are written for people: the same everywhere.

#include <cstdint>
#include <string>
#include <string_view>

namespace tintype {

/// "512 MiB": the largest unit in which it is at least 1, with a decimal where it is not whole.
std::string format_size(std::uint64_t bytes);
/// "1 page", "3 pages": how many of a thing that is counted.
std::string counted(std::uint64_t count, std::string_view thing);
/// "1h 02m 03s", "4m 05s", "6.7 s".
std::string format_duration(std::uint64_t ms);
/// As it would be asked for: "6h", "100ms".
std::string format_period(std::uint64_t ms);
/// "0.180 ms"; from a second on as above.
std::string format_microseconds(std::uint64_t us);

}  // namespace tintype
