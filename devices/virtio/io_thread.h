// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "devices/virtio/device_lock.h"
#include "devices/virtio/poll_window.h"
#include "vmm/base/event_fd.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

/// The thread of one device: sleeps until one of its descriptors is readable, then works with the device's
/// lock held. Before it sleeps again it looks for more work for a while, where the device can be looked at and the
/// host has CPUs to spare. All signals are blocked in it.
class IoThread {
 public:
  /// A descriptor to wait for, and what to do about it (in particular: make it unreadable again).
  struct Source {
    int fd = -1;
    std::function<void()> serve;
  };
  /// Work that is found by looking, with the lock held. Without `look` there is none.
  struct Polling {
    std::function<bool()> look;  ///< does what there is to do; false where there was nothing
    std::function<void()> rest;  ///< from now on descriptors must tell, and of what came since look() as well
  };

  /// Starts at once. `after_batch` is called once after the sources that were ready together, under the same
  /// hold of the lock. The lock and everything the functions touch must outlive the object.
  IoThread(std::string name, DeviceLock& lock, std::vector<Source> sources, std::function<void()> after_batch,
           Polling polling = {});
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;
  /// Stops and joins. The device must not be frozen, for the thread may be waiting for its lock.
  ~IoThread();

 private:
  using Clock = std::chrono::steady_clock;

  void run() noexcept;
  bool serve_descriptors(bool may_sleep) noexcept;
  bool look_for_work() noexcept;
  void rest() noexcept;
  void found_work() noexcept;
  void watch(int fd, std::uint32_t source);

  const std::string name_;
  DeviceLock& lock_;
  const std::vector<Source> sources_;
  const std::function<void()> after_batch_;
  UniqueFd epoll_;
  EventFd stop_;
  const Polling polling_;
  PollWindow window_;
  Clock::time_point idle_since_ = Clock::now();
  std::thread thread_;  ///< last, since it uses all of the above
};

}  // namespace tintype
