// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/progress.h"

namespace tintype {

/// One thing that is wrong, as a sentence.
struct Damage {
  std::uint64_t id = 0;
  std::string part;  ///< the file, "memory.part"
  std::string reason;
};

struct Verification {
  std::uint64_t checkpoints = 0, bytes = 0;
  std::uint64_t bases = 0;      ///< deleted ones that others build on; they are verified too
  std::vector<Damage> damages;  ///< empty: all is well
  bool good() const noexcept { return damages.empty(); }
};

/// Reads every byte, once. Without an id: of all checkpoints; with one: of that and of those that it builds on. Throws
/// only where there is no such repository or checkpoint; damage is a result.
Verification verify_checkpoints(const std::filesystem::path& repository, std::optional<std::uint64_t> id,
                                const ProgressSink& progress = {});

}  // namespace tintype
