// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace tintype {

/// Where vCPU threads park. close() asks them to; a thread that sees closed() finishes its exit and calls park().
///
/// Who calls what: close(), wait_until_parked() and open() belong to whoever pauses the machine (one at a time, the
/// machine sees to it); closed() and park() to the vCPU threads.
class PauseGate {
 public:
  explicit PauseGate(std::size_t threads) : threads_(threads) {}

  /// Nothing after let_go().
  void close() noexcept;
  bool closed() const noexcept { return closed_.load(std::memory_order_seq_cst); }

  /// Returns when every thread is parked (or has left for good), or while the machine stalls.
  void wait_until_parked();
  /// The machine stalls: some threads wait for memory and cannot park, the others shall. Nobody waits for all of them
  /// until that is over. Any thread.
  void stall(bool stalls) noexcept;
  /// Lets them go on, and returns when each has left the gate, or a stall has closed it again.
  void open();

  /// The same without waiting, and for good: for a machine that ends. Any thread.
  void let_go() noexcept;

  void park();
  /// For a thread that may not run though the gate is open: it counts as one that runs. Returns at an end, too.
  void wait_until_closed();
  /// A thread ends: it counts as parked from now on.
  void leave_for_good();

 private:
  bool all_in() const noexcept { return parked_ + gone_ == threads_; }

  const std::size_t threads_;
  std::atomic<bool> closed_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t parked_ = 0;  // guarded by mutex_, as is the rest
  std::size_t gone_ = 0;
  bool let_go_ = false;
  bool stalls_ = false;
};

}  // namespace tintype
