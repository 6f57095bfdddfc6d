// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include "tests/support/bell_engine.h"
#include "vmm/base/event_fd.h"

namespace tintype {

/// A slow host disk that reorders: each transfer is handed to a real engine after a random time, and when that has done
/// it, it is kept back for another. So data lands at any moment, and lies there for a while before anyone is told.
class SlowEngine final : public BellEngine {
 public:
  using Duration = std::chrono::microseconds;

  /// A transfer takes from 0 to `longest` altogether, besides what `real` takes.
  SlowEngine(std::unique_ptr<IoEngine> real, Duration longest, std::uint64_t seed)
      : real_(std::move(real)), pick_(0, longest.count() / 2), random_(seed), thread_([this] { work(); }) {}
  ~SlowEngine() override {
    stop_.signal();
    thread_.join();
  }
  SlowEngine(const SlowEngine&) = delete;
  SlowEngine& operator=(const SlowEngine&) = delete;

  const char* name() const noexcept override { return "slow"; }
  void kick() noexcept override {
    const std::lock_guard lock(mutex_);
    for (HostIo* const io : std::exchange(queued_, {})) to_start_.emplace(random_time(), io);
    changed_.signal();
  }
  void kick_writes() noexcept override { kick(); }  // all is done by a thread that nobody waits for

 private:
  using Clock = std::chrono::steady_clock;
  using Timed = std::multimap<Clock::time_point, HostIo*>;

  Clock::time_point random_time() { return Clock::now() + Duration(pick_(random_)); }

  void work() noexcept {
    pollfd waits[] = {{stop_.fd(), POLLIN, 0}, {changed_.fd(), POLLIN, 0}, {real_->completion_fd(), POLLIN, 0}};
    for (;;) {
      const timespec patience = time_to_next();
      ::ppoll(waits, 3, &patience, nullptr);
      if ((waits[0].revents & POLLIN) != 0) return;
      changed_.take();
      real_->acknowledge();
      start_due();
      collect();
    }
  }

  timespec time_to_next() {
    const std::lock_guard lock(mutex_);
    auto next = Clock::now() + std::chrono::seconds(1);
    if (!to_start_.empty()) next = std::min(next, to_start_.begin()->first);
    if (!to_tell_.empty()) next = std::min(next, to_tell_.begin()->first);
    const auto left = std::max<std::int64_t>((next - Clock::now()).count(), 0);
    return {left / 1'000'000'000, left % 1'000'000'000};
  }
  static HostIo* take_due(Timed& list) {
    if (list.empty() || list.begin()->first > Clock::now()) return nullptr;
    return list.extract(list.begin()).mapped();
  }
  // Without the lock: the real engine may move data on the spot, and so wait for a page fault to be handled.
  void start_due() {
    for (;;) {
      HostIo* io = nullptr;
      {
        const std::lock_guard lock(mutex_);
        io = take_due(to_start_);
      }
      if (io == nullptr) break;
      real_->queue(*io);
    }
    real_->kick();
  }
  void collect() {
    while (HostIo* const io = real_->reap()) {
      const std::lock_guard lock(mutex_);
      to_tell_.emplace(random_time(), io);
    }
    real_->kick();  // what was continued
    const std::lock_guard lock(mutex_);
    while (HostIo* const io = take_due(to_tell_)) tell_finished(*io);
  }

  const std::unique_ptr<IoEngine> real_;
  EventFd changed_, stop_;
  // mutex_ guards everything below but the thread.
  std::uniform_int_distribution<std::int64_t> pick_;
  std::mt19937_64 random_;
  Timed to_start_, to_tell_;
  std::thread thread_;  ///< last, since it uses all of the above
};

}  // namespace tintype
