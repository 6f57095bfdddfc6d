// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace tintype {

/// Long work tells how far it is. Called from the thread that does the work, a few times a second at most.
/// A sink that throws ends the work; whoever does it then undoes what it has begun.
struct Progress {
  std::string phase;                  ///< "memory", "disk0", "seal", ...
  std::uint64_t done = 0, total = 0;  ///< bytes
};
using ProgressSink = std::function<void(const Progress&)>;

}  // namespace tintype
