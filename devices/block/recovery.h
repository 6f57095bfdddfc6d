// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "devices/block/disk_options.h"
#include "devices/block/layer_stack.h"

namespace tintype {

/// What lies above an image on the host's disk, checked: every log whole, none missing, all of them this image's.
struct FoundLogs {
  std::vector<std::shared_ptr<RedoLog>> current;  ///< from the lowest up
  std::vector<std::shared_ptr<RedoLog>> retired;  ///< what they held lies below, or was given up: to be deleted

  /// The user has yet to say what becomes of them: an undoable disk's.
  bool are_kept() const noexcept;
  /// Logs that are kept, none of which has a single record, flushed or not: nobody loses anything with them.
  bool are_kept_for_nothing() const noexcept;
  /// Sectors that they hold, those counted twice that two of them hold.
  std::uint64_t sector_count() const noexcept;
};

/// What is missing, or there twice, among the logs that were found: a sentence each.
std::vector<std::string> gaps_in(const FoundLogs& found, const RawFile& base);
/// Sorts them, and sets aside those of `current` that are void.
void put_in_order(FoundLogs& found);

/// Throws tintype::Error where a log is damaged, missing, or does not belong to the image as it now is. Changes
/// nothing.
FoundLogs find_stack(const RawFile& base, const std::filesystem::path& log_directory, bool read_only);
/// Copies them into the base and deletes them. Killed half-way, they are found again, with the same result. Throws
/// tintype::Error.
void commit_logs(const FoundLogs& found, RawFile& base);
/// Deletes them; from the first step on, which is one write of a sector, none of them counts any more.
void discard_logs(const FoundLogs& found, RawFile& base);

/// Deletes those that are retired, and leaves the current ones.
void delete_void_logs(const FoundLogs& found, const std::shared_ptr<RawFile>& base);

/// An image whose machine is suspended is changed by nobody but that machine: `suspended_as` is the id of the saved
/// state of whoever opens it, empty for all others. What was noted by somebody who was killed too early or too late to
/// mean it is taken away. Throws tintype::Error.
void check_suspended(RawFile& base, const std::string& suspended_as);

/// The stack of a disk that is being opened. Redo logs that a killed machine left are all checked first; then
/// they are copied into the base and deleted, so that the stack is the base alone. Those of an undoable disk stay: it
/// goes on with them, and no persistent one is opened above them; but where nothing was ever written to them they go.
/// For a read-only or a nonpersistent disk all stay, and are read through. Throws tintype::Error as find_stack();
/// nothing has been changed then.
std::shared_ptr<const LayerStack> recover(std::shared_ptr<RawFile> base, const DiskOptions& options);

}  // namespace tintype
