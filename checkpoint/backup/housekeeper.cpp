// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/housekeeper.h"

#include "checkpoint/store/checkpoint_store.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {
namespace {

constexpr std::chrono::seconds kPause{1};

}  // namespace

Housekeeper::Housekeeper(std::filesystem::path repository, PruneOptions options, std::function<bool()> may)
    : repository_(std::move(repository)),
      options_(std::move(options)),
      may_(std::move(may)),
      thread_([this] { work(); }) {}

Housekeeper::~Housekeeper() {
  stop();
  thread_.join();
}

void Housekeeper::ask() {
  const std::lock_guard lock(mutex_);
  asked_ = true;
  changed_.notify_all();
}

void Housekeeper::stop() noexcept {
  const std::lock_guard lock(mutex_);
  ending_ = true;
  changed_.notify_all();
}

/// False where it is to end.
bool Housekeeper::wait_until_asked() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return asked_ || ending_; });
  asked_ = false;
  return !ending_;
}

void Housekeeper::throw_if_ending() const {
  const std::lock_guard lock(mutex_);
  if (ending_) throw Error("nothing is pruned any more");
}

void Housekeeper::work() noexcept {
  name_this_thread("housekeeper");
  block_signals_in_this_thread();
  const ScopedPatience patience;
  while (wait_until_asked()) {
    try {
      if (!may_ || may_()) {
        prune(repository_, options_, [this](const Progress&) { throw_if_ending(); });
        problem_.clear();
      }
    } catch (const std::exception& error) {
      const std::lock_guard lock(mutex_);
      if (!ending_ && problem_ != error.what()) log_note("{} is not pruned: {}", repository_.string(), error.what());
      problem_ = error.what();
    }
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPause, [this] { return ending_; });
  }
}

}  // namespace tintype
