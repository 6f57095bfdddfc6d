// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "checkpoint/format/manifest.h"
#include "checkpoint/store/checkpoint_store.h"

namespace tintype {

/// A file of a checkpoint as it lies there, open: it can be read to its end whatever becomes of its name.
struct CarriedFile {
  PartDescription part;
  std::unique_ptr<ByteSource> source;

  /// All of it, once, in pieces of at most `most` bytes. What is damaged here is not carried elsewhere: throws
  /// ImageError, which names the file.
  void pass(std::size_t most, const std::function<void(std::span<const std::byte>)>& take);
};

/// A checkpoint that is going to be carried elsewhere, file by file. The manifest is no file of it: elsewhere it says
/// another id.
struct CarriedCheckpoint {
  Manifest manifest;
  bool base = false;  ///< deleted where it comes from, and there for those that build on it
  std::vector<CarriedFile> files;

  std::uint64_t bytes() const noexcept;
};

/// A checkpoint and all that it builds on, oldest first. With `after` only those that come after this one, which must
/// be in its chain. Throws tintype::Error (ImageError where something is missing or of another length).
std::vector<CarriedCheckpoint> open_to_carry(const CheckpointStore& store, std::uint64_t id,
                                             std::optional<std::uint64_t> after = {});

}  // namespace tintype
