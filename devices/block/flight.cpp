// SPDX-License-Identifier: Apache-2.0
#include "devices/block/flight.h"

#include <algorithm>

namespace tintype {

FlightIo& Flight::add_io(HostIo::Kind kind, BlockFile& file, std::uint64_t offset) {
  if (io_count == ios.size()) ios.emplace_back();
  FlightIo& io = ios[io_count++];
  io.kind = kind;
  io.fd = file.fd();
  io.offset = offset;
  io.segments.clear();
  io.first_segment = 0;
  io.error_number = 0;
  io.flight = this;
  io.file = &file;
  return io;
}

void Flight::reset(BlockRequest* new_request) noexcept {
  request = new_request;
  io_count = 0;
  outstanding = 0;
  error_number = 0;
  next = nullptr;
}

void slice_segments(const std::vector<iovec>& segments, std::uint64_t skip, std::uint64_t length, std::vector<iovec>& into) {
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
