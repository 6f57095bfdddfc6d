// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <span>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// The file of a part as it is written. Any thread may write to a place of its own.
///
/// Large pieces go past the host's page cache (O_DIRECT), where the file system does that: what nobody will read soon
/// need not be copied, and does not push out what others use.
class PartFile {
 public:
  /// Creates it; it must not exist. Throws tintype::Error.
  explicit PartFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const noexcept { return path_; }

  /// Pieces of memory that hold still, one after the other; uses up the list. Throws DestinationFull or tintype::Error.
  void write(std::span<iovec> pieces, std::uint64_t offset);
  void write(std::span<const std::byte> bytes, std::uint64_t offset);
  /// Room up to there at least, where the file system sets some aside. One thread at a time.
  void reserve(std::uint64_t end, std::uint64_t step);
  /// Makes it zeros, a hole at best.
  void erase(std::uint64_t offset, std::uint64_t bytes);
  void truncate(std::uint64_t end);
  /// Lets the device begin on what is left in the cache.
  void start_writeback() noexcept;
  /// Waits until all data is on the device; the file itself lasts only after sync(). Throws as write() does.
  void finish_writeback();
  /// fsync.
  void sync();

 private:
  bool write_past_cache(std::span<iovec>& pieces, std::uint64_t& offset);
  void note_cached(std::uint64_t offset, std::uint64_t bytes);
  [[noreturn]] void throw_write_error(int error_number, std::uint64_t offset) const;

  const std::filesystem::path path_;
  const UniqueFd fd_;
  UniqueFd direct_;              ///< the same file, past the cache; none where that does not work
  std::atomic<bool> is_direct_;  ///< until it is refused
  bool can_reserve_;
  std::uint64_t reserved_ = 0;  ///< there is room up to here
  std::mutex writeback_mutex_;  // guards the rest
  std::uint64_t dirty_begin_, dirty_end_ = 0, dirty_bytes_ = 0;
};

}  // namespace tintype
