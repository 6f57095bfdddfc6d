// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/image/sparse_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "checkpoint/image/part_format.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

/// The name with links followed, so that the file is replaced and not the link to it.
fs::path replaceable(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  if (error) throw Error("{} cannot be written: {}", path.string(), error.message());
  const auto status = fs::status(real, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw Error("{} is not a regular file and is not written over; name a new file, or one to replace", path.string());
  }
  return real;
}

[[noreturn]] void throw_write_error(const fs::path& path, int error_number) {
  if (error_number == ENOSPC || error_number == EDQUOT) {
    throw DestinationFull("there is no room for {}; make room on its file system, or choose another place",
                          path.string());
  }
  throw Error("{} cannot be written: {}", path.string(), errno_text(error_number));
}

}  // namespace

SparseFile::SparseFile(const fs::path& path, std::uint64_t bytes) : path_(replaceable(path)) {
  std::string name = (path_.parent_path() / ("." + path_.filename().string() + ".XXXXXX")).string();
  fd_ = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd_) throw_write_error(path_, errno);
  temporary_ = name;
  if (::ftruncate(fd_.get(), static_cast<off_t>(bytes)) == 0) return;
  const int saved = errno;
  ::unlink(temporary_.c_str());
  throw_write_error(path_, saved);
}

SparseFile::~SparseFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void SparseFile::write(std::uint64_t offset, std::span<const std::byte> data) {
  try {
    write_exactly(fd_.get(), data, offset, path_.string());
  } catch (const std::system_error& error) {
    throw_write_error(path_, error.code().value());
  }
}

void SparseFile::finish() {
  if (::fsync(fd_.get()) != 0) throw_write_error(path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw_write_error(path_, errno);
  temporary_.clear();
  sync_directory(path_.parent_path());
}

}  // namespace tintype
