// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/destination.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "vmm/base/thread.h"

namespace tintype {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kGlance = std::chrono::milliseconds(20);  ///< how often somebody who waits looks up

}  // namespace

struct Destination::Shared {
  std::mutex mutex;  // guards all below but the target
  std::condition_variable changed;
  std::function<void(Shared&)> work;
  std::exception_ptr failure;
  bool busy = false;    ///< from hand_over() until the work is done
  bool ending = false;  ///< no more work
  bool ended = false;
  std::unique_ptr<CheckpointTarget> target;  // the thread's
};

Destination::Destination(Open open, const Cancellation& cancellation, DestinationPatience patience)
    : cancellation_(cancellation), patience_(patience), shared_(std::make_shared<Shared>()) {
  std::thread([shared = shared_] { serve(shared); }).detach();
  try {
    hand_over([open = std::move(open)](Shared& shared) { shared.target = open(); }, {});
  } catch (...) {
    end();
    throw;
  }
}

Destination::~Destination() { end(); }

void Destination::run(Work work, const std::function<bool()>& guest_waits) {
  hand_over([work = std::move(work)](Shared& shared) { work(*shared.target); }, guest_waits);
}

void Destination::finish(Work work) {
  hand_over([work = std::move(work)](Shared& shared) { work(*shared.target); }, {}, patience_.cancelled);
}

void Destination::hand_over(std::function<void(Shared&)> work, const std::function<bool()>& guest_waits,
                            std::chrono::milliseconds when_cancelled) {
  cancellation_.throw_if_requested();
  std::unique_lock lock(shared_->mutex);
  shared_->work = std::move(work);
  shared_->busy = true;
  shared_->changed.notify_all();
  auto standing_since = Clock::now(), wanted_until = standing_since;
  while (!shared_->changed.wait_for(lock, kGlance, [this] { return !shared_->busy; })) {
    if (!cancellation_.requested()) wanted_until = Clock::now();
    if (Clock::now() - wanted_until >= when_cancelled) cancellation_.throw_if_requested();
    if (!guest_waits || !guest_waits()) standing_since = Clock::now();
    if (Clock::now() - standing_since > patience_.guest) {
      throw Error(
          "the destination has taken nothing for {} s, and the guest waits for it: the checkpoint was given up; look "
          "at the destination, or choose another one",
          std::chrono::duration_cast<std::chrono::seconds>(patience_.guest).count());
    }
  }
  if (shared_->failure) std::rethrow_exception(std::exchange(shared_->failure, nullptr));
}

void Destination::end() noexcept {
  std::unique_lock lock(shared_->mutex);
  shared_->ending = true;
  shared_->changed.notify_all();
  const bool given_up = shared_->busy;
  auto last = Clock::now() + patience_.cancelled;
  while (!shared_->changed.wait_for(lock, kGlance, [this] { return shared_->ended; })) {
    if (!given_up && !cancellation_.requested()) last = Clock::now() + patience_.cancelled;
    if (Clock::now() > last) return;
  }
}

// Nobody waits for this thread's share of the CPU, and it must not hold up a vCPU that has just been released.
void Destination::serve(const std::shared_ptr<Shared>& shared) noexcept {
  name_this_thread("checkpoint-out");
  block_signals_in_this_thread();
  const ScopedNice patient(10);
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->changed.wait(lock, [&] { return shared->busy || shared->ending; });
    if (!shared->busy) break;
    auto work = std::exchange(shared->work, nullptr);
    lock.unlock();
    std::exception_ptr failure;
    try {
      work(*shared);
    } catch (...) {
      failure = std::current_exception();
    }
    work = nullptr;  // and what it owns
    lock.lock();
    shared->failure = failure;
    shared->busy = false;
    shared->changed.notify_all();
  }
  lock.unlock();
  shared->target.reset();
  lock.lock();
  shared->ended = true;
  shared->changed.notify_all();
}

}  // namespace tintype
