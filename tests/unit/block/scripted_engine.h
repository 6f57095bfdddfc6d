// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <sys/uio.h>

#include <cerrno>
#include <deque>
#include <functional>
#include <vector>

#include "devices/block/flight.h"
#include "vmm/base/event_fd.h"

namespace tintype {

/// Host I/O that a test directs: what matches `hold` stays in flight until it is released, and what `fail`
/// gives an errno for fails with it. All else is done at once, on the thread that kicks. For tests of one
/// thread, as far as requests go.
class ScriptedEngine final : public IoEngine {
 public:
  std::function<bool(const HostIo&)> hold;
  std::function<int(const HostIo&)> fail;
  std::vector<HostIo::Kind> done;  ///< what has been done, in order
  std::size_t syncs = 0;

  const char* name() const noexcept override { return "scripted"; }
  void queue(HostIo& io) noexcept override { queued_.push_back(&io); }
  void kick() noexcept override {
    while (!queued_.empty()) {
      HostIo& io = *queued_.front();
      queued_.pop_front();
      if (hold && hold(io)) {
        held_.push_back(&io);
      } else {
        run(io);
      }
    }
  }
  HostIo* reap() noexcept override {
    if (finished_.empty()) return nullptr;
    HostIo* const io = finished_.front();
    finished_.pop_front();
    return io;
  }
  int completion_fd() const noexcept override { return bell_.fd(); }
  void acknowledge() noexcept override { bell_.take(); }
  void ring_bell() noexcept override { bell_.signal(); }

  std::size_t held() const { return held_.size(); }
  void release(std::size_t index = 0) {
    HostIo& io = *held_[index];
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
    run(io);
  }
  void release_all() {
    hold = nullptr;
    while (!held_.empty()) release();
  }

 private:
  void run(HostIo& io) noexcept {
    const int error_number = fail ? fail(io) : 0;
    if (error_number != 0) {
      io.settle(-error_number);
    } else {
      while (!io.settle(transfer(io))) {
      }
    }
    done.push_back(io.kind);
    if (io.kind == HostIo::Kind::kSync) ++syncs;
    finished_.push_back(&io);
    bell_.signal();
  }

  static std::int64_t transfer(HostIo& io) noexcept {
    const auto count = static_cast<int>(io.remaining_count());
    const auto offset = static_cast<off_t>(io.offset);
    std::int64_t result = 0;
    if (io.kind == HostIo::Kind::kRead) result = ::preadv(io.fd, io.remaining(), count, offset);
    if (io.kind == HostIo::Kind::kWrite) result = ::pwritev(io.fd, io.remaining(), count, offset);
    return result < 0 ? -errno : result;
  }

  EventFd bell_;
  std::deque<HostIo*> queued_;
  std::vector<HostIo*> held_;
  std::deque<HostIo*> finished_;
};

/// The layer that a host I/O of a disk goes to. (/proc/self/fd does not know the names of logs: they are
/// given one after they were opened.)
inline std::filesystem::path layer_of(const HostIo& io) { return static_cast<const FlightIo&>(io).file->path(); }

}  // namespace tintype
