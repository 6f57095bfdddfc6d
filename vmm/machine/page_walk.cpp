// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/page_walk.h"

#include <algorithm>

#include "vmm/machine/paging_bits.h"

namespace tintype {

using namespace paging;

namespace {

/// The bits that no table looks at must all be as the highest that one does (Intel SDM volume 1, 3.3.7.1).
bool is_canonical(std::uint64_t linear, int levels) {
  const int unused = 64 - (12 + 9 * levels);
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(linear << unused) >> unused) == linear;
}

template <typename Entry>
std::optional<Entry> load(const ReadPhysical& memory, std::uint64_t at) {
  Entry entry = 0;
  if (!memory(Gpa(at), std::as_writable_bytes(std::span(&entry, 1)))) return std::nullopt;
  return entry;
}

/// Reads entries, and notes them for whoever wants to see the way.
class Walk {
 public:
  Walk(const ReadPhysical& memory, std::vector<PageWalkStep>* steps) : memory_(memory), steps_(steps) {}

  std::optional<Gpa> walk_64(std::uint64_t table, std::uint64_t linear, int levels, std::uint64_t top_mask) {
    for (int level = levels; level >= 1; --level) {
      const unsigned shift = 12 + 9 * static_cast<unsigned>(level - 1);
      const std::uint64_t index = linear >> shift & (level == levels ? top_mask : 511);
      const auto entry = present<std::uint64_t>(table + index * 8, level);
      if (!entry) return std::nullopt;
      const bool leaf = level == 1 || (level <= 3 && (*entry & kEntryLarge) != 0);
      const std::uint64_t offset_mask = (1ULL << shift) - 1;
      if (leaf) return Gpa((*entry & kAddressMask & ~offset_mask) | (linear & offset_mask));
      table = *entry & kAddressMask;
    }
    return std::nullopt;
  }

  std::optional<Gpa> walk_32(std::uint64_t table, std::uint64_t linear, bool large_pages) {
    const auto directory = present<std::uint32_t>((table & 0xffff'f000) + (linear >> 22 & 1023) * 4, 2);
    if (!directory) return std::nullopt;
    if (large_pages && (*directory & kEntryLarge) != 0) return Gpa((*directory & 0xffc0'0000) | (linear & 0x3f'ffff));
    const auto entry = present<std::uint32_t>((*directory & 0xffff'f000) + (linear >> 12 & 1023) * 4, 1);
    if (!entry) return std::nullopt;
    return Gpa((*entry & 0xffff'f000) | (linear & 0xfff));
  }

 private:
  template <typename Entry>
  std::optional<Entry> present(std::uint64_t at, int level) {
    const auto entry = load<Entry>(memory_, at);
    if (entry && steps_ != nullptr) steps_->push_back({level, Gpa(at), *entry});
    return entry && (*entry & kEntryPresent) != 0 ? entry : std::nullopt;
  }

  const ReadPhysical& memory_;
  std::vector<PageWalkStep>* steps_;
};

}  // namespace

ReadPhysical physical(const GuestMemory& memory) {
  return [&memory](Gpa from, std::span<std::byte> into) { return memory.read(from, into); };
}

std::optional<Gpa> translate(const ReadPhysical& memory, const kvm_sregs& sregs, std::uint64_t linear,
                             std::vector<PageWalkStep>* steps) {
  Walk walk(memory, steps);
  if ((sregs.cr0 & kCr0Paging) == 0) return Gpa(linear);
  if ((sregs.cr4 & kCr4Pae) == 0) return walk.walk_32(sregs.cr3, linear, (sregs.cr4 & kCr4LargePages) != 0);
  if ((sregs.efer & kEferLongModeActive) == 0) return walk.walk_64(sregs.cr3 & 0xffff'ffe0, linear, 3, 3);
  const int levels = (sregs.cr4 & kCr4FiveLevels) != 0 ? 5 : 4;
  if (!is_canonical(linear, levels)) return std::nullopt;
  return walk.walk_64(sregs.cr3 & kAddressMask, linear, levels, 511);
}

std::vector<std::uint8_t> read_linear(const ReadPhysical& memory, const kvm_sregs& sregs, std::uint64_t linear,
                                      std::size_t count) {
  std::vector<std::uint8_t> bytes;
  while (bytes.size() < count) {
    const auto address = translate(memory, sregs, linear);
    if (!address) break;
    const std::size_t here = std::min<std::size_t>(count - bytes.size(), kPageSize - linear % kPageSize);
    const std::size_t before = bytes.size();
    bytes.resize(before + here);
    if (!memory(*address, std::as_writable_bytes(std::span(bytes).subspan(before)))) {
      bytes.resize(before);
      break;
    }
    linear += here;
  }
  return bytes;
}

bool write_linear(GuestMemory& memory, const kvm_sregs& sregs, std::uint64_t linear, std::span<const std::byte> bytes) {
  std::vector<std::pair<Gpa, std::span<const std::byte>>> pieces;
  while (!bytes.empty()) {
    const auto here = bytes.first(std::min<std::size_t>(bytes.size(), kPageSize - linear % kPageSize));
    const auto address = translate(physical(memory), sregs, linear);
    if (!address || !memory.contains(*address, here.size())) return false;
    pieces.emplace_back(*address, here);
    bytes = bytes.subspan(here.size());
    linear += here.size();
  }
  return std::all_of(pieces.begin(), pieces.end(),
                     [&memory](const auto& piece) { return memory.write(piece.first, piece.second); });
}

}  // namespace tintype
