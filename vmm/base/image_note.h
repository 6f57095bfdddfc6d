// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace tintype {

// What an image says of itself, in an extended attribute, so that nobody takes it for what it is not: it moves with the
// image through renames and links, and into copies that keep extended attributes. Notes are durable when a function
// returns.

/// Its machine is suspended: the rest of that machine is elsewhere, and fits this image as it is and no other.
struct SuspendNote {
  std::string id;  ///< of the saved state: one word
  /// The image is closed, and has not changed since `modified_ns`. Otherwise the note counts only where the saved state
  /// is there: whoever wrote it was killed before that was whole, or after it was used up.
  bool settled = false;
  std::uint64_t modified_ns = 0;
  std::filesystem::path state;  ///< the directory that is there as long as the saved state counts

  bool counts() const;
};

std::optional<SuspendNote> read_suspend_note(int fd);
/// Throws tintype::Error where the file system takes none; `image` is for the message.
void write_suspend_note(int fd, const SuspendNote& note, const std::filesystem::path& image);
void clear_suspend_note(int fd);

/// Part of it is still in a checkpoint, from which it was being restored.
struct IncompleteNote {
  std::string identity;  ///< of the checkpoint: one word
  std::uint64_t id = 0;
  std::string disk;  ///< one word
  std::filesystem::path repository;
};

std::optional<IncompleteNote> read_incomplete_note(int fd);
/// False where the file system takes none.
[[nodiscard]] bool write_incomplete_note(int fd, const IncompleteNote& note);
void clear_incomplete_note(int fd);

}  // namespace tintype
