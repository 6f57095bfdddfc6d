// SPDX-License-Identifier: Apache-2.0
#include <sys/sysinfo.h>

#include <algorithm>

#include "checkpoint/capture/cow.h"
#include "checkpoint/capture/stop.h"
#include "checkpoint/capture/strategy.h"
#include "checkpoint/capture/userfault.h"
#include "vmm/base/error.h"

namespace tintype {

namespace {

constexpr std::uint64_t kLargestDefaultArea = 1 << 30;

std::uint64_t free_host_memory() {
  struct sysinfo info {};
  if (::sysinfo(&info) != 0) return kLargestDefaultArea;
  return (info.freeram + info.bufferram) * info.mem_unit;
}

}  // namespace

std::uint64_t default_capture_area(std::uint64_t memory_size) {
  const std::uint64_t wanted = std::min({memory_size / 2, kLargestDefaultArea, free_host_memory() / 4});
  return std::max(align_down(wanted, kHugePageSize), 4 * kHugePageSize);
}

std::unique_ptr<MemoryCapture> make_capture(const CheckpointOptions& options, GuestMemory& memory, Strategy& chosen) {
  chosen = options.strategy;
  if (chosen == Strategy::kAuto) chosen = probe_userfault().write_protect ? Strategy::kCow : Strategy::kStop;
  switch (chosen) {
    case Strategy::kStop:
      return std::make_unique<StopCapture>(memory);
    case Strategy::kCow:
      return std::make_unique<CowCapture>(
          memory, options.capture_area != 0 ? options.capture_area : default_capture_area(memory.size()));
    default:
      throw Error("this version offers the strategies auto, stop and cow: choose one of them");
  }
}

}  // namespace tintype
