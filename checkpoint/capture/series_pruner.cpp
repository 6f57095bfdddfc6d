// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/series_pruner.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "checkpoint/capture/cancellation.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/tidy.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPrunerLookUp = std::chrono::milliseconds(20);   ///< how often somebody who waits looks up
constexpr auto kHostPatience = std::chrono::milliseconds(500);  ///< with a host that does not answer

}  // namespace

struct SeriesPruner::Shared {
  explicit Shared(Remove how) : remove(std::move(how)) {}

  const Remove remove;
  std::mutex mutex;  // guards all below
  std::condition_variable asked, changed;
  Ids waiting;             ///< not begun
  Ids under_way;           ///< being deleted
  Ids failed;              ///< tried again with the next ones
  bool finishing = false;  ///< the thread ends when nothing waits any more
  bool stopping = false;   ///< and at once
  bool ended = false;      ///< it has
  std::string problem;     ///< what was said last

  static void serve(const std::shared_ptr<Shared>& shared) noexcept;
  void delete_all(std::unique_lock<std::mutex>& lock) noexcept;
  std::string try_to_delete(const Ids& ids) noexcept;
  void throw_if_stopping();
};

SeriesPruner::SeriesPruner(Remove remove) : shared_(std::make_shared<Shared>(std::move(remove))) {
  std::thread([shared = shared_] { Shared::serve(shared); }).detach();
}

SeriesPruner::~SeriesPruner() {
  wait_for_end([] { return true; });
}

void SeriesPruner::remove(std::uint64_t id) {
  const std::lock_guard lock(shared_->mutex);
  shared_->waiting.push_back(id);
  shared_->asked.notify_one();
}

std::size_t SeriesPruner::backlog() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->waiting.size() + shared_->under_way.size();
}

SeriesPruner::Ids SeriesPruner::finish(const std::function<bool()>& cancelled) {
  wait_for_end(cancelled);
  const std::lock_guard lock(shared_->mutex);
  Ids left = shared_->failed;
  for (const Ids* more : {&shared_->under_way, &shared_->waiting}) left.insert(left.end(), more->begin(), more->end());
  return left;
}

void SeriesPruner::wait_for_end(const std::function<bool()>& stop) {
  std::unique_lock lock(shared_->mutex);
  shared_->finishing = true;
  shared_->asked.notify_one();
  auto last = Clock::time_point::max();
  while (!shared_->changed.wait_for(lock, kPrunerLookUp, [this] { return shared_->ended; })) {
    if (last == Clock::time_point::max() && stop()) {
      shared_->stopping = true;
      last = Clock::now() + kHostPatience;
    }
    if (Clock::now() > last) return;
  }
}

// ---- the thread ----

void SeriesPruner::Shared::serve(const std::shared_ptr<Shared>& shared) noexcept {
  name_this_thread("series-pruner");
  block_signals_in_this_thread();
  const ScopedPatience patience;
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->asked.wait(lock, [&] { return shared->finishing || !shared->waiting.empty(); });
    if (shared->stopping || shared->waiting.empty()) break;
    shared->delete_all(lock);
  }
  shared->ended = true;
  shared->changed.notify_all();
}

void SeriesPruner::Shared::delete_all(std::unique_lock<std::mutex>& lock) noexcept {
  under_way = std::exchange(failed, {});
  under_way.insert(under_way.end(), waiting.begin(), waiting.end());
  waiting.clear();
  const Ids ids = under_way;
  lock.unlock();
  const std::string why_not = try_to_delete(ids);
  lock.lock();
  under_way.clear();
  if (!why_not.empty()) failed = ids;
  if (!stopping && !why_not.empty() && why_not != problem) log_note("old checkpoints are not deleted: {}", why_not);
  problem = why_not;
}

/// Empty where they are gone.
std::string SeriesPruner::Shared::try_to_delete(const Ids& ids) noexcept {
  try {
    remove(ids, [this](const Progress&) { throw_if_stopping(); });
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

void SeriesPruner::Shared::throw_if_stopping() {
  const std::lock_guard lock(mutex);
  if (stopping) throw Cancelled("nothing is deleted any more");
}

namespace {

/// What is not merged now is merged another time: nothing is left that should be gone.
std::string try_to_merge(CheckpointStore& store, const ProgressSink& progress) {
  try {
    tidy_chains(store, progress);
  } catch (const Cancelled&) {
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

}  // namespace

// The store stays open, and what was read of its manifests known, unless something went wrong with it.
SeriesPruner::Remove remove_from(const std::string& repository) {
  return [repository, known = std::make_shared<KnownManifests>(), store = std::shared_ptr<CheckpointStore>(),
          said = std::string()](const SeriesPruner::Ids& ids, const ProgressSink& progress) mutable {
    auto used = std::exchange(store, nullptr);
    if (!used) used = open_store(repository, known);
    used->remove_all(ids, progress);
    const std::string problem = try_to_merge(*used, progress);
    if (!problem.empty() && problem != said) log_note("deleted checkpoints are not merged: {}", problem);
    if ((said = problem).empty()) store = std::move(used);
  };
}

}  // namespace tintype
