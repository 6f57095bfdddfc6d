// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/virtqueue_view.h"

#include <bit>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "devices/virtio/queue.h"
#include "devices/virtio/spec.h"

namespace tintype {

using namespace virtio;

namespace {

/// Of a queue. A driver that loops must not make the picture endless.
constexpr std::size_t kMostBuffers = 4096;

template <typename T>
std::optional<T> load(const ReadPhysical& memory, std::uint64_t at, std::uint64_t offset) {
  T value;
  const auto place = Gpa(at).plus(offset);
  if (!place || !memory(*place, std::as_writable_bytes(std::span(&value, 1)))) return std::nullopt;
  return value;
}

std::string request_text(const BlkHeader& header) {
  switch (header.type) {
    case kBlkIn:
      return fmt::format("read at sector {}", header.sector);
    case kBlkOut:
      return fmt::format("write at sector {}", header.sector);
    case kBlkFlushRequest:
      return "flush";
    case kBlkGetId:
      return "name of the disk";
    case kBlkDiscard:
      return "discard";
    case kBlkWriteZeroes:
      return "write of zeros";
    default:
      return fmt::format("request of type {}", header.type);
  }
}

class QueueViewer {
 public:
  QueueViewer(const ReadPhysical& memory, const InspectedDevice& device, const VirtioQueueStateV1& queue)
      : memory_(memory),
        is_disk_(device.kind == "virtio-blk"),
        may_be_indirect_((device.transport.driver_features & kFeatureIndirectDescriptors) != 0),
        queue_(queue) {}

  ViewedQueue view() {
    ViewedQueue seen;
    if (!std::has_single_bit(queue_.size) || queue_.size > kMaxQueueSize) {
      seen.problem = text(QueueError::kBadSize);
      return seen;
    }
    for (const std::uint16_t head : queue_.in_flight) seen.in_flight.push_back(view_chain(head));
    const auto available = load<std::uint16_t>(memory_, queue_.available, kAvailableIndex);
    const auto used = load<std::uint16_t>(memory_, queue_.used, kUsedIndex);
    if (!available || !used) {
      seen.problem = text(QueueError::kRingOutsideMemory);
      return seen;
    }
    seen.available_index = *available;
    seen.used_index = *used;
    view_waiting(seen);
    return seen;
  }

 private:
  void view_waiting(ViewedQueue& seen) {
    const auto count = static_cast<std::uint16_t>(seen.available_index - queue_.next_available);
    if (count > queue_.size) {
      seen.problem = text(QueueError::kIndexJumped);
      return;
    }
    for (std::uint32_t i = 0; i < count && buffers_left_ > 0; ++i) {
      const std::uint32_t slot = (queue_.next_available + i) & (queue_.size - 1);
      const auto head = load<std::uint16_t>(memory_, queue_.available, available_element(slot));
      if (!head) {
        seen.problem = text(QueueError::kRingOutsideMemory);
        return;
      }
      seen.waiting.push_back(view_chain(*head));
    }
  }

  ViewedChain view_chain(std::uint16_t head) {
    ViewedChain chain;
    chain.head = head;
    chain.problem = follow(chain);
    if (!is_disk_ || chain.buffers.empty() || chain.buffers.front().writable) return chain;
    if (chain.buffers.front().length < sizeof(BlkHeader)) return chain;
    if (const auto header = load<BlkHeader>(memory_, chain.buffers.front().address, 0))
      chain.request = request_text(*header);
    return chain;
  }

  /// Returns how the driver broke the rules; nothing where it did not.
  std::string follow(ViewedChain& chain) {
    std::uint64_t table = queue_.descriptors;
    std::uint32_t count = queue_.size, index = chain.head, steps = 0;
    bool indirect = false;
    for (;;) {
      if (index >= count) return std::string(text(QueueError::kNextOutOfRange));
      if (steps++ == count) return std::string(text(QueueError::kChainTooLong));
      const auto descriptor = load<Descriptor>(memory_, table, std::uint64_t{index} * sizeof(Descriptor));
      if (!descriptor) return std::string(text(QueueError::kRingOutsideMemory));
      if ((descriptor->flags & kDescriptorIndirect) != 0) {
        if (std::exchange(indirect, true) || !may_be_indirect_ || descriptor->length % sizeof(Descriptor) != 0)
          return std::string(text(QueueError::kBadIndirectTable));
        table = descriptor->address;
        count = descriptor->length / sizeof(Descriptor);
        index = steps = 0;
        continue;
      }
      if (buffers_left_ == 0) return "not shown further: this queue has too much";
      --buffers_left_;
      chain.buffers.push_back({descriptor->address, descriptor->length, (descriptor->flags & kDescriptorWrite) != 0});
      if ((descriptor->flags & kDescriptorNext) == 0) return {};
      index = descriptor->next;
    }
  }

  const ReadPhysical& memory_;
  const bool is_disk_, may_be_indirect_;
  const VirtioQueueStateV1& queue_;
  std::size_t buffers_left_ = kMostBuffers;
};

}  // namespace

ViewedQueue view_queue(const ReadPhysical& memory, const InspectedDevice& device, const VirtioQueueStateV1& queue) {
  return QueueViewer(memory, device, queue).view();
}

}  // namespace tintype
