// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoint/format/block_source.h"
#include "checkpoint/format/part_format.h"
#include "tests/support/rounds.h"
#include "vmm/base/io.h"

namespace tintype::checkpoint_test {

/// A directory that goes when the test ends.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    std::string name = (parent / "tintype-checkpoint-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// In memory, where a test waits for the device some thousand times; elsewhere where there is no such room.
inline std::filesystem::path quick_directory() {
  std::error_code error;
  const std::filesystem::path memory = "/dev/shm";
  const auto space = std::filesystem::space(memory, error);
  return !error && space.available > 256 << 20 ? memory : std::filesystem::temp_directory_path();
}

/// What lies in a directory.
inline std::set<std::string> names_in(const std::filesystem::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.insert(entry.path().filename().string());
  return names;
}

using Bytes = std::vector<std::byte>;

/// Blocks that do not compress, never zero.
inline Bytes noise(std::size_t blocks, unsigned seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(blocks * kBlockSize);
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random() | 0x0101010101010101;
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
  return bytes;
}

/// Blocks that compress well; each one different, never zero.
inline Bytes pattern(std::size_t blocks, unsigned seed) {
  Bytes bytes(blocks * kBlockSize);
  for (std::size_t block = 0; block < blocks; ++block)
    std::memset(bytes.data() + block * kBlockSize, static_cast<int>((block + seed) % 250 + 1), kBlockSize);
  return bytes;
}

/// Compares at once, where == looks at each byte, which takes a sanitizer long.
inline bool same(std::span<const std::byte> one, std::span<const std::byte> other) {
  return one.size() == other.size() && (one.empty() || std::memcmp(one.data(), other.data(), one.size()) == 0);
}

inline std::span<std::byte> block_of(Bytes& bytes, std::size_t block) {
  return std::span(bytes).subspan(block * kBlockSize, kBlockSize);
}

/// All that a part, or a chain of them, shows.
inline Bytes content_of(const BlockSource& source) {
  Bytes bytes(source.blocks() * kBlockSize, std::byte{0xee});
  source.read_blocks(0, bytes);
  bytes.resize(source.content_bytes());
  return bytes;
}

inline Bytes read_file(const std::filesystem::path& path) {
  const UniqueFd fd = open_file(path, O_RDONLY);
  Bytes bytes(file_size(fd.get(), path.string()));
  read_exactly(fd.get(), bytes, 0, path.string());
  return bytes;
}

inline void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const UniqueFd fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  write_exactly(fd.get(), bytes, 0, path.string());
}

}  // namespace tintype::checkpoint_test
