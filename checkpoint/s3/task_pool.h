// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tintype {

/// A few threads that wait for an object store, made when there is work for them.
class TaskPool {
 public:
  using Task = std::function<void()>;

  explicit TaskPool(unsigned threads) : threads_wanted_(threads) {}
  ~TaskPool() { end(); }
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  /// Waits while as many wait as there are threads. Throws what a task before it has thrown.
  void put(Task task);
  /// The same, unless that would wait: then false.
  bool try_put(Task task);
  /// Tasks that have not been begun never are; waits for the others. Nothing is put any more.
  void end() noexcept;
  /// Until all are done. Throws what one of them has thrown.
  void wait();

  /// All of these, a few at the same time, in any order. Throws what one of them has thrown; others may be left out
  /// then.
  static void do_all(std::vector<Task> tasks);

 private:
  void add(Task task);
  void serve() noexcept;
  void throw_failure() const;

  const unsigned threads_wanted_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::deque<Task> queue_;
  std::size_t busy_ = 0;
  bool ending_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace tintype
