// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/area_size.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include "vmm/base/error.h"
#include "vmm/base/overflow.h"
#include "vmm/memory/gpa.h"

namespace tintype {

namespace {

constexpr std::uint64_t kLargestDefault = 1 << 30;
constexpr std::uint64_t kSmallest = 4 * kHugePageSize;  // a fault, and what is read ahead of it

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

std::uint64_t meminfo_available() {
  std::ifstream meminfo("/proc/meminfo");
  for (std::string name; meminfo >> name;) {
    std::uint64_t kibibytes = 0;
    if (name == "MemAvailable:" && meminfo >> kibibytes) return kibibytes << 10;
    meminfo.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return kNoLimit;
}

std::uint64_t number_in(const char* path) {
  std::uint64_t number = 0;
  return std::ifstream(path) >> number ? number : kNoLimit;  // "max" is no number
}

// As seen inside a container, whose own group is the root there.
std::uint64_t control_group_available() {
  const std::uint64_t limit = number_in("/sys/fs/cgroup/memory.max");
  const std::uint64_t used = number_in("/sys/fs/cgroup/memory.current");
  if (limit == kNoLimit || used == kNoLimit) return kNoLimit;
  return limit > used ? limit - used : 0;
}

}  // namespace

std::uint64_t available_host_memory() { return std::min(meminfo_available(), control_group_available()); }

std::uint64_t capture_area_bytes(std::uint64_t asked, std::uint64_t memory_bytes, std::uint64_t available) {
  const std::uint64_t largest = align_up(memory_bytes, kHugePageSize);
  const std::uint64_t smallest = std::min(kSmallest, largest);
  if (asked == 0) {
    const std::uint64_t wanted = std::min({memory_bytes / 2, kLargestDefault, available / 4});
    return std::clamp(align_down(wanted, kHugePageSize), smallest, largest);
  }
  const std::uint64_t bytes = std::max(align_up(std::min(asked, largest), kHugePageSize), kHugePageSize);
  if (bytes > available) {
    throw Error(
        "a capture area of {} MiB does not fit into the {} MiB that this host has available: give a smaller "
        "--capture-area, or none",
        bytes >> 20, available >> 20);
  }
  return bytes;
}

}  // namespace tintype
