// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace tintype {

/// Memory behind each page of this, as if it had been written to, without changing any. By plain accesses: a page fault
/// locks one mapping, where madvise(MADV_POPULATE_WRITE) locks the address space for as long as it takes to zero a huge
/// page, and whoever begins a thread meanwhile waits for that.
inline void touch(std::span<std::byte> memory) noexcept {
  constexpr std::size_t kPage = 4096;
  for (std::size_t at = 0; at < memory.size(); at += kPage) asm volatile("lock orb $0, %0" : "+m"(memory[at]));
}

}  // namespace tintype
