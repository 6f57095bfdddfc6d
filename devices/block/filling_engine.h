// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "devices/block/io_engine.h"
#include "vmm/base/absent_blocks.h"

namespace tintype {

/// Another engine, before which reads of an image wait until what they want is there, and syncs until there is a name
/// after a power cut for what they are to make durable. The rest goes straight through.
class FillingEngine final : public IoEngine {
 public:
  /// `make_lasting` returns when all files that are written to have their names for good, and throws what keeps them
  /// from that; it can be called again and again.
  FillingEngine(std::unique_ptr<IoEngine> engine, int image, std::shared_ptr<AbsentBlocks> absent,
                std::function<void()> make_lasting);
  ~FillingEngine() override;

  const char* name() const noexcept override { return engine_->name(); }
  void queue(HostIo& io) noexcept override;
  void kick() noexcept override { engine_->kick(); }
  void kick_writes() noexcept override { engine_->kick_writes(); }
  HostIo* reap() noexcept override;
  bool has_finished() noexcept override { return engine_->has_finished(); }
  int completion_fd() const noexcept override { return engine_->completion_fd(); }
  void acknowledge() noexcept override { engine_->acknowledge(); }
  void ring_bell() noexcept override { engine_->ring_bell(); }
  void ring_bell_after(std::chrono::milliseconds time) noexcept override { engine_->ring_bell_after(time); }

 private:
  bool waits(const HostIo& io) const noexcept;
  void work() noexcept;
  HostIo* next();
  void prepare(HostIo& io);

  const std::unique_ptr<IoEngine> engine_;
  const int image_;
  const std::shared_ptr<AbsentBlocks> absent_;
  const std::function<void()> make_lasting_;
  std::atomic<bool> lasts_ = false;
  std::mutex mutex_;  // guards the next
  std::condition_variable changed_;
  std::deque<HostIo*> waiting_, failed_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace tintype
