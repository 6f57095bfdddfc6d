// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>

#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "devices/block/backend.h"
#include "devices/block/image_mark.h"
#include "devices/block/raw_file.h"
#include "devices/block/redo_log_format.h"
#include "tests/support/host_calls.h"
#include "vmm/base/io.h"

namespace tintype {

/// What a power cut leaves of an image and its logs, in one directory. Between two syncs of a file the host may have
/// written any of its changed sectors to stable storage, in any order, and the new size or not. Time and mark of the
/// image are those of one moment since its last fsync: fdatasync has no regard for them. Names are as of the last
/// sync of the directory, or deleted since.
class PowerCut {
 public:
  /// All that is there now is on stable storage.
  PowerCut(std::filesystem::path image, std::uint64_t seed)
      : image_(std::move(image)), directory_(image_.parent_path()), random_(seed) {
    directory_synced();
    moments_ = {now()};
  }

  /// To be told of every call that HostCalls shows.
  void seen(HostCalls::Moment moment, const std::filesystem::path& file) {
    using Moment = HostCalls::Moment;
    if (const Inode inode = now(); inode != moments_.back()) moments_.push_back(inode);
    if (moment == Moment::kAfterSync && file == directory_) return directory_synced();
    if (moment == Moment::kAfterSync && file == image_) moments_ = {now()};
    const bool synced = moment == Moment::kAfterSync || moment == Moment::kAfterDataSync;
    if (synced && is_there(file)) durable_[file].data = read_text_file(file, kLimit);
  }

  /// Writes what would be found afterwards, under the same names, into `after`.
  void happen(const std::filesystem::path& after) {
    chance_ = std::array{0.0, 0.1, 0.5, 0.9, 1.0}[random_() % 5];
    for (const auto& [file, durable] : durable_) {
      if (!is_there(file) && coin()) continue;
      const std::string left = is_there(file) ? what_is_left(durable.data, read_text_file(file, kLimit)) : durable.data;
      std::ofstream(after / file.filename(), std::ios::binary).write(left.data(), std::ssize(left)).flush();
    }
    leave_inode(moments_[random_() % moments_.size()], after / image_.filename());
    new_boot(after / image_.filename());
  }

  /// The host has been started anew since the logs of this image were written, which may lie above another inode now.
  static void new_boot(const std::filesystem::path& image) {
    for (const auto& entry : std::filesystem::directory_iterator(image.parent_path())) {
      if (entry.path().extension() == ".redo") move_to(entry.path(), image);
    }
  }

 private:
  static constexpr std::size_t kLimit = 64 << 20;
  struct Durable {
    ino_t inode = 0;
    std::string data;
  };
  /// Of the image.
  struct Inode {
    std::int64_t seconds = 0, nanoseconds = 0;  ///< when it was last changed
    std::string mark;
    bool operator==(const Inode&) const = default;
  };

  bool coin() { return std::bernoulli_distribution(chance_)(random_); }

  static ino_t inode_of(const std::filesystem::path& file) {
    struct stat info {};
    return ::stat(file.c_str(), &info) == 0 ? info.st_ino : 0;
  }
  /// And it is not another one of that name.
  bool is_there(const std::filesystem::path& file) const {
    const auto known = durable_.find(file);
    return known != durable_.end() && inode_of(file) == known->second.inode;
  }

  /// Logs that were deleted are gone, and new ones, which were made durable before they had names, are there.
  void directory_synced() {
    std::erase_if(durable_, [this](const auto& file) { return !is_there(file.first); });
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      if (!is_there(entry.path()))
        durable_[entry.path()] = {inode_of(entry.path()), read_text_file(entry.path(), kLimit)};
    }
  }

  Inode now() const {
    struct stat info {};
    ::stat(image_.c_str(), &info);
    std::string mark(4096, '\0');
    const ssize_t length = ::getxattr(image_.c_str(), kImageMarkAttribute, mark.data(), mark.size());
    mark.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    return {info.st_mtim.tv_sec, info.st_mtim.tv_nsec, mark};
  }

  /// The directory that the mark names is the one that the image is in now.
  static void leave_inode(const Inode& inode, const std::filesystem::path& image) {
    std::istringstream words(inode.mark);
    std::string id, first, last;
    if (words >> id >> first >> last) {
      const std::string mark = id + " " + first + " " + last + " " + image.parent_path().string();
      ::setxattr(image.c_str(), kImageMarkAttribute, mark.data(), mark.size(), 0);
    }
    const timespec times[2] = {{0, UTIME_OMIT}, {inode.seconds, inode.nanoseconds}};
    ::utimensat(AT_FDCWD, image.c_str(), times, 0);
  }

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

  const std::filesystem::path image_, directory_;
  std::mt19937_64 random_;
  double chance_ = 0;
  std::map<std::filesystem::path, Durable> durable_;
  std::vector<Inode> moments_;  ///< since the last fsync of the image
};

}  // namespace tintype
