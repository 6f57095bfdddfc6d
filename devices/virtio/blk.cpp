// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/blk.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace tintype {

using namespace virtio;

namespace {

constexpr std::uint32_t kSegments = 254;  // with header and status a chain that fills the queue
constexpr std::uint32_t kSegmentBytes = 256 << 10;
static_assert(std::uint64_t{kSegments} * kSegmentBytes <= kBlkMaxData);

constexpr std::uint16_t kQueueSize = 256;
constexpr std::size_t kMostAtOnce = 1024;           // requests under way, of all queues
constexpr std::uint32_t kPhysicalBlock = 4096;      // of most file systems that images lie on
constexpr std::uint32_t kBestTransfer = 256 << 10;  // bytes, for a driver that can choose

BlkConfig make_config(const BlkLimits& limits, std::size_t queues) {
  BlkConfig config;
  config.capacity = limits.capacity / kSectorSize;
  config.size_max = kSegmentBytes;
  config.seg_max = kSegments;
  config.blk_size = limits.block_size;
  config.physical_block_exp = static_cast<std::uint8_t>(std::countr_zero(kPhysicalBlock / limits.block_size));
  config.min_io_size = static_cast<std::uint16_t>(kPhysicalBlock / limits.block_size);
  config.opt_io_size = kBestTransfer / limits.block_size;
  config.writeback = 1;
  config.num_queues = static_cast<std::uint16_t>(queues);
  config.max_discard_sectors = kBlkMaxDiscard;
  config.max_discard_seg = 1;
  config.discard_sector_alignment = kPhysicalBlock / kSectorSize;
  config.max_write_zeroes_sectors = kBlkMaxWriteZeroes;
  config.max_write_zeroes_seg = 1;
  config.write_zeroes_may_unmap = 1;
  return config;
}

/// Of any version.
VirtioBlkStateV2 state_from(const StateRecord& record) {
  if (record.version != VirtioBlkStateV1::kVersion) return from_record<VirtioBlkStateV2>(record);
  const auto [transport, capacity, read_only, serial] = from_record<VirtioBlkStateV1>(record);
  return {transport, capacity, read_only, serial, kSectorSize, true};
}

}  // namespace

VirtioBlk::VirtioBlk(BlockBackend& backend, std::size_t queues)
    : backend_(backend),
      queue_sizes_(queues, kQueueSize),
      serial_(backend.serial().substr(0, kBlkIdBytes)),
      limits_{backend.size(), backend.read_only(), backend.block_size()},
      config_(make_config(limits_, queues)),
      executor_(backend, std::min(queues * kQueueSize, kMostAtOnce), *this) {}

std::uint64_t VirtioBlk::features() const noexcept {
  const std::uint64_t all =
      kBlkSizeMax | kBlkSegMax | kBlkBlockSize | kBlkFlush | kBlkTopologyBit | kBlkConfigWriteback;
  return all | (queue_sizes_.size() > 1 ? kBlkMultiQueue : 0) |
         (limits_.read_only ? kBlkReadOnly : kBlkDiscardBit | kBlkWriteZeroesBit);
}

void VirtioBlk::activate(std::uint64_t negotiated) noexcept {
  negotiated_ = negotiated;
  choose_cache();
}

void VirtioBlk::reset() noexcept {
  negotiated_ = 0;
  config_.writeback = 1;
}

void VirtioBlk::write_config(std::uint64_t offset, std::span<const std::byte> data) noexcept {
  if (offset != offsetof(BlkConfig, writeback) || data.size() != 1) return;
  config_.writeback = data[0] == std::byte{0} ? 0 : 1;
  choose_cache();
}

// Who writes through takes a finished write for a lasting one (5.2.6.2): a driver that has said so, and one that does
// not know of FLUSH.
void VirtioBlk::choose_cache() noexcept {
  const bool says_so = (negotiated_ & kBlkConfigWriteback) != 0;
  executor_.set_write_through(says_so ? config_.writeback == 0 : (negotiated_ & kBlkFlush) == 0);
}

QueueError VirtioBlk::handle(std::uint16_t queue, const DescriptorChain& chain) noexcept {
  BlkExecutor::Slot& slot = executor_.next_slot();
  BlkCommand& command = slot.command;
  const QueueError error = parse_blk_request(chain, limits_, command);
  if (error != QueueError::kNone) return error;
  slot.queue = queue;
  slot.head = chain.head();
  if (traces(TraceKind::kVirtio)) trace_request(slot);
  if (command.action == BlkAction::kRefuse) {
    answer(slot, command.refusal, 0);
  } else if (command.action == BlkAction::kGetId) {
    answer_id(slot);
  } else if (command.length == 0 && command.action != BlkAction::kFlush) {
    answer(slot, kBlkOk, 0);  // nothing to move, and backends are not asked for nothing
  } else {
    executor_.start();
  }
  return QueueError::kNone;
}

void VirtioBlk::answer_id(const BlkExecutor::Slot& slot) noexcept {
  std::array<std::byte, kBlkIdBytes> id{};
  std::memcpy(id.data(), serial_.data(), serial_.size());
  answer(slot, kBlkOk, copy_to(host_->memory(), slot.command.data, std::span(id).first(slot.command.length)));
}

TraceLine VirtioBlk::trace_line(std::string_view what, const BlkExecutor::Slot& slot) const noexcept {
  TraceLine line(TraceKind::kVirtio, what);
  return line.text("device", host_->name()).number("queue", slot.queue).number("head", slot.head);
}

void VirtioBlk::trace_request(const BlkExecutor::Slot& slot) const noexcept {
  const BlkCommand& command = slot.command;
  TraceLine line = trace_line(name_of(command.action), slot);
  const bool has_place =
      command.action == BlkAction::kRead || command.action == BlkAction::kWrite || command.action == BlkAction::kZero;
  if (has_place) line.address("offset", command.offset).number("bytes", command.length);
  line.put();
}

void VirtioBlk::answer(const BlkExecutor::Slot& slot, std::uint8_t status, std::uint32_t data_written) noexcept {
  if (traces(TraceKind::kVirtio)) trace_line("answer", slot).number("status", status).put();
  (void)host_->memory().store(slot.command.status, status);  // walking the chain has shown that it is memory
  host_->give_back(slot.queue, slot.head, data_written + 1);
}

void VirtioBlk::finished(const BlkExecutor::Slot& slot, int error_number) noexcept {
  const bool has_data = slot.command.action == BlkAction::kRead && error_number == 0;
  answer(slot, error_number == 0 ? kBlkOk : kBlkIoError, has_data ? slot.command.length : 0);
}

void VirtioBlk::data_landed(const BlkCommand& command) noexcept {
  for (const ChainBuffer& buffer : command.data) host_->memory().mark_dirty(buffer.address, buffer.host.size());
}

StateRecord VirtioBlk::save(const VirtioMmioStateV1& transport) const {
  return to_record(VirtioBlkStateV2{transport, limits_.capacity, limits_.read_only, serial_, limits_.block_size,
                                    config_.writeback != 0});
}

void VirtioBlk::restore(const StateRecord& record) { config_.writeback = state_from(record).writeback ? 1 : 0; }

VirtioMmioStateV1 VirtioBlk::check_record(const StateRecord& record, std::string_view name) const {
  const auto [transport, capacity, read_only, serial, block_size, writeback] = state_from(record);
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
  if (block_size != limits_.block_size) {
    throw StateError(
        "{} had blocks of {} bytes when the machine was saved, but has blocks of {} now: give block-size={}", name,
        block_size, limits_.block_size, block_size);
  }
  return transport;
}

}  // namespace tintype
