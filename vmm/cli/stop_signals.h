// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <thread>

#include "vmm/base/event_fd.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

/// SIGINT, SIGTERM and SIGHUP, kept from ending the process: blocked in the thread that makes this and in those that it
/// starts afterwards. So it comes before any other thread.
class StopSignals {
 public:
  StopSignals();
  int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
};

struct StopRequest {
  bool force = false;
  int sender = 0;  ///< the process that sent the signal; 0: the kernel
};

/// Reacts to them while a machine runs or works: the first asks it to end (its disks are closed), the second forces it,
/// the third ends the process on the spot. The signals have a thread, and the first, gentle stop another, because it
/// may take long.
class StopWatch {
 public:
  StopWatch(const StopSignals& signals, std::function<void(const StopRequest&)> stop);
  StopWatch(const StopWatch&) = delete;
  StopWatch& operator=(const StopWatch&) = delete;
  /// Waits for a stop that is under way.
  ~StopWatch();

 private:
  void run();
  void react(int signal_number, int count, int sender);
  void try_stop(const StopRequest& request) noexcept;

  const int signals_;
  const std::function<void(const StopRequest&)> stop_;
  EventFd end_;
  std::thread first_stop_;
  std::thread thread_;  ///< last: it uses all of the above
};

}  // namespace tintype
