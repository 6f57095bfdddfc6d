// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tintype {

/// What the host could give away without swapping, in bytes (MemAvailable of /proc/meminfo; less where a control group
/// allows less).
std::uint64_t available_host_memory();

/// How large the capture area of a machine becomes: whole chunks, never more than its memory could fill. Where the user
/// asks for nothing (0): half of its memory, at most 1 GiB and a quarter of what the host has available. Throws
/// tintype::Error where what he asks for is more than the host has.
std::uint64_t capture_area_bytes(std::uint64_t asked, std::uint64_t memory_bytes, std::uint64_t available);

}  // namespace tintype
