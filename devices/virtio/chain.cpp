// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/chain.h"

#include <algorithm>
#include <cstring>

#include "devices/virtio/spec.h"
#include "vmm/base/overflow.h"

namespace tintype {

using namespace virtio;

/// A descriptor table, and how many more of its descriptors this chain may have.
struct DescriptorChain::Table {
  std::uint64_t address = 0;
  std::uint32_t count = 0;
  std::uint32_t budget = 0;
  bool indirect = false;

  std::optional<Descriptor> load(const GuestMemory& memory, std::uint32_t index) const noexcept {
    const auto where = Gpa(address).plus(std::uint64_t{index} * sizeof(Descriptor));
    return where ? memory.load<Descriptor>(*where) : std::nullopt;
  }
};

void DescriptorChain::clear() noexcept {
  buffers_.clear();
  readable_count_ = 0;
  saw_writable_ = false;
  readable_bytes_ = writable_bytes_ = 0;
}

QueueError DescriptorChain::walk(GuestMemory& memory, const Queue& queue, std::uint16_t head) {
  clear();
  head_ = head;
  const QueueError error = follow(memory, queue);
  if (error != QueueError::kNone) clear();
  return error;
}

namespace {

bool indirect_table_allowed(const Descriptor& descriptor) noexcept {
  return (descriptor.flags & kDescriptorNext) == 0 && descriptor.length != 0 &&
         descriptor.length % sizeof(Descriptor) == 0;
}

}  // namespace

QueueError DescriptorChain::follow(GuestMemory& memory, const Queue& queue) {
  const QueueLayout& layout = queue.layout();
  Table table{layout.descriptors, layout.size, layout.size, false};
  std::uint32_t index = head_;
  for (;;) {
    if (index >= table.count) return QueueError::kNextOutOfRange;
    if (table.budget-- == 0) return QueueError::kChainTooLong;
    const auto descriptor = table.load(memory, index);
    if (!descriptor) return QueueError::kRingOutsideMemory;

    if ((descriptor->flags & kDescriptorIndirect) != 0) {
      if (table.indirect || !queue.indirect_allowed() || !indirect_table_allowed(*descriptor)) {
        return QueueError::kBadIndirectTable;
      }
      table = {descriptor->address, descriptor->length / static_cast<std::uint32_t>(sizeof(Descriptor)),
               queue.max_size(), true};
      index = 0;
      continue;
    }
    const QueueError error =
        add(memory, descriptor->address, descriptor->length, (descriptor->flags & kDescriptorWrite) != 0);
    if (error != QueueError::kNone) return error;
    if ((descriptor->flags & kDescriptorNext) == 0) return QueueError::kNone;
    index = descriptor->next;
  }
}

QueueError DescriptorChain::add(GuestMemory& memory, std::uint64_t address, std::uint32_t length, bool writable) {
  if (!writable && saw_writable_) return QueueError::kReadableAfterWritable;
  saw_writable_ = writable;
  if (length == 0) return QueueError::kNone;  // nothing to give a device, and no address to check

  const auto host = memory.writable_view(Gpa(address), length);
  if (host.empty()) return QueueError::kBufferOutsideMemory;
  std::uint32_t& total = writable ? writable_bytes_ : readable_bytes_;
  const auto sum = checked_add(total, length);
  if (!sum) return QueueError::kTooManyBytes;
  total = *sum;
  buffers_.push_back({Gpa(address), host});
  if (!writable) ++readable_count_;
  return QueueError::kNone;
}

void append_slice(std::span<const ChainBuffer> buffers, std::uint64_t offset, std::uint64_t length,
                  std::vector<ChainBuffer>& out) {
  for (const ChainBuffer& buffer : buffers) {
    if (length == 0) return;
    if (offset >= buffer.host.size()) {
      offset -= buffer.host.size();
      continue;
    }
    const std::uint64_t count = std::min<std::uint64_t>(buffer.host.size() - offset, length);
    out.push_back({Gpa(buffer.address.value() + offset), buffer.host.subspan(offset, count)});
    offset = 0;
    length -= count;
  }
}

bool copy_from(std::span<const ChainBuffer> buffers, std::uint64_t offset, std::span<std::byte> into) noexcept {
  for (const ChainBuffer& buffer : buffers) {
    if (into.empty()) return true;
    if (offset >= buffer.host.size()) {
      offset -= buffer.host.size();
      continue;
    }
    const std::size_t count = std::min<std::size_t>(buffer.host.size() - offset, into.size());
    std::memcpy(into.data(), buffer.host.data() + offset, count);
    into = into.subspan(count);
    offset = 0;
  }
  return into.empty();
}

std::uint32_t copy_to(GuestMemory& memory, std::span<const ChainBuffer> buffers,
                      std::span<const std::byte> from) noexcept {
  std::uint32_t copied = 0;
  for (const ChainBuffer& buffer : buffers) {
    const std::size_t count = std::min(buffer.host.size(), from.size());
    if (count == 0) return copied;
    std::memcpy(buffer.host.data(), from.data(), count);
    memory.mark_dirty(buffer.address, count);
    from = from.subspan(count);
    copied += static_cast<std::uint32_t>(count);
  }
  return copied;
}

}  // namespace tintype
