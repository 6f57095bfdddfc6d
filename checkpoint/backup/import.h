// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/format/manifest.h"
#include "checkpoint/store/checkpoint_store.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

/// Which checkpoints a repository has, by what tells them from all others: deleted ones that others build on, too.
class Identities {
 public:
  /// Looks at all manifests; what cannot be read is left out.
  explicit Identities(const CheckpointStore& store) : store_(store) { look_again(); }
  /// Others come and go meanwhile. Of those that were there the manifests are not read again.
  void look_again();
  std::optional<ParentRef> find(const std::string& identity) const;
  void add(const ParentRef& checkpoint);

 private:
  const CheckpointStore& store_;
  std::map<std::uint64_t, std::string> seen_;  ///< by id
  std::map<std::string, std::uint64_t> ids_;
};

/// A checkpoint that comes from another repository, or from anywhere, file by file. It gets an id of this repository,
/// and keeps its identity. Whatever comes is checked: nothing is listed before every byte of it is as it was written.
/// Destroyed before finish() has returned, nothing is left of it.
class CheckpointImport {
 public:
  /// `manifest` is as it was where it comes from; its parent must be in `known`. `for_others`: only for those that
  /// build on it, which is remarked. Throws tintype::Error: the parent is
  /// not here, no room, not writable.
  CheckpointImport(CheckpointStore& store, const Identities& known, Manifest manifest, bool for_others);
  /// Its id here; 0: it builds on nothing.
  std::uint64_t parent() const noexcept { return manifest_.parent; }

  /// In any order, each once. Throws ImageError where the manifest knows no such file, or the last one was too short.
  void begin_file(const std::string& name);
  /// Of that file, in order. Throws ImageError where it is longer than it should be, DestinationFull.
  void write(std::span<const std::byte> bytes);
  /// Checks all of it, and gives it its name; it is in `known` then. False where somebody else has brought the same one
  /// meanwhile: that is in `known`, and this goes. Throws ImageError, tintype::Error.
  bool finish(Identities& known);

 private:
  struct Written {
    std::string name;
    std::shared_ptr<PartOutput> output;
    std::uint64_t bytes = 0, expected = 0;
  };
  void end_file();
  void check_all() const;

  Manifest manifest_;
  std::unique_ptr<CheckpointDraft> draft_;
  std::vector<Written> files_;
};

}  // namespace tintype
