// SPDX-License-Identifier: Apache-2.0
#include "devices/block/raw_file.h"

#include <fcntl.h>

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "devices/block/backend.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

constexpr auto kLockPatience = std::chrono::milliseconds(1'500);

[[noreturn]] void throw_open_failure(const std::string& path, bool read_only, int error_number) {
  switch (error_number) {
    case ENOENT:
      throw Error("there is no disk image {}: check the path, or make one with `truncate -s 1G {}`", path, path);
    case EISDIR:
      throw Error("the disk image {} is a directory: give the path of a raw image file or block device", path);
    case EACCES:
    case EPERM:
    case EROFS:
      throw Error("the disk image {} cannot be opened for {}: {}; change its permissions{}", path,
                  read_only ? "reading" : "writing", errno_text(error_number),
                  read_only ? "" : ", or give it to a machine that only reads it, with `,readonly`");
    default:
      throw Error("the disk image {} cannot be opened: {}", path, errno_text(error_number));
  }
}

// Without O_NONBLOCK a FIFO would make us wait for its other end before we can refuse it.
UniqueFd open_image(const std::filesystem::path& path, bool read_only) {
  UniqueFd fd(::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) throw_open_failure(path.string(), read_only, errno);
  return fd;
}

bool try_lock(int fd, const std::string& path, bool read_only) {
  struct flock whole {};
  whole.l_type = static_cast<short>(read_only ? F_RDLCK : F_WRLCK);
  whole.l_whence = SEEK_SET;
  if (::fcntl(fd, F_OFD_SETLK, &whole) == 0) return true;
  if (errno != EAGAIN && errno != EACCES) throw_errno("fcntl(F_OFD_SETLK) on {}", path);
  return false;
}

// An open-file-description lock: held by the descriptor, so that it also keeps out a second disk of our own
// process, and is gone when the process is, however it ends. Or shortly after: what a killed process had
// given to io_uring keeps the descriptor, and so the lock, until the kernel is through with it. That is as it
// should be, and worth a moment's patience.
void lock_image(int fd, const std::string& path, bool read_only) {
  const auto limit = std::chrono::steady_clock::now() + kLockPatience;
  while (!try_lock(fd, path, read_only)) {
    if (std::chrono::steady_clock::now() > limit) {
      throw Error(
          "the disk image {} is in use by another machine: stop that machine, or give this one a copy of the "
          "image",
          path);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

std::uint64_t image_size(int fd, const struct stat& info, const std::string& path) {
  if (!S_ISBLK(info.st_mode)) return static_cast<std::uint64_t>(info.st_size);
  std::uint64_t bytes = 0;
  if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0) throw_errno("ioctl(BLKGETSIZE64) on {}", path);
  return bytes;
}

std::uint64_t nanoseconds(const struct statx_timestamp& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

struct statx stat_of(const BlockFile& file) {
  struct statx info {};
  if (::statx(file.fd(), "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &info) != 0) {
    throw_errno("statx {}", file.path().string());
  }
  return info;
}

BaseIdentity identity_from(const struct statx& info) {
  if (S_ISBLK(info.stx_mode)) return {true, std::uint64_t{info.stx_rdev_major} << 32 | info.stx_rdev_minor, 0};
  return {false, info.stx_ino, (info.stx_mask & STATX_BTIME) != 0 ? nanoseconds(info.stx_btime) : 0};
}

void check_size(std::uint64_t size, const std::string& path) {
  if (size == 0)
    throw Error("the disk image {} is empty: give it a size, for example with `truncate -s 1G {}`", path, path);
  if (size % kSectorSize != 0) {
    throw Error(
        "the disk image {} has {} bytes, which is not a multiple of {}: is it a raw image? If so, extend it "
        "with `truncate -s %{} {}`",
        path, size, kSectorSize, kSectorSize, path);
  }
}

}  // namespace

namespace {

void refuse_incomplete(int fd, const std::string& path) {
  const auto note = read_incomplete_note(fd);
  if (!note) return;
  throw Error(
      "the disk image {} is not whole, because the machine that it was being restored for was killed: `tintype disk "
      "complete {}` copies what is missing from checkpoint {} in {}; or delete it and restore that once more",
      path, path, note->id, note->repository.string());
}

}  // namespace

std::shared_ptr<RawFile> RawFile::open(const std::filesystem::path& path, bool read_only,
                                       std::shared_ptr<AbsentBlocks> absent) {
  UniqueFd fd = open_image(path, read_only);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) throw_errno("fstat {}", path.string());
  if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode)) {
    throw Error("the disk image {} is neither a regular file nor a block device: give the path of a raw image",
                path.string());
  }
  ::fcntl(fd.get(), F_SETFL, 0);  // no longer non-blocking
  lock_image(fd.get(), path.string(), read_only);
  if (absent == nullptr) refuse_incomplete(fd.get(), path.string());
  const std::uint64_t size = image_size(fd.get(), info, path.string());
  check_size(size, path.string());
  std::shared_ptr<RawFile> file(
      new RawFile(std::filesystem::canonical(path), std::move(fd), size, S_ISBLK(info.st_mode)));
  if (!file->is_block_device()) {
    file->mark_ = read_image_mark(file->fd());
    file->suspended_ = read_suspend_note(file->fd());
  }
  // A killed machine's writes may be on their way to stable storage still.
  if (!read_only && absent == nullptr) file->note_write();
  file->absent_ = std::move(absent);
  return file;
}

std::shared_ptr<RawFile> RawFile::open_unnamed(int image, const std::filesystem::path& path,
                                               std::shared_ptr<AbsentBlocks> absent) {
  UniqueFd fd = open_image(fmt::format("/proc/self/fd/{}", image), true);
  ::fcntl(fd.get(), F_SETFL, 0);  // no longer non-blocking
  lock_image(fd.get(), path.string(), true);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) throw_errno("fstat {}", path.string());
  const std::uint64_t size = image_size(fd.get(), info, path.string());
  check_size(size, path.string());
  std::shared_ptr<RawFile> file(new RawFile(path, std::move(fd), size, false));
  file->is_unnamed_ = true;
  file->absent_ = std::move(absent);
  return file;
}

std::optional<BaseIdentity> identity_of(const std::filesystem::path& path) {
  struct statx info {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, &info) != 0) return std::nullopt;
  return identity_from(info);
}

void RawFile::set_mark(const ImageMark& mark) {
  mark_ = mark;
  if (!is_block_device_) write_image_mark(fd(), mark);
}

void RawFile::clear_mark() {
  if (mark_ && !is_block_device_) clear_image_mark(fd());
  mark_.reset();
}

void RawFile::set_suspended(const SuspendNote& note) {
  write_suspend_note(fd(), note, path());
  suspended_ = note;
}

void RawFile::clear_suspended() {
  if (std::exchange(suspended_, std::nullopt)) clear_suspend_note(fd());
}

void RawFile::settle() const {
  const UniqueFd own = open_file(fmt::format("/proc/self/fd/{}", fd()), O_RDONLY);
  sync_file(own.get(), path().string());
}

void RawFile::unlock() noexcept {
  struct flock whole {};
  whole.l_type = F_UNLCK;
  whole.l_whence = SEEK_SET;
  ::fcntl(fd(), F_OFD_SETLK, &whole);
}

BaseIdentity RawFile::identity() const { return identity_from(stat_of(*this)); }

std::uint64_t RawFile::modified_ns() const { return nanoseconds(stat_of(*this).stx_mtime); }

// The other way round, what is brought in between the two questions would be neither there nor absent.
std::optional<RawFile::Range> RawFile::next_data(std::uint64_t offset) const {
  const auto absent = absent_ ? absent_->next_absent(offset) : std::nullopt;
  const auto there = next_data_there(offset);
  if (!absent || *absent >= size_ || (there && there->offset <= *absent)) return there;
  return Range{*absent, kSectorSize};  // whoever reads it brings it, and more
}

std::optional<RawFile::Range> RawFile::next_data_there(std::uint64_t offset) const {
  if (offset >= size_) return std::nullopt;
  const off_t data = ::lseek(fd(), static_cast<off_t>(offset), SEEK_DATA);
  if (data < 0 && errno == ENXIO) return std::nullopt;
  if (data < 0) return Range{offset, size_ - offset};
  const off_t hole = ::lseek(fd(), data, SEEK_HOLE);
  const std::uint64_t start = std::max(offset, static_cast<std::uint64_t>(data) / kSectorSize * kSectorSize);
  const std::uint64_t end =
      hole < 0 ? size_ : (static_cast<std::uint64_t>(hole) + kSectorSize - 1) / kSectorSize * kSectorSize;
  if (start >= size_) return std::nullopt;
  return Range{start, std::min(end, size_) - start};
}

}  // namespace tintype
