// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/steady_source.h"

#include "checkpoint/format/part_format.h"

namespace tintype {

SteadySource::SteadySource(std::unique_ptr<BlockSource> source, OpenAgain open_again)
    : first_(std::move(source)), open_again_(std::move(open_again)), latest_(first_) {}

// An extent that was merged may be cut otherwise than it was: its blocks are what counts.
void SteadySource::read_extent(std::size_t number, std::span<std::byte> into) const {
  std::shared_ptr<const BlockSource> source;
  {
    const std::lock_guard lock(mutex_);
    source = latest_;
  }
  for (;;) {
    try {
      if (source == first_)
        source->read_extent(number, into);
      else
        source->read_blocks(extent(number).first_block, into);
      return;
    } catch (const ImageError&) {
      source = open_after(source);
      if (!source) throw;
    }
  }
}

/// Nothing where that is all there is.
std::shared_ptr<const BlockSource> SteadySource::open_after(const std::shared_ptr<const BlockSource>& failed) const {
  const std::lock_guard lock(mutex_);
  if (latest_ != failed) return latest_;
  std::shared_ptr<const BlockSource> again = open_again_();
  if (again) latest_ = again;
  return again;
}

}  // namespace tintype
