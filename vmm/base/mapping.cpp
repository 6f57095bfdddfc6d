// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/mapping.h"

#include <sys/mman.h>

#include "vmm/base/error.h"
#include "vmm/base/overflow.h"

namespace tintype {

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Mapping Mapping::anonymous(std::size_t size, std::size_t alignment) {
  const std::size_t reserved = size + alignment;  // room to slide to the alignment; the slack is given back
  void* raw = ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) throw_errno("mmap of {} bytes of memory", size);
  const auto start = reinterpret_cast<std::uintptr_t>(raw);
  const auto aligned = align_up(start, alignment);
  const auto end = align_up<std::uintptr_t>(aligned + size, 4096);
  if (aligned > start) ::munmap(raw, aligned - start);
  if (start + reserved > end) ::munmap(reinterpret_cast<void*>(end), start + reserved - end);
  return {reinterpret_cast<std::byte*>(aligned), size};
}

Mapping Mapping::of_fd(int fd, std::size_t size, std::int64_t offset) {
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
  if (data == MAP_FAILED) throw_errno("mmap of {} bytes of descriptor {}", size, fd);
  ::madvise(data, size, MADV_DONTFORK);  // a child that has it would keep what the descriptor stands for alive
  return {static_cast<std::byte*>(data), size};
}

Mapping Mapping::read_only_file(int fd, std::size_t size) {
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) throw_errno("mmap of {} bytes of a file", size);
  return {static_cast<std::byte*>(data), size};
}

bool Mapping::advise(int advice) const noexcept { return ::madvise(data_, size_, advice) == 0; }

}  // namespace tintype
