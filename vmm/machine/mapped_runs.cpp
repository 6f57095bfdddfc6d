// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/mapped_runs.h"

#include <array>

#include "vmm/machine/paging_bits.h"

namespace tintype {

using namespace paging;

namespace {

constexpr unsigned shift_of(int level) { return 12 + 9 * static_cast<unsigned>(level - 1); }

class RunFinder {
 public:
  RunFinder(const ReadPhysical& memory, const MappedRunLimits& limits) : memory_(memory), limits_(limits) {}

  MappedRuns run(std::uint64_t table, int levels) {
    levels_ = levels;
    walk(table, levels, 0);
    return std::move(found_);
  }

 private:
  void walk(std::uint64_t table, int level, std::uint64_t base) {
    if (++tables_ > limits_.tables) {
      found_.whole = false;
      return;
    }
    std::array<std::uint64_t, 512> entries{};
    if (!memory_(Gpa(table), std::as_writable_bytes(std::span(entries)))) return;
    for (std::size_t i = 0; i < entries.size() && found_.whole; ++i) {
      if ((entries[i] & kEntryPresent) != 0) visit(entries[i], level, canonical(base | i << shift_of(level), level));
    }
  }

  void visit(std::uint64_t entry, int level, std::uint64_t linear) {
    const std::uint64_t bytes = 1ULL << shift_of(level);
    if (level == 1 || (level <= 3 && (entry & kEntryLarge) != 0)) {
      add({linear, entry & kAddressMask & ~(bytes - 1), bytes});
    } else {
      walk(entry & kAddressMask, level - 1, linear);
    }
  }

  /// The upper half of the top table is the upper half of all addresses.
  std::uint64_t canonical(std::uint64_t linear, int level) const {
    if (level != levels_) return linear;
    const unsigned unused = 64 - shift_of(levels_ + 1);
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(linear << unused) >> unused);
  }

  void add(const MappedRun& page) {
    MappedRun* const last = found_.runs.empty() ? nullptr : &found_.runs.back();
    if (last != nullptr && last->linear + last->bytes == page.linear && last->physical + last->bytes == page.physical) {
      last->bytes += page.bytes;
    } else if (found_.runs.size() < limits_.runs) {
      found_.runs.push_back(page);
    } else {
      found_.whole = false;
    }
  }

  const ReadPhysical& memory_;
  const MappedRunLimits& limits_;
  int levels_ = 4;
  std::size_t tables_ = 0;
  MappedRuns found_;
};

}  // namespace

MappedRuns mapped_runs(const ReadPhysical& memory, const kvm_sregs& sregs, const MappedRunLimits& limits) {
  if ((sregs.cr0 & kCr0Paging) == 0 || (sregs.efer & kEferLongModeActive) == 0) return {};
  return RunFinder(memory, limits).run(sregs.cr3 & kAddressMask, (sregs.cr4 & kCr4FiveLevels) != 0 ? 5 : 4);
}

}  // namespace tintype
