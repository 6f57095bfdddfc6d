// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "devices/block/redo_log.h"
#include "vmm/base/error.h"

namespace tintype {

/// The file is no intact redo log.
class LogDamaged : public Error {
 public:
  using Error::Error;
};

/// Reads a log file that lies on disk: superblock, state, and every record, in the order of their slots. Where the host
/// has been started anew since it was written (a power cut, perhaps), only what a flush point speaks for counts. Trusts
/// nothing in the file and changes nothing.
class LogScan {
 public:
  /// Reads the header. Throws tintype::Error that names the file and what is wrong. A state or a record that is wrong
  /// is told in `wrong` instead, where that is given, and taken for a fresh log's, or left out.
  LogScan(const std::filesystem::path& path, const std::filesystem::path& link, bool read_only,
          std::vector<std::string>* wrong = nullptr);

  const log_format::Superblock& superblock() const noexcept { return superblock_; }
  const log_format::State& state() const noexcept { return state_; }
  /// Reads the records; the log as it was when its writer ended. Throws as above. To be called once.
  std::shared_ptr<RedoLog> load();

 private:
  void read_superblock();
  void read_state();
  void check_last_flush();
  std::span<const log_format::Record> read_group(std::uint64_t group);
  bool has_group(std::uint64_t group) const noexcept;
  bool is_sound(const log_format::Record& record, std::uint64_t slot) const noexcept;
  bool is_flush_point(const log_format::Record& record, std::uint64_t slot) const noexcept;
  log_format::Record record_at(std::uint64_t offset) const;
  bool written_since_boot() const noexcept;
  void find_last_flush_point();
  void take_records();
  static bool is_empty(const log_format::Record& record) noexcept;
  void take_record(const log_format::Record& record, std::uint64_t slot);
  void leave_out(const log_format::Record& record, std::uint64_t slot);
  std::string wrong_with(const log_format::Record& record, std::uint64_t slot) const;
  std::string wrong_with_hold(const log_format::Record& record, std::uint64_t slot) const;
  void wrong(const std::string& what);
  [[noreturn]] void damaged(const std::string& what) const;

  std::filesystem::path path_;
  std::filesystem::path link_;
  UniqueFd fd_;
  std::uint64_t file_size_ = 0;
  std::vector<std::string>* const wrong_;
  log_format::Superblock superblock_;
  log_format::State state_;
  std::uint64_t seed_ = 0;
  ExtentIndex index_;
  log_format::Record flushed_{};  ///< the last flush point; of nothing where there is none
  std::uint64_t records_taken_ = 0, records_flushed_ = 0;
  std::uint64_t end_ = 0;        ///< records in slots from here on do not count
  std::uint64_t discarded_ = 0;  ///< how many there were
  std::vector<std::uint64_t> void_slots_;
  std::uint64_t slots_end_ = 0, data_end_ = 0;  ///< what lies behind was never used
  std::array<log_format::Record, log_format::kSlotsPerGroup> records_{};
};

}  // namespace tintype
