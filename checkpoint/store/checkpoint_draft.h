// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "checkpoint/format/manifest.h"
#include "checkpoint/format/part_output.h"
#include "checkpoint/store/check_notes.h"
#include "checkpoint/store/checkpoint_folder.h"

namespace tintype {

/// The files of a checkpoint in the making, which nobody takes for a checkpoint. Destroyed without seal(), nothing is
/// left of it. Everything throws DestinationFull or tintype::Error, and may wait.
class CheckpointDraft {
 public:
  virtual ~CheckpointDraft() = default;
  /// What it is going to be, unless somebody takes that first.
  virtual std::uint64_t id() const noexcept = 0;
  /// What it builds on; nothing where it builds on nothing.
  virtual const std::shared_ptr<const Manifest>& parent() const noexcept = 0;

  /// A file for so many bytes of content, which it may outgrow a little.
  virtual std::shared_ptr<PartOutput> create(const std::string& file, std::uint64_t content_bytes) = 0;
  /// A small one, at once.
  virtual void put(const std::string& file, std::span<const std::byte> bytes) = 0;
  /// Kept beside it from its beginning. In an object store it comes a moment later, and is lost where this is killed.
  virtual void remark(Check which, const CheckNote& note) = 0;
  /// What has been synced so far, to be read back.
  virtual std::unique_ptr<const CheckpointFolder> written() const = 0;

  /// Makes a checkpoint of it, for good. `sync_parts` syncs what create() has made; it is called when that is cheapest.
  /// Where the id has been taken meanwhile it gets another one, which the manifest says when this returns. `may`, where
  /// it is given, is asked right before, as late as it can be; false where it may not. Throws. After either it was not
  /// sealed, and can only be abandoned.
  virtual bool seal(Manifest& manifest, const std::function<void()>& sync_parts, const std::function<bool()>& may) = 0;
  /// Removes all that was written. What cannot be removed now goes when the next checkpoint is begun.
  virtual void abandon() noexcept = 0;
};

}  // namespace tintype
