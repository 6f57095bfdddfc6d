// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/blk.h"

#include <algorithm>
#include <cstring>

namespace tintype {

using namespace virtio;

namespace {

constexpr std::uint32_t kSegments = 254;  // with header and status a chain that fills the queue
constexpr std::uint32_t kSegmentBytes = 256 << 10;
static_assert(std::uint64_t{kSegments} * kSegmentBytes <= kBlkMaxData);

BlkConfig make_config(const BlkLimits& limits) {
  BlkConfig config;
  config.capacity = limits.capacity / kSectorSize;
  config.size_max = kSegmentBytes;
  config.seg_max = kSegments;
  config.blk_size = kSectorSize;
  config.num_queues = 1;
  return config;
}

}  // namespace

VirtioBlk::VirtioBlk(BlockBackend& backend)
    : backend_(backend),
      serial_(backend.serial().substr(0, kBlkIdBytes)),
      limits_{backend.size(), backend.read_only()},
      config_(make_config(limits_)),
      executor_(backend, kQueueSizes[0], *this) {}

std::uint64_t VirtioBlk::features() const noexcept {
  return kBlkSizeMax | kBlkSegMax | kBlkBlockSize | kBlkFlush | (limits_.read_only ? kBlkReadOnly : 0);
}

// A driver that does not know FLUSH takes a finished write for a lasting one (5.2.6.2).
void VirtioBlk::activate(std::uint64_t negotiated) noexcept {
  executor_.set_write_through((negotiated & kBlkFlush) == 0);
}

QueueError VirtioBlk::handle(std::uint16_t, const DescriptorChain& chain) noexcept {
  BlkExecutor::Slot& slot = executor_.next_slot();
  BlkCommand& command = slot.command;
  const QueueError error = parse_blk_request(chain, limits_, command);
  if (error != QueueError::kNone) return error;
  slot.tag = chain.head();
  if (command.action == BlkAction::kRefuse) {
    answer(command, chain.head(), command.refusal, 0);
  } else if (command.action == BlkAction::kGetId) {
    answer_id(command, chain.head());
  } else if (command.length == 0 && command.action != BlkAction::kFlush) {
    answer(command, chain.head(), kBlkOk, 0);  // nothing to move, and backends are not asked for nothing
  } else {
    executor_.start();
  }
  return QueueError::kNone;
}

void VirtioBlk::answer_id(const BlkCommand& command, std::uint16_t head) noexcept {
  std::array<std::byte, kBlkIdBytes> id{};
  std::memcpy(id.data(), serial_.data(), serial_.size());
  const std::uint32_t written = copy_to(host_->memory(), command.data, std::span(id).first(command.length));
  answer(command, head, kBlkOk, written);
}

void VirtioBlk::answer(const BlkCommand& command, std::uint16_t head, std::uint8_t status,
                       std::uint32_t data_written) noexcept {
  (void)host_->memory().store(command.status, status);  // walking the chain has shown that it is memory
  host_->give_back(0, head, data_written + 1);
}

void VirtioBlk::finished(const BlkExecutor::Slot& slot, int error_number) noexcept {
  const BlkCommand& command = slot.command;
  const bool has_data = command.action == BlkAction::kRead && error_number == 0;
  answer(command, static_cast<std::uint16_t>(slot.tag), error_number == 0 ? kBlkOk : kBlkIoError,
         has_data ? command.length : 0);
}

void VirtioBlk::data_landed(const BlkCommand& command) noexcept {
  for (const ChainBuffer& buffer : command.data) host_->memory().mark_dirty(buffer.address, buffer.host.size());
}

StateRecord VirtioBlk::save(const VirtioMmioStateV1& transport) const {
  return to_record(VirtioBlkStateV1{transport, limits_.capacity, limits_.read_only, serial_});
}

VirtioMmioStateV1 VirtioBlk::check_record(const StateRecord& record, std::string_view name) const {
  const auto [transport, capacity, read_only, serial] = from_record<VirtioBlkStateV1>(record);
  if (capacity != limits_.capacity) {
    throw StateError(
        "{} was a disk of {} bytes when the machine was saved, but the one given now has {}: give the disk "
        "of that checkpoint",
        name, capacity, limits_.capacity);
  }
  if (read_only != limits_.read_only) {
    throw StateError("{} was {} when the machine was saved: give it in the same way again", name,
                     read_only ? "read-only" : "writable");
  }
  if (serial != serial_) {
    throw StateError(
        "{} had the serial number '{}' when the machine was saved, but has '{}' now: give it with serial={}", name,
        serial, serial_, serial);
  }
  return transport;
}

}  // namespace tintype
