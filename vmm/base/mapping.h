// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace tintype {

/// Owns one mmap. Sizes and alignments in bytes.
class Mapping {
 public:
  Mapping() noexcept = default;
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  /// Anonymous private memory, zero, not yet populated and not counted against overcommit (MAP_NORESERVE).
  /// `alignment` is a power of two, at least a page.
  static Mapping anonymous(std::size_t size, std::size_t alignment = 4096);
  /// A shared mapping of a descriptor (for example the kvm_run page of a vCPU), read and write.
  static Mapping of_fd(int fd, std::size_t size, std::int64_t offset = 0);
  /// A private read-only mapping of a file.
  static Mapping read_only_file(int fd, std::size_t size);

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  std::span<std::byte> bytes() const noexcept { return {data_, size_}; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

  /// madvise on the whole mapping; returns false where the kernel refuses (the caller decides whether that matters).
  bool advise(int advice) const noexcept;

 private:
  Mapping(std::byte* data, std::size_t size) noexcept : data_(data), size_(size) {}

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace tintype
