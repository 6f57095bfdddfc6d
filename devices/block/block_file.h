// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// A file that holds a disk's data, and what of it is not yet on stable storage. Counters may be used from
/// any thread.
class BlockFile {
 public:
  BlockFile(std::filesystem::path path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  int fd() const noexcept { return fd_.get(); }
  const std::filesystem::path& path() const noexcept { return path_; }

  /// From now on transfers that are aligned for it bypass the page cache; the kernel keeps the two views the same.
  /// False where the file system does not know how.
  [[nodiscard]] bool use_direct_io();
  /// The descriptor for a transfer of these segments.
  int fd_for(std::uint64_t offset, const std::vector<iovec>& segments) const noexcept;

  /// A write to the file has landed in the page cache.
  void note_write() noexcept { written_.fetch_add(1); }
  /// What an fdatasync that starts now will make durable: pass it to note_sync() afterwards.
  std::uint64_t written() const noexcept { return written_.load(); }
  bool needs_sync() const noexcept { return synced_.load() < written_.load() || sync_error() != 0; }

  /// The kernel reports a failed write-back to one fdatasync only and then forgets the data. We do not
  /// forget: every later sync fails too.
  void note_sync(std::uint64_t written, int error_number) noexcept;
  int sync_error() const noexcept { return sync_error_.load(); }

  // A failure is told to one of several fdatasyncs only, and the others say that all is well. So what a sync says
  // counts only when every one that began before it ended has ended too. The disk's mutex guards these.
  std::uint64_t begin_sync() {
    running_syncs_.push_back(++syncs_begun_);
    return syncs_begun_;
  }
  void end_sync(std::uint64_t number) noexcept { std::erase(running_syncs_, number); }
  std::uint64_t syncs_begun() const noexcept { return syncs_begun_; }
  /// Every sync up to that number has ended.
  bool syncs_ended(std::uint64_t number) const noexcept {
    return running_syncs_.empty() || running_syncs_.front() > number;
  }

  /// fdatasync on this thread, while nobody else uses the file. Throws std::system_error.
  void sync();

 private:
  std::filesystem::path path_;
  UniqueFd fd_;
  UniqueFd direct_fd_;
  std::uint64_t direct_alignment_ = 0;  ///< bytes, of offsets, lengths and memory
  std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> synced_{0};
  std::atomic<int> sync_error_{0};
  std::uint64_t syncs_begun_ = 0;
  std::vector<std::uint64_t> running_syncs_;  ///< their numbers, in order
};

}  // namespace tintype
