// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>

#include "devices/block/backend.h"
#include "devices/block/block_file.h"
#include "devices/block/io_engine.h"

namespace tintype {

struct Flight;

/// One host I/O of a request in flight.
struct FlightIo : HostIo {
  Flight* flight = nullptr;
  BlockFile* file = nullptr;
  std::uint64_t covers = 0;  ///< of a kSync: BlockFile::written() when it was queued
};

/// A request on its way through the layers. Reused from request to request, so that in steady state nothing is allocated.
struct Flight {
  BlockRequest* request = nullptr;
  std::deque<FlightIo> ios;      ///< a deque, because host I/O in flight must not move
  std::size_t io_count = 0;      ///< how many of them this request uses
  std::size_t outstanding = 0;   ///< how many have not finished
  int error_number = 0;          ///< the first failure
  Flight* next = nullptr;        ///< in the list of finished ones

  FlightIo& add_io(HostIo::Kind kind, BlockFile& file, std::uint64_t offset);
  void reset(BlockRequest* new_request) noexcept;
};

/// Appends to `into` the part of `segments` that begins `skip` bytes in and is `length` bytes long.
void slice_segments(const std::vector<iovec>& segments, std::uint64_t skip, std::uint64_t length, std::vector<iovec>& into);

/// Bytes in all segments.
std::uint64_t total_length(const std::vector<iovec>& segments) noexcept;

}  // namespace tintype
