// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/virtio/queue.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// One buffer of a chain: never empty, and wholly inside one region of guest memory.
struct ChainBuffer {
  Gpa address;
  std::span<std::byte> host;
};

/// A descriptor chain (2.7.5), walked once: its buffers as host memory, device-readable ones first,
/// device-writable ones after them.
///
/// How a request is cut into buffers means nothing (2.7.4), so devices ask for bytes at an offset into the
/// readable or the writable part. The object is made to be used again and again: walk() keeps its memory.
class DescriptorChain {
 public:
  /// Copies the descriptors out of the table, each once, and checks them. At most as many as the queue holds,
  /// plus as many again in an indirect table. On an error the chain is empty.
  [[nodiscard]] QueueError walk(GuestMemory& memory, const Queue& queue, std::uint16_t head);

  std::uint16_t head() const noexcept { return head_; }
  std::span<const ChainBuffer> readable() const noexcept { return std::span(buffers_).first(readable_count_); }
  std::span<const ChainBuffer> writable() const noexcept { return std::span(buffers_).subspan(readable_count_); }
  std::uint32_t readable_bytes() const noexcept { return readable_bytes_; }
  std::uint32_t writable_bytes() const noexcept { return writable_bytes_; }

 private:
  struct Table;
  QueueError follow(GuestMemory& memory, const Queue& queue);
  QueueError add(GuestMemory& memory, std::uint64_t address, std::uint32_t length, bool writable);
  void clear() noexcept;

  std::uint16_t head_ = 0;
  std::vector<ChainBuffer> buffers_;
  std::size_t readable_count_ = 0;
  bool saw_writable_ = false;  ///< an empty writable buffer counts as well
  std::uint32_t readable_bytes_ = 0;
  std::uint32_t writable_bytes_ = 0;
};

/// Appends to `out` the buffers that make up bytes [offset, offset + length) of `buffers`, cut to fit. The
/// caller knows that there are so many.
void append_slice(std::span<const ChainBuffer> buffers, std::uint64_t offset, std::uint64_t length,
                  std::vector<ChainBuffer>& out);

/// Copies `into.size()` bytes at `offset` of `buffers`. False, and nothing useful copied, where there are
/// fewer.
[[nodiscard]] bool copy_from(std::span<const ChainBuffer> buffers, std::uint64_t offset,
                             std::span<std::byte> into) noexcept;

/// Copies `from` into `buffers` at their start, as far as they reach, and marks the pages dirty. Gives the
/// number of bytes copied.
std::uint32_t copy_to(GuestMemory& memory, std::span<const ChainBuffer> buffers,
                      std::span<const std::byte> from) noexcept;

}  // namespace tintype
