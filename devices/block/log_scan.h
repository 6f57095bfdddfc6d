// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "devices/block/redo_log.h"

namespace tintype {

/// Reads a log file that lies on disk: superblock, state, and every record, in the order of their slots.
/// Trusts nothing in it and changes nothing.
class LogScan {
 public:
  /// Reads the header. Throws tintype::Error that names the file and what is wrong.
  LogScan(const std::filesystem::path& path, const std::filesystem::path& link, bool read_only);

  const log_format::Superblock& superblock() const noexcept { return superblock_; }
  /// Reads the records; the log as it was when its writer ended. Throws as above. To be called once.
  std::shared_ptr<RedoLog> load();

 private:
  void read_superblock();
  void read_state();
  void read_group(std::uint64_t group);
  void take_record(const log_format::Record& record, std::uint64_t slot);
  void check_hold(const log_format::Record& record, std::uint64_t slot) const;
  [[noreturn]] void damaged(const std::string& what) const;

  std::filesystem::path path_;
  std::filesystem::path link_;
  UniqueFd fd_;
  std::uint64_t file_size_ = 0;
  log_format::Superblock superblock_;
  log_format::State state_;
  std::uint64_t seed_ = 0;
  ExtentIndex index_;
};

}  // namespace tintype
