// SPDX-License-Identifier: Apache-2.0
#include "devices/block/flight.h"

#include <algorithm>

namespace tintype {

void Flight::reset(BlockRequest& new_request) noexcept {
  request = &new_request;
  const std::uint64_t length = is_zero() ? new_request.length : total_length(new_request.segments);
  range = {new_request.offset / kSectorSize, (new_request.offset + length) / kSectorSize};
  if (new_request.operation == BlockOperation::kFlush) range = {};
  part = {range.start, range.start};
  error_number = 0;
  again = false;
  next = nullptr;
  clear_plan();
}

void Flight::clear_plan() noexcept {
  no_room = false;
  is_absent = false;
  io_count = 0;
  outstanding = 0;
  growths.clear();
  records.clear();
  slots.clear();
  mirrored.clear();
  flush_points.clear();
  flush_stage = FlushStage::kSync;
  may_fail = false;
}

FlightIo& Flight::add_io(HostIo::Kind kind, BlockFile& file, std::uint64_t offset) {
  if (io_count == ios.size()) ios.emplace_back();
  FlightIo& io = ios[io_count++];
  io.kind = kind;
  io.fd = file.fd();
  io.offset = offset;
  io.segments.clear();
  io.first_segment = 0;
  io.error_number = 0;
  io.is_absent = false;
  io.flight = this;
  io.file = &file;
  return io;
}

void Flight::add_transfer(HostIo::Kind kind, const Piece& piece) {
  const std::uint64_t start = piece.range.start * kSectorSize;
  const std::uint64_t length = piece.range.count() * kSectorSize;
  FlightIo* io = io_count == 0 ? nullptr : &ios[io_count - 1];
  if (io == nullptr || io->file != piece.file || io->disk_end != start || io->file_end != piece.offset) {
    io = &add_io(kind, *piece.file, piece.offset);
  }
  slice_segments(request->segments, start - request->offset, length, io->segments);
  io->disk_end = start + length;
  io->file_end = piece.offset + length;
}

void Flight::add_zeros(const Piece& piece) {
  const std::uint64_t length = piece.range.count() * kSectorSize;
  FlightIo* io = io_count == 0 ? nullptr : &ios[io_count - 1];
  if (io == nullptr || io->file != piece.file || io->file_end != piece.offset) {
    io = &add_io(HostIo::Kind::kZero, *piece.file, piece.offset);
    io->length = 0;
    io->punches = request->may_unmap;
  }
  io->length += length;
  io->file_end = piece.offset + length;
}

void slice_segments(const std::vector<iovec>& segments, std::uint64_t skip, std::uint64_t length,
                    std::vector<iovec>& into) {
  for (const iovec& segment : segments) {
    if (length == 0) return;
    if (skip >= segment.iov_len) {
      skip -= segment.iov_len;
      continue;
    }
    const std::uint64_t taken = std::min<std::uint64_t>(segment.iov_len - skip, length);
    into.push_back({static_cast<char*>(segment.iov_base) + skip, taken});
    skip = 0;
    length -= taken;
  }
}

std::uint64_t total_length(const std::vector<iovec>& segments) noexcept {
  std::uint64_t sum = 0;
  for (const iovec& segment : segments) sum += segment.iov_len;
  return sum;
}

}  // namespace tintype
