// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "checkpoint/format/part_format.h"
#include "checkpoint/format/report.h"

namespace tintype {

/// What the user asks for of a checkpoint.
struct CheckpointOptions {
  std::string repository;  ///< directory; created where missing
  Strategy strategy = Strategy::kAuto;
  Compression compression = Compression::kNone;
  Portion only = Portion::kAll;
  bool full = false;               ///< all of it, though there is a checkpoint to build on
  std::uint64_t capture_area = 0;  ///< bytes of the bounded area for old contents; 0: chosen from the size of memory
  /// All has been written, and nothing of it counts yet: what this throws ends the checkpoint.
  std::function<void(const CheckpointReport& so_far)> before_seal{};
};

}  // namespace tintype
