// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a restored machine wants of its memory first: kept beside the checkpoint, in `working-set.json`, so that the
// next one that is restored from it finds that there. It is a remark and no part of the checkpoint (check_notes.h), and
// only says what is read first: nothing is lost with it, and whatever it says can do no harm.

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace tintype {

// Where: CheckpointReader::place_beside().

/// Numbers of pages, in the order in which they were wanted; they are not checked. Nothing where there is none, or none
/// that can be read.
std::vector<std::uint64_t> read_working_set(const std::filesystem::path& checkpoint);
/// Where it cannot be written it is left out. Never throws.
void write_working_set(const std::filesystem::path& checkpoint, std::span<const std::uint64_t> pages) noexcept;

}  // namespace tintype
