// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "vmm/base/mapping.h"
#include "vmm/kvm/vm.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// A copy of guest memory at one instant, and the knowledge of which pages were written since: by the guest, as KVM's
/// dirty log says, and by devices, as the machine's own bitmap does. For going back, again and again, in time that
/// grows with what was written. It takes as much of the host's memory as the guest had touched by then.
class MarkedMemory {
 public:
  /// Machine paused, devices frozen. Throws std::system_error where the host has no room.
  MarkedMemory(GuestMemory& memory, KvmVm& vm);
  ~MarkedMemory();
  MarkedMemory(const MarkedMemory&) = delete;
  MarkedMemory& operator=(const MarkedMemory&) = delete;

  /// The same, and nothing of the host is writing to memory. Returns the number of pages that were written since the
  /// mark, or the last call. Where KVM shadows the guest's page tables, it has forgotten them. Throws
  /// std::system_error; then KVM may be without memory.
  std::uint64_t go_back();
  /// The same: the copy is of this instant from now on. Copies what was written. Throws std::system_error; then it is
  /// of the instant that it was of before.
  void take_again();

 private:
  /// One region: its slot of KVM's has the same number.
  struct Part {
    MemoryRegion region;
    Mapping copy;                        ///< pages that were not there are not there in it either, and zero
    std::vector<std::uint64_t> written;  ///< since then, as far as it was asked for
  };
  void log_writes(bool on);
  void collect_written();
  template <typename Visit>
  std::uint64_t for_each_written(const Visit& visit);

  GuestMemory& memory_;
  KvmVm& vm_;
  std::vector<Part> parts_;
};

}  // namespace tintype
