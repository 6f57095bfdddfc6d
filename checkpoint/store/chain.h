// SPDX-License-Identifier: Apache-2.0
#pragma once

// A checkpoint and those that it builds on: found, checked against each other, opened.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/format/block_source.h"
#include "checkpoint/format/manifest.h"
#include "checkpoint/format/part_reader.h"
#include "checkpoint/store/repository.h"

namespace tintype {

struct ChainLink {
  std::filesystem::path directory;
  std::shared_ptr<const Manifest> manifest;
};

/// Newest first; the last one has no parent.
using Chain = std::vector<ChainLink>;

/// Reads all manifests and checks that each builds on the next. Throws ImageError.
Chain read_chain(const Repository& repository, std::uint64_t id);
/// As far down as `needed` says, which is asked for each link that was read.
Chain read_chain(const Repository& repository, std::uint64_t id, const std::function<bool(const ChainLink&)>& needed);
/// That the child can build on this one: identity, and the sizes of what it has changes of. Throws ImageError.
void check_parent(const Manifest& child, const Manifest& parent);
[[noreturn]] void throw_parent_missing(const Manifest& child, const Repository& repository);
/// That all files are there and as long as the manifest says, without a look into them. Throws ImageError.
void check_files(const ChainLink& link);

/// Opens what memory or a disk is made of, and checks all of it but the data: the parts, newest first, down to one that
/// is not incremental, or to the end. Throws ImageError; so does the other.
std::vector<std::unique_ptr<PartReader>> open_parts(std::span<const ChainLink> chain, const std::string& part);
std::unique_ptr<BlockSource> open_source(const Chain& chain, const std::string& part);

/// While a chain is read, others may merge or delete what it is made of; then what was read does not fit together, and
/// is read again. Returns what `read` returns; throws what it throws where nothing has changed.
template <typename Read>
auto read_in_motion(const Repository& repository, Read read);

/// The names and inodes of all checkpoints and bases. As long as those that were there are there still, nothing was
/// deleted or replaced.
using NamesAndInodes = std::map<std::string, std::uint64_t>;
NamesAndInodes names_and_inodes(const Repository& repository);
bool still_there(const NamesAndInodes& before, const NamesAndInodes& now);

template <typename Read>
auto read_in_motion(const Repository& repository, Read read) {
  constexpr int kAttempts = 20;
  for (int attempt = 1;; ++attempt) {
    const auto before = names_and_inodes(repository);
    try {
      return read();
    } catch (const std::exception&) {
      if (attempt == kAttempts || still_there(before, names_and_inodes(repository))) throw;
    }
  }
}

}  // namespace tintype
