// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <utility>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// A file that holds a disk's data, and what of it is not yet on stable storage. Counters may be used from
/// any thread.
class BlockFile {
 public:
  BlockFile(std::filesystem::path path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  int fd() const noexcept { return fd_.get(); }
  const std::filesystem::path& path() const noexcept { return path_; }

  /// A write to the file has landed in the page cache.
  void note_write() noexcept { written_.fetch_add(1); }
  /// What an fdatasync that starts now will make durable: pass it to note_sync() afterwards.
  std::uint64_t written() const noexcept { return written_.load(); }
  bool needs_sync() const noexcept { return synced_.load() < written_.load() || sync_error() != 0; }

  /// The kernel reports a failed write-back to one fdatasync only and then forgets the data. We do not
  /// forget: every later sync fails too.
  void note_sync(std::uint64_t written, int error_number) noexcept;
  int sync_error() const noexcept { return sync_error_.load(); }

  /// fdatasync on this thread. Throws std::system_error.
  void sync();

 private:
  std::filesystem::path path_;
  UniqueFd fd_;
  std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> synced_{0};
  std::atomic<int> sync_error_{0};
};

}  // namespace tintype
