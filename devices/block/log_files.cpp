// SPDX-License-Identifier: Apache-2.0
#include "devices/block/log_files.h"

#include <fcntl.h>

#include <algorithm>
#include <string_view>

#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/same_file.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kSuffix = ".redo";

std::string log_name(const fs::path& image, std::uint64_t number) {
  return fmt::format("{}.{:04}{}", image.filename().string(), number, kSuffix);
}

/// The name of the image whose log has that name; empty for what is no log.
std::string_view image_name_in(std::string_view name) {
  if (!name.ends_with(kSuffix)) return {};
  name.remove_suffix(kSuffix.size());
  const std::size_t dot = name.rfind('.');
  if (dot == name.npos || name.size() - dot - 1 < 4) return {};
  if (name.find_first_not_of("0123456789", dot + 1) != name.npos) return {};
  return name.substr(0, dot);
}

fs::path log_directory(const RawFile& base, const fs::path& directory) {
  if (!directory.empty()) return fs::weakly_canonical(directory);
  if (!base.is_block_device()) return base.path().parent_path();
  throw Error(
      "the disk {} is a block device and has no room beside it for a redo log: say with --disk-dir where the "
      "log may lie",
      base.path().string());
}

// Where symbolic links are not to be had, the log is found only with the same --disk-dir.
fs::path make_link(const fs::path& image, const fs::path& log) {
  fs::path link = image.parent_path() / log.filename();
  std::error_code failed;
  fs::create_symlink(log, link, failed);
  if (failed) return {};
  sync_directory(link.parent_path());
  return link;
}

fs::path resolve_link(const fs::path& link) {
  std::error_code failed;
  const fs::path file = fs::canonical(link, failed);
  if (!failed) return file;
  throw Error(
      "the redo log that {} leads to is missing: put it back, or delete the link to give up the updates in "
      "that log",
      link.string());
}

void add_logs_in(const fs::path& directory, const fs::path& image, std::vector<LogPaths>& into) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(directory, failed)) {
    const std::string name = entry.path().filename().string();
    if (image_name_in(name).empty()) continue;
    LogPaths found{entry.path(), {}, image_name_in(name) == image.filename().string()};
    if (entry.is_symlink() && !found.has_name_of_image) continue;
    if (entry.is_symlink()) found = {resolve_link(entry.path()), entry.path(), true};
    const auto same = std::find_if(into.begin(), into.end(),
                                   [&](const LogPaths& known) { return is_same_file(known.file, found.file); });
    if (same == into.end()) into.push_back(found);
  }
}

}  // namespace

NewLogFile::NewLogFile(const RawFile& base, const fs::path& directory)
    : image_(base.path()), directory_(log_directory(base, directory)) {
  fd_.reset(::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd_ && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) paths_.file = give_name(1);
  if (fd_) return;
  throw Error("no redo log for {} can be made in {}: {}; say with --disk-dir where it may lie", image_.string(),
              directory_.string(), errno_text(errno));
}

NewLogFile::~NewLogFile() {
  if (!fd_) return;
  std::error_code ignored;
  if (!paths_.link.empty()) fs::remove(paths_.link, ignored);
  if (!paths_.file.empty()) fs::remove(paths_.file, ignored);
}

bool NewLogFile::name_is_free(const fs::path& path) const {
  return fs::symlink_status(image_.parent_path() / path.filename()).type() == fs::file_type::not_found;
}

/// False where somebody has it. Both ways fail with EEXIST where that was just now.
bool NewLogFile::take_name(const fs::path& path) {
  if (!name_is_free(path)) return false;
  if (fd_) {
    const std::string self = fmt::format("/proc/self/fd/{}", fd_.get());
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  } else {
    fd_.reset(::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
    if (fd_) return true;
  }
  if (errno != EEXIST) throw_errno("create {}", path.string());
  return false;
}

fs::path NewLogFile::give_name(std::uint64_t number) {
  for (;; ++number) {
    fs::path path = directory_ / log_name(image_, number);
    if (take_name(path)) return path;
  }
}

LogPaths NewLogFile::publish(std::uint64_t number) {
  if (paths_.file.empty()) paths_.file = give_name(number);
  return publish();
}

fs::path NewLogFile::choose(std::uint64_t number) {
  if (!paths_.file.empty()) return paths_.file;
  do {
    chosen_ = directory_ / log_name(image_, number++);
  } while (!name_is_free(chosen_) || fs::symlink_status(chosen_).type() != fs::file_type::not_found);
  return chosen_;
}

LogPaths NewLogFile::publish() {
  if (paths_.file.empty()) {
    if (!take_name(chosen_)) throw_errno_text(EEXIST, "create " + chosen_.string());
    paths_.file = chosen_;
  }
  sync_directory(directory_);
  if (directory_ != image_.parent_path() && paths_.link.empty()) paths_.link = make_link(image_, paths_.file);
  return paths_;
}

UniqueFd NewLogFile::duplicate() const {
  UniqueFd fd(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd) throw_errno("fcntl(F_DUPFD_CLOEXEC) on a fresh redo log");
  return fd;
}

UniqueFd NewLogFile::release() noexcept { return std::move(fd_); }

UniqueFd NewLogFile::take_nameless() {
  if (!paths_.file.empty()) fs::remove(paths_.file);
  return release();
}

std::vector<LogPaths> find_logs(const RawFile& base, const fs::path& directory) {
  std::vector<LogPaths> found;
  if (base.is_unnamed()) return found;
  if (!base.is_block_device()) add_logs_in(base.path().parent_path(), base.path(), found);
  if (!directory.empty()) add_logs_in(fs::weakly_canonical(directory), base.path(), found);
  if (base.mark() && !base.mark()->directory.empty()) add_logs_in(base.mark()->directory, base.path(), found);
  return found;
}

}  // namespace tintype
