// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "devices/virtio/blk.h"
#include "devices/virtio/mmio_transport.h"
#include "tests/support/fake_irq_line.h"
#include "tests/support/mock_block_backend.h"
#include "tests/support/mock_driver.h"

namespace tintype {

inline constexpr std::uint64_t kRigDisk = 1 << 20;

/// A block device with everything around it faked, and no thread: serve() does what the thread would do.
struct VirtioBlkRig {
  explicit VirtioBlkRig(std::uint64_t memory_size = 4 << 20, bool read_only = false, std::size_t queues = 1)
      : memory(memory_size),
        backend(kRigDisk, read_only),
        blk(backend, queues),
        transport("disk0", memory, irq, blk),
        driver(transport, memory) {
    backend.expect_segments_in(memory);
  }

  void serve() { transport.serve_everything(); }
  void kick() { driver.kick(), serve(); }
  StateRecord save() {
    transport.freeze();
    StateRecord record = transport.save_state();
    transport.thaw();
    return record;
  }

  static virtio::BlkHeader header(std::uint32_t type, std::uint64_t sector = 0) { return {type, 0, sector}; }
  /// A read of `length` bytes: buffer 1 is the data, buffer 2 the status, which starts as 0xff.
  MockQueue::ChainBuilder read_chain(std::uint64_t sector, std::uint32_t length) {
    auto chain = driver.queue().chain();
    chain.readable_value(header(virtio::kBlkIn, sector)).writable(length).writable(1);
    return mark_unanswered(chain, 2);
  }
  MockQueue::ChainBuilder write_chain(std::uint64_t sector, std::span<const std::byte> data) {
    auto chain = driver.queue().chain();
    chain.readable_value(header(virtio::kBlkOut, sector)).readable(data).writable(1);
    return mark_unanswered(chain, 2);
  }
  MockQueue::ChainBuilder flush_chain() {
    auto chain = driver.queue().chain();
    chain.readable_value(header(virtio::kBlkFlushRequest)).writable(1);
    return mark_unanswered(chain, 1);
  }
  std::uint8_t byte_at(Gpa where) { return memory.load<std::uint8_t>(where).value(); }

  static constexpr std::uint8_t kUnanswered = 0xff;

  GuestMemory memory;
  FakeIrqLine irq;
  MockBlockBackend backend;
  VirtioBlk blk;
  MmioTransport transport;
  MockDriver driver;

 private:
  MockQueue::ChainBuilder mark_unanswered(MockQueue::ChainBuilder& chain, std::size_t status) {
    if (!memory.store(chain.buffer(status), kUnanswered)) throw std::runtime_error("no memory for a status");
    return chain;
  }
};

inline std::vector<std::byte> pattern(std::size_t bytes, unsigned seed) {
  std::vector<std::byte> data(bytes);
  for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<std::byte>(seed + i * 7 + i / 251);
  return data;
}

inline std::vector<std::byte> bytes_at(const GuestMemory& memory, Gpa where, std::size_t count) {
  const auto view = memory.view(where, count);
  return {view.begin(), view.end()};
}

}  // namespace tintype
