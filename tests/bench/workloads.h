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
  int cpus = 1;
};

/// The first is the one that lost work is judged by: 512 MiB of 1 GiB, swept.
const std::vector<Workload>& workloads();
inline constexpr double kSweptMiB = 512;

/// Two that have goals of their own.
inline constexpr const char* kHotSet = "hot set";
inline constexpr const char* kHotSetOfTwo = "hot, 2 CPUs";

/// `mib` MiB touched, of which `hot` are written to all the time (0: none), by one CPU or two, each a half.
Workload hot_set(const std::string& name, int mib, int hot, int cpus = 1);

}  // namespace tintype::test
