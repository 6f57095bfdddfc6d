// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace tintype::test {

/// What the guest does while it is captured.
struct Workload {
  std::string name;
  std::string image;    ///< of guest-images/
  std::string options;  ///< its command line
  std::string memory;
};

/// The first is the one that lost work is judged by: 512 MiB of 1 GiB, swept.
const std::vector<Workload>& workloads();
inline constexpr double kSweptMiB = 512;

/// `mib` MiB touched, of which `hot` are written to all the time (0: none).
Workload hot_set(const std::string& name, int mib, int hot);

}  // namespace tintype::test
