// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/plain.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "tests/bench/statistics.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype::test {

double plain_write_ms(const std::filesystem::path& path, std::uint64_t bytes) {
  const std::vector<std::byte> buffer(8 << 20, std::byte{1});
  const UniqueFd fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t at = 0; at < bytes; at += buffer.size()) {
    const std::uint64_t size = std::min<std::uint64_t>(buffer.size(), bytes - at);
    write_exactly(fd.get(), std::span(buffer).first(size), at, "plain write");
  }
  if (::fdatasync(fd.get()) != 0) throw_errno("fdatasync");
  const double taken = milliseconds_since(start);
  std::filesystem::remove(path);
  return taken;
}

double memcpy_ms(std::uint64_t bytes) {
  const std::vector<std::byte> from(bytes, std::byte{1});
  std::vector<std::byte> to(bytes, std::byte{2});
  const auto start = std::chrono::steady_clock::now();
  std::memcpy(to.data(), from.data(), bytes);
  asm volatile("" : : "r"(to.data()) : "memory");  // the copy is not left out
  return milliseconds_since(start);
}

}  // namespace tintype::test
