// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <thread>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// Those who have called, each served on a thread of its own. Who calls is a stranger until he has shown the key; of
/// too many strangers the oldest has to go, when he has had his turn: whatever they do, they cannot keep out who comes
/// after them. One thread, but for what `serve` does; the end ends them all.
class Callers {
 public:
  /// Throws nothing. Says by `has_key` when he has shown it.
  using Serve = std::function<void(UniqueFd socket, std::atomic<bool>& has_key)>;
  explicit Callers(Serve serve) : serve_(std::move(serve)) {}
  ~Callers();
  Callers(const Callers&) = delete;
  Callers& operator=(const Callers&) = delete;

  /// For one more. False where there are too many strangers, and each still has his turn.
  bool make_room();
  void take(UniqueFd socket);
  /// When there was to be room last, strangers kept those with a key waiting.
  bool is_crowded() const noexcept { return is_crowded_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Caller {
    explicit Caller(UniqueFd socket) : handle(std::move(socket)) {}
    const UniqueFd handle;  ///< of his socket, to end it by
    const Clock::time_point since = Clock::now();
    std::atomic<bool> has_key = false, over = false;
    std::thread thread{};
    bool is_stranger() const noexcept { return !has_key && !over; }
  };
  void forget_finished();
  static void end(Caller& caller);

  const Serve serve_;
  std::list<Caller> all_;
  bool is_crowded_ = false;
};

}  // namespace tintype
