// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <span>

#include "checkpoint/format/part_output.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

/// Whether something is going to be there after a power cut.
enum class Lasting : std::uint8_t { kNo, kYes };

/// The file of a part as it is written, in a directory.
///
/// Large pieces go past the host's page cache (O_DIRECT), where the file system does that: what nobody will read soon
/// need not be copied, and does not push out what others use.
class PartFile final : public PartOutput {
 public:
  /// Creates it; it must not exist. One that need not last is not waited for. Throws tintype::Error.
  explicit PartFile(const std::filesystem::path& path, Lasting lasting = Lasting::kYes);

  std::string name() const override { return path_.string(); }
  void write(std::span<iovec> pieces, std::uint64_t offset) override;
  void write(std::span<const std::byte> bytes, std::uint64_t offset) override;
  void reserve(std::uint64_t end, std::uint64_t step) override;
  /// A hole at best.
  void erase(std::uint64_t offset, std::uint64_t bytes) override;
  void truncate(std::uint64_t end) override;
  /// Lets the device begin on what is left in the cache.
  void start_writeback() noexcept override;
  void finish_writeback() override;
  /// fsync.
  void sync() override;

 private:
  bool write_past_cache(std::span<iovec>& pieces, std::uint64_t& offset);
  void note_cached(std::uint64_t offset, std::uint64_t bytes);
  [[noreturn]] void throw_write_error(int error_number, std::uint64_t offset) const;

  const std::filesystem::path path_;
  const bool lasts_;
  const UniqueFd fd_;
  UniqueFd direct_;              ///< the same file, past the cache; none where that does not work
  std::atomic<bool> is_direct_;  ///< until it is refused
  bool can_reserve_;
  std::uint64_t reserved_ = 0;  ///< there is room up to here
  std::mutex writeback_mutex_;  // guards the rest
  std::uint64_t dirty_begin_, dirty_end_ = 0, dirty_bytes_ = 0;
};

}  // namespace tintype
