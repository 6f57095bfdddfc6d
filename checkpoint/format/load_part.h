// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "checkpoint/format/block_source.h"
#include "vmm/base/progress.h"

namespace tintype {

/// Where a block lives in the caller's memory: the bytes from its first one on that lie in one piece (at
/// least one block).
using LocateBlock = std::function<std::span<std::byte>(std::uint64_t block)>;

/// Loads all data of a source into memory that is zero so far, with several threads. Every checksum was right
/// when it returns. Throws ImageError; memory is then in no defined state.
void load_part(const BlockSource& source, const LocateBlock& locate, unsigned threads,
               const ProgressSink& progress = {});

}  // namespace tintype
