// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/standby/callers.h"

#include <fcntl.h>

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <memory>

namespace tintype {

namespace {

/// So many shake hands at a time, and each has at least so long for it, though others wait.
constexpr std::ptrdiff_t kMostStrangers = 32;
constexpr std::chrono::milliseconds kFairTurn{250};

}  // namespace

Callers::~Callers() {
  for (Caller& caller : all_) end(caller);
}

void Callers::end(Caller& caller) {
  ::shutdown(caller.handle.get(), SHUT_RDWR);
  caller.thread.join();
}

bool Callers::make_room() {
  forget_finished();
  is_crowded_ = std::ranges::count_if(all_, &Caller::is_stranger) >= kMostStrangers;
  const auto oldest = std::ranges::find_if(all_, &Caller::is_stranger);
  if (!is_crowded_ || oldest == all_.end()) return true;
  if (Clock::now() - oldest->since < kFairTurn) return false;
  end(*oldest);
  all_.erase(oldest);
  return true;
}

void Callers::take(UniqueFd socket) {
  Caller& caller = all_.emplace_back(UniqueFd(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0)));
  caller.thread = std::thread([this, &caller, moved = std::make_shared<UniqueFd>(std::move(socket))] {
    serve_(std::move(*moved), caller.has_key);
    ::shutdown(caller.handle.get(), SHUT_RDWR);  // for the handle keeps the connection
    caller.over = true;
  });
}

void Callers::forget_finished() {
  all_.remove_if([](Caller& caller) {
    if (!caller.over) return false;
    caller.thread.join();
    return true;
  });
}

}  // namespace tintype
