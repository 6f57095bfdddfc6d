// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/image/manifest.h"
#include "checkpoint/image/part_format.h"
#include "checkpoint/image/part_writer.h"
#include "checkpoint/image/repository.h"
#include "checkpoint/state/codec.h"

namespace tintype {

struct NewCheckpoint {
  std::filesystem::path repository;
  Compression compression = Compression::kNone;
  std::uint64_t memory_bytes = 0;
  std::vector<DiskDescription> disks;  ///< id and size are looked at
  std::uint64_t expected_bytes = 0;    ///< refused where the destination has less room; 0: not checked
};

/// A checkpoint as it is written. All files are created by the constructor, while the guest still runs, so
/// that nothing is left for the pause. Each part belongs to one thread at a time; different parts may be
/// written by different threads. Order of calls: parts and state, then sync(), then seal(). Destroyed before
/// seal() returned, or abandoned, nothing is left of it.
class CheckpointWriter {
 public:
  /// Throws tintype::Error: destination is a file, unwritable, too small.
  explicit CheckpointWriter(const NewCheckpoint& options);

  std::uint64_t id() const noexcept { return pending_.id(); }
  const std::filesystem::path& directory() const noexcept { return pending_.directory(); }

  PartWriter& memory_part() noexcept { return *memory_; }
  PartWriter& disk_part(std::string_view id);

  /// Writes machine.state; once.
  void write_state(std::span<const NamedState> states);

  /// Finishes all parts and waits until they are on the device. The long half of sealing; guest running.
  void sync();

  /// The manifest, given a name that lasts. Id, time, host, version and parts are filled in here; the rest
  /// (vm, machine, report) is the caller's. Returns the manifest as written.
  Manifest seal(Manifest manifest);

  void abandon() noexcept;

 private:
  struct DiskPart {
    std::string id;
    std::unique_ptr<PartWriter> part;
  };
  std::vector<PartDescription> describe_parts() const;

  PendingCheckpoint pending_;  // destroyed last: it removes the directory of the files below
  std::unique_ptr<PartWriter> memory_;
  std::vector<DiskPart> disks_;
  PartSummary state_;
  bool synced_ = false;
};

}  // namespace tintype
