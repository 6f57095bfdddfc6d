// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "devices/block/raw_file.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

// Redo logs of the image `disk.img` are called `disk.img.0001.redo`, `disk.img.0002.redo`, ... The number
// only makes the name unique: the order of a stack is in the superblocks. Where logs lie in a directory of
// their own, a symbolic link of the same name beside the image leads to each, so that an image is never
// opened without its log only because another --disk-dir was given.

struct LogPaths {
  std::filesystem::path file;
  std::filesystem::path link;  ///< empty where the file itself lies beside the image (or the link could not be made)
  bool has_name_of_image = true;
};

/// A log file in the making. It has no name until publish(): whatever ends us before leaves nothing behind.
/// (On the few file systems that have no O_TMPFILE it has one from the start, and being killed in these
/// milliseconds leaves a file that is no log yet.)
class NewLogFile {
 public:
  /// `directory` empty: beside the image. Throws tintype::Error where no file can be made there.
  NewLogFile(const RawFile& base, const std::filesystem::path& directory);
  ~NewLogFile();
  NewLogFile(const NewLogFile&) = delete;
  NewLogFile& operator=(const NewLogFile&) = delete;

  int fd() const noexcept { return fd_.get(); }
  /// Gives the file the first free name from `number` on, and makes the name durable.
  LogPaths publish(std::uint64_t number);
  /// The same in two steps: which name that is; and later, for which nobody may have taken it. publish() may be tried
  /// again where it throws.
  std::filesystem::path choose(std::uint64_t number);
  LogPaths publish();
  /// Instead: the file stays without a name, and goes when the last descriptor does.
  UniqueFd take_nameless();
  const std::filesystem::path& directory() const noexcept { return directory_; }
  UniqueFd duplicate() const;
  /// The file is now a log: the destructor leaves it alone.
  UniqueFd release() noexcept;

 private:
  std::filesystem::path give_name(std::uint64_t number);
  bool take_name(const std::filesystem::path& path);
  bool name_is_free(const std::filesystem::path& path) const;

  std::filesystem::path image_;
  std::filesystem::path directory_;
  UniqueFd fd_;
  LogPaths paths_;  ///< what it has been given so far
  std::filesystem::path chosen_;
};

/// Files and links that are named like logs, in the image's own directory, in `directory` and where the image's mark
/// says, each file once: an image may have been renamed. Throws tintype::Error for a link that leads nowhere.
std::vector<LogPaths> find_logs(const RawFile& base, const std::filesystem::path& directory);

}  // namespace tintype
