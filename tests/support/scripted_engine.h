// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "devices/block/flight.h"
#include "tests/support/bell_engine.h"

namespace tintype {

/// A host disk that a test directs: what matches `hold` stays in flight until it is released, in whatever order, and
/// what `fail` gives an errno for fails with it. All else is done at once, on the thread that kicks. (A host disk that
/// is merely slow, and real otherwise: SlowEngine.)
///
/// `hold` and `fail` are set while nothing is being queued; everything else may be called from any thread.
class ScriptedEngine final : public BellEngine {
 public:
  std::function<bool(const HostIo&)> hold;
  std::function<int(const HostIo&)> fail;
  std::vector<HostIo::Kind> done;  ///< what has been done, in order; to be read while nothing is under way
  std::atomic<std::size_t> syncs = 0;

  const char* name() const noexcept override { return "scripted"; }
  void kick() noexcept override {
    while (HostIo* const io = next_queued([](const HostIo&) { return true; })) start(*io);
  }
  void kick_writes() noexcept override {
    while (HostIo* const io = next_queued([](const HostIo& queued) { return queued.kind != HostIo::Kind::kRead; }))
      start(*io);
  }

  std::size_t held() const {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  /// The data of a held transfer moves now, on this thread, though the host does not say that it has finished.
  void land(std::size_t index = 0) {
    HostIo* io = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(held_[index].landed, true)) return;
      io = held_[index].io;
    }
    move_data(*io);
  }
  /// A held transfer moves its data, if that has not landed already, and is finished.
  void release(std::size_t index = 0) {
    Held released;
    {
      const std::lock_guard lock(mutex_);
      released = held_[index];
      held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
    }
    if (released.landed) return finish(*released.io);
    run(*released.io);
  }
  void release_all() {
    hold = nullptr;
    while (held() != 0) release();
  }

 private:
  struct Held {
    HostIo* io = nullptr;
    bool landed = false;
  };

  HostIo* next_queued(bool (*wanted)(const HostIo&)) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(queued_.begin(), queued_.end(), [&](const HostIo* io) { return wanted(*io); });
    if (found == queued_.end()) return nullptr;
    HostIo* const io = *found;
    queued_.erase(found);
    return io;
  }
  void start(HostIo& io) noexcept {
    if (!hold || !hold(io)) return run(io);
    const std::lock_guard lock(mutex_);
    held_.push_back({&io});
  }
  // Without the lock: moving data may wait for a page fault to be handled.
  void run(HostIo& io) noexcept {
    move_data(io);
    finish(io);
  }
  void move_data(HostIo& io) noexcept {
    const int error_number = fail ? fail(io) : 0;
    if (error_number != 0 && io.settle(-error_number)) return;
    while (!io.settle(io.kind == HostIo::Kind::kSync ? 0 : io.perform())) {
    }
  }
  void finish(HostIo& io) noexcept {
    const std::lock_guard lock(mutex_);
    done.push_back(io.kind);
    if (io.kind == HostIo::Kind::kSync) ++syncs;
    tell_finished(io);
  }

  std::vector<Held> held_;
};

/// The layer that a host I/O of a disk goes to. (/proc/self/fd does not know the names of logs: they are
/// given one after they were opened.)
inline std::filesystem::path layer_of(const HostIo& io) { return static_cast<const FlightIo&>(io).file->path(); }

}  // namespace tintype
