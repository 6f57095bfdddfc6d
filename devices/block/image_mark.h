// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace tintype {

/// What an image with uncommitted logs carries in an extended attribute, as text: "ID FIRST LAST DIRECTORY". It moves
/// with the image through renames and links, and into copies that keep extended attributes. An ID alone is a user's
/// word that the logs with that ID belong to this image.
struct ImageMark {
  using Id = std::array<std::uint8_t, 16>;

  Id id{};                      ///< random; the logs bear it, too
  std::uint64_t first_log = 0;  ///< sequence numbers of the logs that there are; 0 in a user's word
  std::uint64_t last_log = 0;
  std::filesystem::path directory;  ///< where they lie

  bool is_users_word() const noexcept { return last_log == 0; }
};

inline constexpr const char* kImageMarkAttribute = "user.tintype.redo";

/// Of the open file, or nothing: not marked, or the file system has no extended attributes.
std::optional<ImageMark> read_image_mark(int fd);
/// Where the file system takes none (it knows no extended attributes, or is full) the image bears no mark afterwards:
/// an older one would tell of logs that are gone.
void write_image_mark(int fd, const ImageMark& mark);
/// Durable when this returns.
void clear_image_mark(int fd);
ImageMark::Id new_image_mark_id();
std::string to_text(const ImageMark::Id& id);

}  // namespace tintype
