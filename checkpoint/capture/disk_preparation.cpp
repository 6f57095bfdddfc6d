// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/disk_preparation.h"

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "vmm/base/thread.h"

namespace tintype {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLookUp = std::chrono::milliseconds(20);  ///< how often somebody who waits looks up

}  // namespace

struct DiskPreparation::Shared {
  std::mutex mutex;  // guards the rest
  std::condition_variable changed;
  std::size_t under_way = 0;
  std::exception_ptr failure;

  void end(std::exception_ptr thrown) noexcept {
    const std::lock_guard lock(mutex);
    if (thrown && !failure) failure = std::move(thrown);
    --under_way;
    changed.notify_all();
  }
  static void begin(const std::shared_ptr<Shared>& shared, std::function<void()> work) noexcept;
};

void DiskPreparation::Shared::begin(const std::shared_ptr<Shared>& shared, std::function<void()> work) noexcept {
  try {
    std::thread([shared, work = std::move(work)]() mutable {
      name_this_thread("checkpoint-log");
      block_signals_in_this_thread();
      std::exception_ptr thrown;
      try {
        work();
      } catch (...) {
        thrown = std::current_exception();
      }
      work = nullptr;  // and what it owns
      shared->end(std::move(thrown));
    }).detach();
  } catch (...) {
    shared->end(std::current_exception());
  }
}

DiskPreparation::DiskPreparation(std::span<FreezableDisk* const> disks, std::chrono::milliseconds patience)
    : disks_(disks), patience_(patience), shared_(std::make_shared<Shared>()) {
  std::vector<std::function<void()>> works;
  try {
    for (FreezableDisk* disk : disks) works.push_back(disk->switch_preparation());
  } catch (...) {
    disks_ = disks.first(works.size());
    cancel();
    throw;
  }
  shared_->under_way = works.size();
  for (std::function<void()>& work : works) Shared::begin(shared_, std::move(work));
}

DiskPreparation::~DiskPreparation() {
  cancel();
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait_for(lock, patience_, [this] { return shared_->under_way == 0; });
}

void DiskPreparation::cancel() noexcept {
  for (FreezableDisk* disk : disks_) disk->cancel_switch();
}

void DiskPreparation::wait(const Cancellation& cancellation) {
  std::unique_lock lock(shared_->mutex);
  auto wanted_until = Clock::now();
  while (!shared_->changed.wait_for(lock, kLookUp, [this] { return shared_->under_way == 0; })) {
    if (!cancellation.requested()) wanted_until = Clock::now();
    if (Clock::now() - wanted_until < patience_) continue;
    patience_ = {};
    cancellation.throw_if_requested();
  }
  if (shared_->failure) std::rethrow_exception(std::exchange(shared_->failure, nullptr));
}

}  // namespace tintype
