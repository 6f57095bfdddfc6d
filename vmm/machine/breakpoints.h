// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "vmm/machine/debug.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// Instructions that stop a CPU (`int3`), in guest memory only while the guest runs: whoever looks at memory of a
/// machine that stands still, a checkpoint above all, finds the guest's own.
class SoftwareBreakpoints {
 public:
  explicit SoftwareBreakpoints(GuestMemory& memory) : memory_(memory) {}

  void add(Gpa at);
  void remove(Gpa at);
  void clear() { places_.clear(); }
  bool has(Gpa at) const noexcept;

  /// Before the guest runs, and after it. Idempotent. What the guest or a device has put there meanwhile stays.
  void insert() noexcept;
  void withdraw() noexcept;

 private:
  struct Place {
    Gpa at;
    unsigned uses = 1;
    std::byte own{};  ///< of the guest
  };

  GuestMemory& memory_;
  std::vector<Place> places_;
  bool inserted_ = false;
};

/// The four debug registers, as KVM takes them.
class DebugRegisters {
 public:
  static constexpr std::size_t kCount = 4;
  struct Place {
    BreakKind kind = BreakKind::kHardware;
    std::uint64_t address = 0, length = 1;
    bool operator==(const Place&) const = default;
  };

  /// False where there is none left, or none that can do it: 1, 2, 4 or 8 bytes, aligned.
  bool add(const Place& place);
  void remove(const Place& place);
  bool empty() const noexcept { return places_.empty(); }
  std::size_t left() const noexcept { return kCount - places_.size(); }
  /// Which one DR6 tells of.
  std::optional<Place> hit(std::uint64_t dr6) const noexcept;
  /// Those, and `more`, in DR0 to DR3 and DR7.
  std::array<std::uint64_t, 8> values(std::span<const std::uint64_t> more = {}) const;

 private:
  std::vector<Place> places_;
};

}  // namespace tintype
