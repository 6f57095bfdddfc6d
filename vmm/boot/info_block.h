// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "vmm/base/overflow.h"
#include "vmm/boot/placement.h"

namespace tintype {

/// Puts together what goes into kBootInfoArea: structs and strings that point at one another. Each is
/// appended, 8-byte aligned, and its guest physical address returned; the first thing appended can be
/// replaced in the end, when all addresses are known.
class InfoBlock {
 public:
  template <typename T>
  std::uint64_t append(const T& value) {
    return append_bytes(bytes_of(value));
  }
  std::uint64_t append_text(const std::string& text) {
    return append_bytes(std::as_bytes(std::span(text.c_str(), text.size() + 1)));
  }
  std::uint64_t append_bytes(std::span<const std::byte> bytes) {
    const std::uint64_t offset = align_up<std::uint64_t>(bytes_.size(), 8);
    bytes_.resize(offset);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return kBootInfoArea.start + offset;
  }
  template <typename T>
  void replace_first(const T& value) {
    std::memcpy(bytes_.data(), &value, sizeof value);
  }
  std::span<const std::byte> bytes() const noexcept { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace tintype
