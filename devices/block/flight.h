// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "devices/block/backend.h"
#include "devices/block/io_engine.h"
#include "devices/block/layer_stack.h"

namespace tintype {

struct Flight;

/// One host I/O of a request in flight.
struct FlightIo : HostIo {
  Flight* flight = nullptr;
  BlockFile* file = nullptr;
  std::uint64_t disk_end = 0;  ///< bytes: where on the disk the transfer ends
  std::uint64_t file_end = 0;  ///< bytes: where in the file it ends
  std::uint64_t covers = 0;    ///< of a kSync: BlockFile::written() when it was queued
  std::uint64_t sync_number = 0;
  std::uint64_t last_sync = 0;  ///< the last one that had begun when this one ended
};

/// A request on its way through the layers. A write to a log has two stages: its data, and then the records
/// that tell where the data lies. Reused from request to request, so that in steady state nothing is
/// allocated.
struct Flight {
  BlockRequest* request = nullptr;
  SectorRange range;
  SectorRange part;                         ///< of the range, worked on in this stage
  std::uint64_t epoch = 0;                  ///< the disk's, when the request was planned
  std::shared_ptr<const LayerStack> stack;  ///< keeps the layers that the request uses
  int error_number = 0;                     ///< the first failure
  bool no_room = false;                     ///< a log could not take what was to be written
  bool is_absent = false;                   ///< what it wants is not there yet, and cannot come now
  bool again = false;                       ///< it has waited: this part is to be done once more
  bool may_fail = false;                    ///< of a flush that failed and waited: the guest may be told
  Flight* next = nullptr;                   ///< in the list of finished ones

  std::deque<FlightIo> ios;     ///< a deque, because host I/O in flight must not move
  std::size_t io_count = 0;     ///< how many of them this stage uses
  std::size_t outstanding = 0;  ///< how many have not finished

  /// Of a flush: a log, and up to where its records are to be marked as flushed.
  struct FlushPoint {
    RedoLog* log = nullptr;
    std::uint64_t records_end = 0;
    std::uint64_t records = 0;  ///< how many there are below
    std::uint64_t slot = 0;
  };
  enum class FlushStage : std::uint8_t { kSync, kMark, kSyncMarks, kNote };
  FlushStage flush_stage = FlushStage::kSync;
  std::vector<FlushPoint> flush_points;

  /// What a log is to hold when the data has landed: it needs a record to say so.
  struct Growth : RedoLog::Run {
    RedoLog* log = nullptr;
  };
  std::vector<Growth> growths;
  std::vector<log_format::Record> records;  ///< of `growths`; empty in the first stage
  std::vector<std::uint64_t> slots;         ///< of `records`
  std::vector<SectorRange> mirrored;        ///< written to log and base both
  std::vector<Piece> pieces;                ///< scratch, as is the next
  std::vector<RedoLog::Place> places;

  bool is_write() const noexcept { return request->operation == BlockOperation::kWrite || is_zero(); }
  bool is_flush() const noexcept { return request->operation == BlockOperation::kFlush; }
  bool is_zero() const noexcept { return request->operation == BlockOperation::kZero; }
  /// A flush by which the host has lost data, and not one that merely could not be done.
  bool has_lost_writes() const noexcept { return is_flush() && error_number != 0 && !is_absent && !no_room; }

  void reset(BlockRequest& new_request) noexcept;
  /// Forgets the host I/O of the stage before.
  void clear_plan() noexcept;
  FlightIo& add_io(HostIo::Kind kind, BlockFile& file, std::uint64_t offset);
  /// A transfer of `piece` of the request. Continues the I/O before it where it goes on at the same place in
  /// the same file.
  void add_transfer(HostIo::Kind kind, const Piece& piece);
  /// Zeros, for a request that wants them; likewise.
  void add_zeros(const Piece& piece);
};

/// Appends to `into` the part of `segments` that begins `skip` bytes in and is `length` bytes long.
void slice_segments(const std::vector<iovec>& segments, std::uint64_t skip, std::uint64_t length,
                    std::vector<iovec>& into);

/// Bytes in all segments.
std::uint64_t total_length(const std::vector<iovec>& segments) noexcept;

}  // namespace tintype
