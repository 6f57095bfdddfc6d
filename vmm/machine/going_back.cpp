// SPDX-License-Identifier: Apache-2.0
// The mark that a machine can go back to, whoever asks for it: its user, or the guest itself by its harness port.
#include <algorithm>

#include "vmm/base/error.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/return_to.h"

namespace tintype {

namespace {

std::uint64_t microseconds_since(std::chrono::steady_clock::time_point start) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start).count());
}

}  // namespace

std::unique_ptr<Harness> Lifecycle::make_harness() {
  using Then = std::function<void()>;
  return std::make_unique<Harness>(
      guest_.memory(),
      Harness::Work{[this](const Then& then) { return mark_and(OnlyOne(*this, Patience::kWait), then); },
                    [this](const Then& then) { return reset_and(OnlyOne(*this, Patience::kWait), then); }});
}

MarkReport Lifecycle::mark() {
  return mark_and(OnlyOne(*this), [] {});
}

ResetReport Lifecycle::reset() {
  return reset_and(OnlyOne(*this), [] {});
}

namespace {

constexpr std::size_t kLongestStack = 16;

/// Marks that follow each other leave a redo log each, which are committed only while there is none.
bool has_long_stack(const Guest& guest) {
  return std::ranges::any_of(guest.virtio().disks(),
                             [](const auto& disk) { return disk->disk()->log_count() > kLongestStack; });
}

}  // namespace

// The last mark is there until the next one is.
MarkReport Lifecycle::mark_and(const OnlyOne&, const std::function<void()>& then) {
  finish_load({});
  if (has_long_stack(guest_)) mark_.reset();
  auto mark = std::make_unique<Mark>(guest_);
  const auto start = std::chrono::steady_clock::now();
  {
    const StandStill still(*this);
    mark->take(mark_.get());
    mark.swap(mark_);
    resets_ = 0;
    then();
  }
  const MarkReport report{microseconds_since(start)};
  mark.reset();
  mark_->finish();
  announce(EventKind::kMarked);
  return report;
}

namespace {

std::string half_way_text(const std::exception& error) {
  return fmt::format("cut off: it could not be reset: {}", error.what());
}

}  // namespace

/// A machine that is neither here nor there must not run on.
Mark::Return Lifecycle::go_back() {
  bool half_way = false;
  try {
    return mark_->go_back(half_way);
  } catch (const std::exception& error) {
    if (half_way) end({1, half_way_text(error), {}});
    throw;
  }
}

ResetReport Lifecycle::reset_and(const OnlyOne&, const std::function<void()>& then) {
  if (!mark_) throw Error("{} has no mark to go back to: set one with `tintype mark {}`", config().name, config().name);
  const auto start = std::chrono::steady_clock::now();
  Mark::Return back;
  {
    const StandStill still(*this);
    back = go_back();
    then();
  }
  if (back.disks) checkpointer_.disks_went_back();
  panicked_ = false;
  announce(EventKind::kReset);
  return ResetReport{back.pages, back.disks, microseconds_since(start), ++resets_, 0};
}

Mark::Return Lifecycle::go_to(ReturnTo& way) {
  const StandStill still(*this);
  way.look();
  try {
    return way.go();
  } catch (const std::exception& error) {
    end({1, half_way_text(error), {}});
    throw;
  }
}

// What the machine is then is not what its checkpoints build on: which pages differ is known, but not which blocks.
ResetReport Lifecycle::reset_to(const std::string& repository, std::uint64_t id, const ProgressSink& progress) {
  const OnlyOne only(*this);
  const CheckpointReader checkpoint(repository, id == 0 ? std::nullopt : std::optional(id));
  checkpoint.require(Portion::kAll);
  finish_load(progress);
  ReturnTo way(guest_, checkpoint);
  const auto start = std::chrono::steady_clock::now();
  const Mark::Return back = go_to(way);
  const std::uint64_t pause_us = microseconds_since(start);
  mark_.reset();  // it is of another past
  checkpointer_.disks_went_back();
  panicked_ = false;
  announce(EventKind::kReset);
  return ResetReport{back.pages, back.disks, pause_us, 0, checkpoint.manifest().id};
}

}  // namespace tintype
