// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <string>

#include "devices/block/raw_file.h"
#include "devices/block/redo_log_format.h"
#include "tests/support/scripted_engine.h"
#include "vmm/base/io.h"

namespace tintype {

/// What a power cut leaves of the files in a directory. Between two syncs of a file the host may have written any of
/// its changed sectors to stable storage, in any order, and the new size or not.
class PowerCut {
 public:
  PowerCut(std::filesystem::path directory, std::uint64_t seed) : directory_(std::move(directory)), random_(seed) {}

  /// The file as it is now is on stable storage.
  void synced(const std::filesystem::path& file) { durable_[file] = read_text_file(file, kLimit); }
  /// So are files that were not there the last time: logs are made durable before they are used.
  void new_files_synced() {
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      if (durable_.count(entry.path()) == 0) synced(entry.path());
    }
  }

  /// Logs that were deleted are gone, and their names free for others.
  void forget_deleted() {
    std::erase_if(durable_, [](const auto& file) { return !std::filesystem::exists(file.first); });
  }

  /// Writes what would be found afterwards, under the same names, into `after`. A file that was deleted, but not
  /// forgotten, may be there again.
  void happen(const std::filesystem::path& image, const std::filesystem::path& after) {
    chance_ = std::array{0.0, 0.1, 0.5, 0.9, 1.0}[random_() % 5];
    for (const auto& [file, durable] : durable_) {
      const bool deleted = !std::filesystem::exists(file);
      if (deleted && coin()) continue;
      const std::string left = deleted ? durable : what_is_left(durable, read_text_file(file, kLimit));
      std::ofstream(after / file.filename(), std::ios::binary).write(left.data(), std::ssize(left)).flush();
    }
    const auto image_after = after / image.filename();
    struct stat info {};
    ::stat(image.c_str(), &info);
    const timespec times[2] = {info.st_atim, info.st_mtim};
    ::utimensat(AT_FDCWD, image_after.c_str(), times, 0);
    for (const auto& [file, durable] : durable_) {
      const auto log = after / file.filename();
      if (file.extension() == ".redo" && std::filesystem::exists(log)) move_to(log, image_after);
    }
  }

  /// The host has been started anew since the logs of this image were written.
  static void new_boot(const std::filesystem::path& image) {
    for (const auto& entry : std::filesystem::directory_iterator(image.parent_path())) {
      if (entry.path().extension() == ".redo") move_to(entry.path(), image);
    }
  }

 private:
  static constexpr std::size_t kLimit = 64 << 20;

  bool coin() { return std::bernoulli_distribution(chance_)(random_); }

  std::string what_is_left(const std::string& durable, const std::string& current) {
    std::string left = durable;
    left.resize(std::max(durable.size(), current.size()));
    for (std::size_t at = 0; at < current.size(); at += kSectorSize) {
      if (left.compare(at, kSectorSize, current, at, kSectorSize) != 0 && coin())
        left.replace(at, kSectorSize, current, at, kSectorSize);
    }
    if (!coin()) left.resize(durable.size());
    return left;
  }

  /// The log finds itself above another inode, on a host that has been started anew.
  static void move_to(const std::filesystem::path& log, const std::filesystem::path& image) {
    const UniqueFd fd = open_file(log, O_RDWR);
    log_format::Superblock superblock;
    const auto bytes = std::as_writable_bytes(std::span(&superblock, 1));
    read_exactly(fd.get(), bytes, 0, log.string());
    const BaseIdentity identity = *identity_of(image);
    superblock.base_inode = identity.inode;
    superblock.base_birth_ns = identity.birth_ns;
    ++superblock.boot_id[0];
    superblock.checksum = log_format::checksum_of(superblock);
    write_exactly(fd.get(), bytes, 0, log.string());
  }

  std::filesystem::path directory_;
  std::mt19937_64 random_;
  double chance_ = 0;
  std::map<std::filesystem::path, std::string> durable_;
};

}  // namespace tintype
