// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/sparse_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "checkpoint/store/space.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

fs::path directory_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

UnnamedFile create_for(const fs::path& path) {
  try {
    return UnnamedFile(directory_of(path));
  } catch (const std::system_error& error) {
    throw_write_error(path, error.code().value());
  }
}

}  // namespace

template <typename Function>
auto SparseFile::said_plainly(Function function) {
  try {
    return function();
  } catch (const std::system_error& error) {
    throw_write_error(path_, error.code().value());
  }
}

SparseFile::SparseFile(const fs::path& path, std::uint64_t bytes) : path_(path), size_(bytes), file_(create_for(path)) {
  if (::ftruncate(file_.fd(), static_cast<off_t>(bytes)) != 0) throw_write_error(path_, errno);
}

void SparseFile::write(std::uint64_t offset, std::span<const std::byte> data) {
  said_plainly([&] { write_exactly(file_.fd(), data, offset, path_.string()); });
}

UniqueFd SparseFile::duplicate() const {
  UniqueFd fd(::fcntl(file_.fd(), F_DUPFD_CLOEXEC, 0));
  if (!fd) throw_errno("fcntl(F_DUPFD_CLOEXEC) on {}", path_.string());
  return fd;
}

void SparseFile::sync() {
  said_plainly([&] { sync_file(file_.fd(), path_.string()); });
}

void SparseFile::replace() {
  said_plainly([&] {
    sync_file(file_.fd(), path_.string());
    file_.replace(path_);
    sync_directory(directory_of(path_));
  });
}

bool SparseFile::take_name(const fs::path& path) {
  return said_plainly([&] { return file_.link_as(path); });
}

fs::path replaceable_name(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  if (error) throw Error("{} cannot be written: {}", path.string(), error.message());
  const auto status = fs::status(real, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw Error("{} is not a regular file and is not written over; name a new file, or one to replace", path.string());
  }
  return real;
}

}  // namespace tintype
