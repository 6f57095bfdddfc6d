// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/destination.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <thread>
#include <utility>

#include "vmm/base/thread.h"

namespace tintype {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kGlance = std::chrono::milliseconds(20);  ///< how often somebody who waits looks up

/// Room in the queue beyond what the threads are at, so that they need not wait for the next piece.
constexpr std::size_t kQueued = 2;

/// A small checkpoint should be over soon. In a large one nobody waits for these threads' share of the CPU, and they
/// must not hold up a vCPU that has just been released.
constexpr std::size_t kFewWorks = 4;
constexpr int kUrgent = -10;

}  // namespace

struct Destination::Item {
  std::function<void(Shared&)> work;
  bool alone = false;
  bool patient = false;

  void perform(Shared& shared) const {
    if (patient) {
      const ScopedPatience patience;
      return work(shared);
    }
    const ScopedNice urgent(kUrgent);
    work(shared);
  }
};

struct Destination::Shared {
  explicit Shared(const Cancellation& theirs) : cancellation(theirs) {}

  const Cancellation& cancellation;  ///< gone where somebody has given up, or is ending
  std::mutex mutex;                  // guards all below but the target
  std::condition_variable handed_over, changed;
  std::deque<Item> queue;
  bool failed = false;         ///< a work has: none that comes after it is begun
  std::exception_ptr failure;  ///< of the first that has; whoever hands work over has the last of it
  unsigned threads = 0;
  std::size_t busy = 0;                      ///< threads that are at a work
  bool alone = false;                        ///< one of them must stay the only one
  std::uint64_t done = 0;                    ///< works
  bool sealing = false;                      ///< the last work has been begun
  bool given_up = false;                     ///< it must not be begun any more
  bool ending = false;                       ///< no more work
  bool ended = false;                        ///< the target is gone
  std::unique_ptr<CheckpointTarget> target;  // theirs

  bool may_begin() const { return !queue.empty() && !alone && (busy == 0 || !queue.front().alone); }
  bool all_done() const { return queue.empty() && busy == 0; }
  std::size_t under_way() const { return queue.size() + busy; }

  static void serve(const std::shared_ptr<Shared>& shared) noexcept;
  void do_next(Lock& lock) noexcept;
  void drop_queue(Lock& lock) noexcept;
  void begin_sealing();
};

Destination::Destination(Open open, Work first, const Cancellation& cancellation, DestinationPatience patience,
                         unsigned threads)
    : cancellation_(cancellation),
      patience_(patience),
      threads_(threads),
      shared_(std::make_shared<Shared>(cancellation)) {
  try {
    const auto work = [open = std::move(open), first = std::move(first)](Shared& shared) {
      shared.target = open();
      first(*shared.target);
    };
    hand_over({work, true}, {});
    wait_until_done();
  } catch (...) {
    end();
    throw;
  }
}

Destination::~Destination() { end(); }

void Destination::put(Work work, const GuestWaits& guest_waits) {
  const bool patient = ++bulk_ > kFewWorks;
  hand_over({[work = std::move(work)](Shared& shared) { work(*shared.target); }, false, patient}, guest_waits);
}

void Destination::put_alone(Work work, const GuestWaits& guest_waits) {
  hand_over({[work = std::move(work)](Shared& shared) { work(*shared.target); }, true}, guest_waits);
}

void Destination::run(Work work) {
  put_alone(std::move(work));
  wait_until_done();
}

void Destination::finish(Work ready, Work seal) {
  const auto work = [ready = std::move(ready), seal = std::move(seal)](Shared& shared) {
    ready(*shared.target);
    shared.begin_sealing();
    seal(*shared.target);
  };
  hand_over({work, true}, {});
  wait_until_done();
}

void Destination::hand_over(Item item, const GuestWaits& guest_waits) {
  cancellation_.throw_if_requested();
  Lock lock(shared_->mutex);
  wait_until(
      lock, [room = threads_ + kQueued](const Shared& shared) { return shared.under_way() < room; }, guest_waits);
  if (shared_->under_way() >= shared_->threads && shared_->threads < threads_) add_thread(lock);
  shared_->queue.push_back(std::move(item));
  shared_->handed_over.notify_one();
}

void Destination::add_thread(Lock& lock) {
  ++shared_->threads;
  lock.unlock();
  try {
    std::thread([shared = shared_] { Shared::serve(shared); }).detach();
    lock.lock();
  } catch (...) {
    lock.lock();
    if (--shared_->threads == 0) {
      shared_->ended = true;
      throw;
    }
  }
}

void Destination::wait_until_done() {
  Lock lock(shared_->mutex);
  wait_until(lock, [](const Shared& shared) { return shared.all_done(); });
}

void Destination::wait_until(Lock& lock, const Condition& condition, const GuestWaits& guest_waits) {
  given_up_ = true;  // where this throws
  auto standing_since = Clock::now(), wanted_until = standing_since;
  std::uint64_t done = shared_->done;
  const auto ready = [&] { return shared_->failed || condition(*shared_); };
  while (!shared_->changed.wait_for(lock, kGlance, ready)) {
    const auto now = Clock::now();
    if (!cancellation_.requested()) wanted_until = now;
    const auto patience = shared_->sealing ? patience_.cancelled : std::chrono::milliseconds(0);
    if (cancellation_.requested() && now - wanted_until >= patience) {
      shared_->given_up = true;
      cancellation_.throw_if_requested();
    }
    if (!guest_waits || !guest_waits() || std::exchange(done, shared_->done) != shared_->done) standing_since = now;
    if (now - standing_since > patience_.guest) {
      throw Error(
          "the destination has taken nothing for {} s, and the guest waits for it: the checkpoint was given up; look "
          "at the destination, or choose another one",
          std::chrono::duration_cast<std::chrono::seconds>(patience_.guest).count());
    }
  }
  given_up_ = false;
  if (shared_->failure) std::rethrow_exception(shared_->failure);
}

void Destination::end() noexcept {
  Lock lock(shared_->mutex);
  if (shared_->threads == 0) return;
  shared_->ending = true;
  shared_->failure = nullptr;
  shared_->drop_queue(lock);
  shared_->handed_over.notify_all();
  auto last = Clock::now() + patience_.cancelled;
  while (!shared_->changed.wait_for(lock, kGlance, [this] { return shared_->ended; })) {
    if (!given_up_ && !cancellation_.requested()) last = Clock::now() + patience_.cancelled;
    if (Clock::now() > last) return;
  }
}

// ---- the threads ----

void Destination::Shared::serve(const std::shared_ptr<Shared>& shared) noexcept {
  name_this_thread("checkpoint-out");
  block_signals_in_this_thread();
  Lock lock(shared->mutex);
  for (;;) {
    shared->handed_over.wait(lock, [&] { return shared->ending || shared->may_begin(); });
    if (shared->ending) break;
    shared->do_next(lock);
  }
  if (--shared->threads != 0) return;
  lock.unlock();
  shared->target.reset();
  lock.lock();
  shared->ended = true;
  shared->changed.notify_all();
}

void Destination::Shared::do_next(Lock& lock) noexcept {
  Item item = std::move(queue.front());
  queue.pop_front();
  ++busy;
  alone = item.alone;
  if (may_begin()) handed_over.notify_one();
  lock.unlock();
  std::exception_ptr thrown;
  try {
    item.perform(*this);
  } catch (...) {
    thrown = std::current_exception();
  }
  item.work = nullptr;  // and what it owns
  lock.lock();
  if (thrown && !failed) failure = std::exchange(thrown, nullptr);
  failed = failed || failure;
  if (failed) drop_queue(lock);
  --busy;
  ++done;
  alone = false;
  if (may_begin()) handed_over.notify_all();
  changed.notify_all();
}

void Destination::Shared::drop_queue(Lock& lock) noexcept {
  std::deque<Item> dropped = std::exchange(queue, {});
  lock.unlock();
  dropped.clear();
  lock.lock();
}

// Somebody who has not given up is there to be asked whether it was cancelled.
void Destination::Shared::begin_sealing() {
  const std::lock_guard lock(mutex);
  if (given_up || ending) throw Cancelled("the checkpoint was cancelled");
  cancellation.throw_if_requested();
  sealing = true;
}

}  // namespace tintype
