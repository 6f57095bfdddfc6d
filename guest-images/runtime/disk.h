// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/runtime/virtio_mmio.h"
#include "guest-images/runtime/virtqueue.h"

namespace tintype::guest {

constexpr std::uint32_t kSectorSize = 512;

// A virtio-blk device (virtio 1.2, 5.2) with many requests in flight, each known by the tag that
// the caller gives it. Lives in static memory: the device holds its addresses.
class Disk {
 public:
  // Finds the nth disk and starts it; false if there is none or it cannot be used. With `polled`
  // it does not interrupt.
  bool open(std::uint32_t nth, bool polled);

  std::uint64_t sectors() const { return sectors_; }
  std::uint32_t tags() const { return queue_.tags(); }
  std::uint32_t interrupt_vector() const;

  // `sectors` of them from `sector` on. The data is given to the device in up to `pieces` pieces
  // (1 to 6), cut between sectors where that is an even number, and anywhere where it is odd.
  // Nothing is sure to begin before kick().
  void read(std::uint32_t tag, std::uint64_t sector, void* data, std::uint32_t sectors, std::uint32_t pieces);
  void write(std::uint32_t tag, std::uint64_t sector, const void* data, std::uint32_t sectors, std::uint32_t pieces);
  // Makes what was written and completed before durable.
  void flush(std::uint32_t tag);
  void kick();

  enum class Outcome : std::uint8_t {
    kDone,
    kFailed,       // the device says so
    kWrongSize,    // it says that it wrote more or less than it should
    kNotInFlight,  // a completion for a request that nobody made
  };
  struct Completion {
    std::uint32_t tag;
    Outcome outcome;
  };

  // Call when the interrupt has come, before take().
  void acknowledge_interrupt() const { device_.acknowledge_interrupt(); }
  bool take(Completion& completion);

  bool pending() const { return queue_.pending(); }
  bool needs_reset() const { return device_.needs_reset(); }

 private:
  struct Header {
    std::uint32_t type;
    std::uint32_t reserved;
    std::uint64_t sector;
  };

  void submit(std::uint32_t tag, std::uint32_t type, std::uint64_t sector, const void* data, std::uint32_t size,
              std::uint32_t pieces);

  VirtioMmio device_;
  std::uint64_t sectors_ = 0;
  bool notify_ = false;
  Virtqueue queue_;
  Header headers_[Virtqueue::kMaxTags] = {};
  volatile std::uint8_t status_[Virtqueue::kMaxTags] = {};
  std::uint32_t expected_bytes_[Virtqueue::kMaxTags] = {};
};

}  // namespace tintype::guest
