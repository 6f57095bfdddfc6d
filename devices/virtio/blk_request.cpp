// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/blk_request.h"

#include "devices/block/backend.h"
#include "devices/virtio/spec.h"
#include "vmm/base/overflow.h"

namespace tintype {

using namespace virtio;

namespace {

void refuse(BlkCommand& command, std::uint8_t status) {
  command.action = BlkAction::kRefuse;
  command.refusal = status;
  command.data.clear();
  command.length = 0;
}

bool range_is_valid(std::uint64_t sector, std::uint64_t length, const BlkLimits& limits) {
  const auto offset = checked_multiply(sector, kSectorSize);
  return offset && *offset % limits.block_size == 0 && length % limits.block_size == 0 &&
         range_fits(*offset, length, limits.capacity);
}

void parse_transfer(const BlkHeader& header, const DescriptorChain& chain, const BlkLimits& limits,
                    BlkCommand& command) {
  const bool write = header.type == kBlkOut;
  const std::uint32_t length =
      write ? chain.readable_bytes() - static_cast<std::uint32_t>(sizeof header) : chain.writable_bytes() - 1;
  if (length > kBlkMaxData || !range_is_valid(header.sector, length, limits) || (write && limits.read_only))
    return refuse(command, kBlkIoError);
  command.action = write ? BlkAction::kWrite : BlkAction::kRead;
  command.offset = header.sector * kSectorSize;
  command.length = length;
  append_slice(write ? chain.readable() : chain.writable(), write ? sizeof header : 0, length, command.data);
}

// One segment, as the configuration space says. A discard reads as zeros afterwards: the standard leaves that open, but
// a disk that shows one thing now and another after a restore would be no disk.
void parse_zero(const BlkHeader& header, const DescriptorChain& chain, const BlkLimits& limits, BlkCommand& command) {
  BlkZeroSegment segment;
  const bool discard = header.type == kBlkDiscard;
  if (chain.readable_bytes() != sizeof header + sizeof segment ||
      !copy_from(chain.readable(), sizeof header, std::as_writable_bytes(std::span(&segment, 1)))) {
    return refuse(command, kBlkIoError);
  }
  if ((segment.flags & ~(discard ? 0 : kBlkUnmap)) != 0) return refuse(command, kBlkUnsupported);
  const std::uint64_t length = segment.num_sectors * kSectorSize;
  if (limits.read_only || segment.num_sectors > (discard ? kBlkMaxDiscard : kBlkMaxWriteZeroes) ||
      !range_is_valid(segment.sector, length, limits)) {
    return refuse(command, kBlkIoError);
  }
  command.action = BlkAction::kZero;
  command.offset = segment.sector * kSectorSize;
  command.length = static_cast<std::uint32_t>(length);
  command.may_unmap = discard || segment.flags == kBlkUnmap;
}

void parse_get_id(const DescriptorChain& chain, BlkCommand& command) {
  command.action = BlkAction::kGetId;
  command.length = std::min<std::uint32_t>(chain.writable_bytes() - 1, kBlkIdBytes);
  append_slice(chain.writable(), 0, command.length, command.data);
}

}  // namespace

QueueError parse_blk_request(const DescriptorChain& chain, const BlkLimits& limits, BlkCommand& command) {
  BlkHeader header;
  if (!copy_from(chain.readable(), 0, std::as_writable_bytes(std::span(&header, 1))) || chain.writable_bytes() == 0) {
    return QueueError::kMalformedRequest;
  }
  static_assert(std::uint64_t{kBlkMaxDiscard} * kSectorSize <= ~std::uint32_t{0});
  const ChainBuffer& last = chain.writable().back();
  command.status = Gpa(last.address.value() + last.host.size() - 1);
  command.data.clear();
  command.length = 0;
  switch (header.type) {
    case kBlkIn:
    case kBlkOut:
      parse_transfer(header, chain, limits, command);
      break;
    case kBlkDiscard:
    case kBlkWriteZeroes:
      parse_zero(header, chain, limits, command);
      break;
    case kBlkFlushRequest:
      command.action = BlkAction::kFlush;
      break;
    case kBlkGetId:
      parse_get_id(chain, command);
      break;
    default:
      refuse(command, kBlkUnsupported);
      break;
  }
  return QueueError::kNone;
}

}  // namespace tintype
