// SPDX-License-Identifier: Apache-2.0
#pragma once

// A checkpoint and those that it builds on: found, checked against each other, opened.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/format/block_source.h"
#include "checkpoint/format/manifest.h"
#include "checkpoint/format/part_reader.h"
#include "checkpoint/store/checkpoint_store.h"

namespace tintype {

struct ChainLink {
  std::shared_ptr<const CheckpointFolder> folder;
  std::shared_ptr<const Manifest> manifest;

  std::uint64_t id() const noexcept { return manifest->id; }
};

/// Newest first; the last one has no parent.
using Chain = std::vector<ChainLink>;

/// Reads all manifests and checks that each builds on the next. Throws ImageError.
Chain read_chain(const CheckpointStore& store, std::uint64_t id);
/// As far down as `needed` says, which is asked for each link that was read.
Chain read_chain(const CheckpointStore& store, std::uint64_t id, const std::function<bool(const ChainLink&)>& needed);
/// That the child can build on this one: identity, and the sizes of what it has changes of. Throws ImageError.
void check_parent(const Manifest& child, const Manifest& parent);
[[noreturn]] void throw_parent_missing(const Manifest& child, const CheckpointStore& store);
/// That all files are there and as long as the manifest says, without a look into them. Throws ImageError.
void check_files(const ChainLink& link);

/// Opens what memory or a disk is made of, and checks all of it but the data: the parts, newest first, down to one that
/// is not incremental, or to the end. Throws ImageError; so does the other.
std::vector<std::unique_ptr<PartReader>> open_parts(std::span<const ChainLink> chain, const std::string& part);
std::unique_ptr<BlockSource> open_source(const Chain& chain, const std::string& part);

/// While a chain is read, others may merge or delete what it is made of; then what was read does not fit together, and
/// is read again. Returns what `read` returns; throws what it throws where nothing has changed.
template <typename Read>
auto read_in_motion(const CheckpointStore& store, Read read);

bool still_there(const CheckpointStore::Stamps& before, const CheckpointStore::Stamps& now);

template <typename Read>
auto read_in_motion(const CheckpointStore& store, Read read) {
  constexpr int kAttempts = 20;
  for (int attempt = 1;; ++attempt) {
    const auto before = store.stamps();
    try {
      return read();
    } catch (const std::exception&) {
      if (attempt == kAttempts || still_there(before, store.stamps())) throw;
    }
  }
}

}  // namespace tintype
