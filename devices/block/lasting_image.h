// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "devices/block/layer_stack.h"
#include "vmm/base/absent_blocks.h"

namespace tintype {

/// An image that is being restored has no lasting name at first, nor has the log above it. Any thread.
class LastingImage {
 public:
  /// Null: the image was there before.
  explicit LastingImage(std::shared_ptr<AbsentBlocks> absent) : absent_(std::move(absent)) {}
  /// Its log, where the image takes nothing from the guest before it is whole.
  void rest_on(std::shared_ptr<const LayerStack> first) { first_ = std::move(first); }

  /// Returns when name and log are durable. Throws std::system_error; it may be tried again.
  ///
  /// The image has a name, and says there that it is not whole, before there is a log, and that before the image says
  /// so. Until then a power cut, or being killed, leaves a machine that was never restored, or an image to be
  /// completed, without what the guest wrote: so no flush is answered before, and nothing is built on the log.
  void make() {
    if (absent_ == nullptr) return;
    const std::lock_guard lock(mutex_);
    if (lasts_) return;
    absent_->make_lasting();
    if (first_) {
      first_->active()->publish();
      mark_base(*first_);
    }
    lasts_ = true;
    first_.reset();
  }

 private:
  const std::shared_ptr<AbsentBlocks> absent_;
  std::mutex mutex_;  ///< guards the rest
  std::shared_ptr<const LayerStack> first_;
  bool lasts_ = false;
};

}  // namespace tintype
