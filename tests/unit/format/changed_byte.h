// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vmm/base/io.h"
#include "vmm/base/unique_fd.h"

namespace tintype::checkpoint_test {

/// Changes one byte of a file in place, and puts it back.
class ChangedByte {
 public:
  ChangedByte(const UniqueFd& file, std::uint64_t offset, std::byte flip) : file_(file), offset_(offset) {
    read_exactly(file_.get(), std::span(&old_, 1), offset_, "file");
    const std::byte changed = old_ ^ flip;
    write_exactly(file_.get(), std::span(&changed, 1), offset_, "file");
  }
  ~ChangedByte() { write_exactly(file_.get(), std::span(&old_, 1), offset_, "file"); }
  ChangedByte(const ChangedByte&) = delete;
  ChangedByte& operator=(const ChangedByte&) = delete;

 private:
  const UniqueFd& file_;
  std::uint64_t offset_;
  std::byte old_{};
};

}  // namespace tintype::checkpoint_test
