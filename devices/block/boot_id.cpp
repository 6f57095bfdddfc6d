// SPDX-License-Identifier: Apache-2.0
#include "devices/block/boot_id.h"

#include <fcntl.h>
#include <unistd.h>

#include "vmm/base/unique_fd.h"

namespace tintype {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

// The kernel gives 32 hexadecimal digits with dashes between.
std::array<std::uint8_t, 16> boot_id() noexcept {
  std::array<char, 64> text{};
  const UniqueFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  if (!fd || ::read(fd.get(), text.data(), text.size()) <= 0) return {};
  std::array<std::uint8_t, 16> id{};
  std::size_t digits = 0;
  for (const char c : text) {
    const int value = hex_digit(c);
    if (value < 0 || digits == 2 * id.size()) continue;
    id[digits / 2] = static_cast<std::uint8_t>(id[digits / 2] << 4 | value);
    ++digits;
  }
  return id;
}

}  // namespace tintype
