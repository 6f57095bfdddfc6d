// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "devices/block/sectors.h"
#include "vmm/base/freezable_disk.h"

namespace tintype {

/// All that a frozen disk says has changed, in sectors.
inline std::vector<SectorRange> changes_of(FrozenDisk& frozen) {
  std::vector<SectorRange> changes;
  for (auto range = frozen.next_change(0); range; range = frozen.next_change(range->offset + range->length))
    changes.push_back({range->offset / 512, (range->offset + range->length) / 512});
  return changes;
}

/// A chain of incremental checkpoints: each has the changes of a frozen disk and stands on the last that was saved.
class ChangeChain {
 public:
  struct Link {
    std::vector<SectorRange> changes;
    std::vector<std::byte> picture;  ///< the changes, laid over the last picture that was saved
    std::vector<std::byte> whole;    ///< what the frozen disk shows
    bool holds() const { return picture == whole; }
  };

  explicit ChangeChain(std::uint64_t disk_bytes) : saved_(disk_bytes, std::byte{0xee}) {}

  Link next(FrozenDisk& frozen) const {
    Link link{changes_of(frozen), saved_, std::vector<std::byte>(frozen.size())};
    for (const SectorRange& change : link.changes)
      frozen.read(change.start * 512, std::span(link.picture).subspan(change.start * 512, change.count() * 512));
    frozen.read(0, link.whole);
    return link;
  }
  void save(Link link) {
    saved_ = std::move(link.picture);
    ++length_;
  }
  std::size_t length() const { return length_; }

 private:
  std::vector<std::byte> saved_;
  std::size_t length_ = 0;
};

}  // namespace tintype
