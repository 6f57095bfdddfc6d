// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>

#include "devices/block/flight.h"
#include "devices/block/raw_file.h"
#include "devices/block/virtual_disk.h"

namespace tintype {

/// What tests turn.
struct DiskTuning {
  IoEngineKind engine = IoEngineKind::kAuto;
};

/// A virtual disk of one raw base image.
class StackedDisk final : public VirtualDisk {
 public:
  StackedDisk(const DiskOptions& options, const DiskTuning& tuning);
  ~StackedDisk() override;
  StackedDisk(const StackedDisk&) = delete;
  StackedDisk& operator=(const StackedDisk&) = delete;

  std::uint64_t size() const noexcept override { return base_->size(); }
  bool read_only() const noexcept override { return options_.read_only; }
  std::string serial() const override;
  void submit(BlockRequest& request) noexcept override;
  void kick() noexcept override { engine_->kick(); }
  int completion_fd() const noexcept override { return engine_->completion_fd(); }
  void complete() noexcept override;

  const DiskOptions& options() const noexcept override { return options_; }
  void prepare_switch() override;
  std::unique_ptr<FrozenDisk> switch_to_fresh_log() noexcept override;
  void cancel_switch() noexcept override;
  void start_fold(std::function<void(std::string error)> on_done) override;
  std::size_t log_count() const noexcept override { return 0; }
  void close() override;

 private:
  Flight& take_flight(BlockRequest& request);
  void launch(Flight& flight) noexcept;
  void plan(Flight& flight);
  void plan_flush(Flight& flight);
  void advance() noexcept;
  void io_finished(FlightIo& io) noexcept;
  void finish(Flight& flight) noexcept;
  void wait_for_flights();

  DiskOptions options_;
  std::shared_ptr<RawFile> base_;
  std::unique_ptr<IoEngine> engine_;

  mutable std::mutex mutex_;  ///< guards everything below
  std::vector<std::unique_ptr<Flight>> flights_;  ///< all there are
  std::vector<Flight*> idle_;
  std::size_t in_flight_ = 0;
  Flight* finished_first_ = nullptr;  ///< by the host; complete() tells their owners
  Flight* finished_last_ = nullptr;
};

}  // namespace tintype
