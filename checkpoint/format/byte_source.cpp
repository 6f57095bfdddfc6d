// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/byte_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "checkpoint/format/part_format.h"
#include "vmm/base/io.h"

namespace tintype {

std::uint64_t ByteSource::next_data(std::uint64_t from, std::uint64_t) const noexcept { return from; }

FileSource::FileSource(const std::filesystem::path& path)
    : name_(path.string()), fd_(open_file(path, O_RDONLY)), size_(file_size(fd_.get(), name_)) {}

void FileSource::read(std::uint64_t offset, std::span<std::byte> into) const {
  read_exactly(fd_.get(), into, offset, name_);
}

// Holes are zero. Where the file system knows none, all is data.
std::uint64_t FileSource::next_data(std::uint64_t from, std::uint64_t to) const noexcept {
  const off_t data = ::lseek(fd_.get(), static_cast<off_t>(from), SEEK_DATA);
  if (data < 0) return errno == ENXIO ? to : from;
  return std::min(std::max(static_cast<std::uint64_t>(data), from), to);
}

std::vector<std::byte> read_all(const ByteSource& source, std::uint64_t limit) {
  if (source.size() > limit)
    throw ImageError("{} is larger than {} bytes, which is too large for this kind of file", source.name(), limit);
  std::vector<std::byte> bytes(source.size());
  source.read(0, bytes);
  return bytes;
}

}  // namespace tintype
