// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/memory_tracker.h"

#include <cstring>
#include <utility>

#include "checkpoint/tracking/protection_tracker.h"
#include "checkpoint/tracking/scan_tracker.h"
#include "vmm/base/thread_sanitizer.h"

namespace tintype {

TrackingSupport probe_tracking() {
  const UserfaultSupport userfault = probe_userfault();
  if (userfault.write_protect) return {Tracking::kProtection, {}, {}};
  const std::string problem = WrittenPages::problem();
  return {problem.empty() ? Tracking::kScan : Tracking::kNothing, userfault.problem, problem};
}

std::unique_ptr<MemoryTracker> make_tracker(Tracking tracking, const GuestMemory& memory,
                                            MakeUserfault make_userfault) {
  if (tracking == Tracking::kProtection) return std::make_unique<ProtectionTracker>(memory, std::move(make_userfault));
  return std::make_unique<ScanTracker>(memory, tracking == Tracking::kScan);
}

void copy_pages(const PageSet& pages, const Chunk& chunk, std::span<std::byte> into) noexcept {
  pages.for_each_run(chunk.first_page, chunk.pages, [&](std::uint64_t page, std::uint64_t count) {
    const std::uint64_t offset = (page - chunk.first_page) * kPageSize;
    const OrderedByKernel ordered;  // the guest's writes wait for this copy; what the host is reading is undefined
    std::memcpy(into.data() + offset, chunk.host + offset, count * kPageSize);
  });
}

}  // namespace tintype
