// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// A file in the making. It has no name until it is given one: whatever ends us before (SIGKILL, too) leaves nothing
/// behind. It has a hidden one for a moment where it takes another file's place; and on the few file systems without
/// O_TMPFILE until then, which the destructor removes.
class UnnamedFile {
 public:
  /// Open for reading and writing, mode 0600. Throws std::system_error that names the directory. Without `has_tmpfile`:
  /// as on a file system without O_TMPFILE, whatever this one can do.
  explicit UnnamedFile(std::filesystem::path directory, bool has_tmpfile = true);
  ~UnnamedFile();
  UnnamedFile(const UnnamedFile&) = delete;
  UnnamedFile& operator=(const UnnamedFile&) = delete;

  int fd() const noexcept { return fd_.get(); }

  /// Gives it a name in its directory. False where the name is taken. Throws std::system_error.
  [[nodiscard]] bool link_as(const std::filesystem::path& path);
  /// The same, in the place of whatever has the name now, at once.
  void replace(const std::filesystem::path& path);

  /// Who was killed while one had a hidden name leaves it. Nobody needs it.
  static bool is_leftover(std::string_view name) noexcept { return name.starts_with(kHiddenPrefix); }

 private:
  static constexpr std::string_view kHiddenPrefix = ".tintype-";

  bool open_without_name();
  static std::string hidden_pattern(const std::filesystem::path& directory);
  void open_hidden();

  std::filesystem::path directory_;
  std::filesystem::path hidden_;  ///< empty where it has no name, or its real one
  UniqueFd fd_;
};

/// What is done to a file before it is named is there after a power cut if the name is: the file system keeps a journal
/// of its metadata, in order (ext4, XFS, Btrfs), or none of it lasts (tmpfs). False where that is not known.
bool journals_metadata(int fd) noexcept;

}  // namespace tintype
