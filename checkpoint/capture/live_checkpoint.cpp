// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/live_checkpoint.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "checkpoint/capture/area_size.h"
#include "checkpoint/capture/auto_strategy.h"
#include "checkpoint/capture/destination.h"
#include "checkpoint/capture/disk_copy.h"
#include "checkpoint/capture/disk_preparation.h"
#include "checkpoint/capture/memory_part.h"
#include "checkpoint/format/checkpoint_files.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {

/// Measures consecutive stretches of time.
class Stopwatch {
 public:
  using Clock = std::chrono::steady_clock;
  std::uint64_t total_us() const { return to_us(Clock::now() - start_); }
  /// Since the last call, or the beginning.
  std::uint64_t lap_us() {
    const auto now = Clock::now();
    return to_us(now - std::exchange(last_, now));
  }

 private:
  static std::uint64_t to_us(Clock::duration duration) {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
  }
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
};

/// Threads that write: two, which mostly wait for the device; and where vCPUs leave cores free, more, for checksums and
/// compression.
unsigned writers_beside(std::uint64_t cpus) {
  const std::uint64_t cores = std::thread::hardware_concurrency();
  return static_cast<unsigned>(std::clamp<std::uint64_t>(cores > cpus ? cores - cpus : 0, 2, 4));
}

/// The least that any checkpoint needs.
constexpr std::uint64_t kStateAndManifest = 16 << 10;

}  // namespace

/// One live checkpoint under way. Its destructor undoes, in reverse, whatever has been begun and not been finished.
class LiveCheckpoint {
 public:
  LiveCheckpoint(Checkpointer& machine, const CheckpointOptions& options, const ProgressSink& progress)
      : machine_(machine), subject_(machine.subject_), options_(options), progress_(progress) {}
  ~LiveCheckpoint();
  LiveCheckpoint(const LiveCheckpoint&) = delete;
  LiveCheckpoint& operator=(const LiveCheckpoint&) = delete;

  CheckpointReport take();

 private:
  /// What a target says of itself when it is open.
  struct Opened {
    ParentRef self;
    std::vector<bool> incremental;  ///< by disk
    std::string concern;
  };
  /// What is known when all has been written.
  struct Outcome {
    CheckpointReport report;
    std::function<void(MemoryReport&)> complete_memory;
    std::vector<std::shared_ptr<const std::atomic<std::uint64_t>>> stored;  ///< by disk
    void complete();
  };

  void prepare();
  void choose();
  Portion portion() const;
  bool takes_memory() const noexcept { return report_.holds != Portion::kDisks; }
  bool takes_disks() const noexcept { return report_.holds != Portion::kMemory; }
  void prepare_memory();
  NewCheckpoint wanted_checkpoint() const;
  void ask_for_room(NewCheckpoint& wanted) const;
  std::uint64_t most_bytes(bool incremental) const;
  void tell_of(const std::string& concern);
  void open_destination();
  void open_destination(const NewCheckpoint& wanted);
  bool open_on_parent();
  void precopy();
  void pause_and_capture();
  void capture_memory(Stopwatch& watch);
  void switch_disks() noexcept;
  void read_states();
  void leave_pause() noexcept;
  void copy_out();
  void copy_memory();
  void write_states();
  void copy_disks();
  void commit_disks() noexcept;
  void seal();
  void keep() noexcept;

  Checkpointer& machine_;
  CaptureSubject& subject_;
  const CheckpointOptions& options_;
  const ProgressSink& progress_;
  Stopwatch watch_;
  CheckpointReport report_;
  MachineDescription description_;
  std::optional<Destination> destination_;
  MemoryCapture* capture_ = nullptr;
  std::optional<MemoryPart> memory_;
  std::vector<std::pair<std::string, Stateful::Unsaved>> states_;
  std::vector<bool> incremental_disks_;
  std::vector<std::unique_ptr<FrozenDisk>> frozen_;
  std::vector<std::shared_ptr<const std::atomic<std::uint64_t>>> stored_;  ///< bytes, by disk
  std::uint64_t precopy_us_ = 0;
  std::optional<DiskPreparation> preparation_;
  bool disks_switched_ = false;
  bool paused_ = false;
  bool devices_frozen_ = false;
};

// The guest first, and what it may be waiting for; the destination, which may take its time, last.
LiveCheckpoint::~LiveCheckpoint() {
  leave_pause();
  if (capture_ != nullptr) capture_->give_back();
  preparation_.reset();
  commit_disks();
}

CheckpointReport LiveCheckpoint::take() {
  prepare();
  precopy();
  pause_and_capture();
  copy_out();
  seal();
  return report_;
}

// Step 1, guest running. Nothing that can wait for a disk is left for the pause.
void LiveCheckpoint::prepare() {
  description_ = subject_.describe();
  report_.vm = subject_.name();
  report_.holds = portion();
  choose();
  if (takes_disks())  // they wait for other files than what follows
    preparation_.emplace(subject_.disks(), machine_.means_.patience.cancelled);
  open_destination();
  if (preparation_) preparation_->wait(machine_.cancellation_);
  frozen_.reserve(subject_.disks().size());
  if (takes_memory()) prepare_memory();
}

// Without memory there is nothing to choose, and the report says what was asked for.
void LiveCheckpoint::choose() {
  report_.strategy = options_.strategy;
  if (options_.strategy != Strategy::kAuto || !takes_memory()) return;
  const UserfaultSupport support = machine_.means_.probe_userfault();
  const std::uint64_t resident = support.write_protect ? 0 : machine_.engine_.resident_bytes();
  StrategyChoice choice = choose_strategy({support, resident, available_host_memory()});
  report_.strategy = choice.strategy;
  report_.chosen_because = std::move(choice.because);
}

// A machine without disks is all there when its memory is.
Portion LiveCheckpoint::portion() const {
  if (!subject_.disks().empty()) return options_.only;
  if (options_.only == Portion::kDisks)
    throw Error("{} has no disks: take a checkpoint without --only disks", report_.vm);
  return Portion::kAll;
}

void LiveCheckpoint::prepare_memory() {
  capture_ = &machine_.capture_for(report_.strategy);
  const bool everything = report_.parent == 0 || !machine_.memory_saved_;
  capture_->prepare({options_.capture_area, everything}, machine_.cancellation_);
  memory_.emplace(*destination_, *capture_, subject_.memory().pages(), everything, progress_);
  states_.reserve(subject_.states().size());
}

// It builds on the last one, where there is one and its repository still has it; else, where that is asked for, on what
// the repository has of this machine.
void LiveCheckpoint::open_destination() {
  if (open_on_parent()) return;
  const bool look = options_.find_parent && !options_.full && report_.holds == Portion::kAll && !machine_.found_damage_;
  if (look && machine_.find_parent(options_.repository, description_) && open_on_parent()) return;
  NewCheckpoint wanted = wanted_checkpoint();
  wanted.parent.reset();
  ask_for_room(wanted);
  open_destination(wanted);
}

/// False where there is no parent, or it is not there any more.
bool LiveCheckpoint::open_on_parent() {
  const NewCheckpoint wanted = wanted_checkpoint();
  if (!wanted.parent) return false;
  try {
    open_destination(wanted);
  } catch (const ParentDamaged& damaged) {
    log_note("{}: {}; all is written anew", report_.vm, damaged.what());
    return false;
  } catch (const ParentGone&) {
    return false;
  }
  report_.parent = wanted.parent->id;
  report_.compared = machine_.compared_ != nullptr;
  return true;
}

void LiveCheckpoint::open_destination(const NewCheckpoint& wanted) {
  const auto open = machine_.means_.open_target;
  const auto opened = std::make_shared<Opened>();
  const auto look = [opened, disks = wanted.disks](CheckpointTarget& target) {
    opened->self = {target.id(), target.identity()};
    opened->concern = target.concern();
    for (const DiskDescription& disk : disks) opened->incremental.push_back(target.disk_part(disk.id).incremental());
  };
  destination_.emplace([open, wanted] { return open(wanted); }, look, machine_.cancellation_, machine_.means_.patience,
                       writers_beside(description_.cpus));
  report_.id = opened->self.id;
  report_.identity = opened->self.identity;
  report_.repository = options_.repository;
  incremental_disks_ = opened->incremental;
  tell_of(opened->concern);
}

// A film does not say it at each picture.
void LiveCheckpoint::tell_of(const std::string& concern) {
  if (!concern.empty() && !machine_.concerned_) log_line(concern);
  machine_.concerned_ = !concern.empty();
}

NewCheckpoint LiveCheckpoint::wanted_checkpoint() const {
  NewCheckpoint wanted;
  wanted.repository = options_.repository;
  wanted.compression = options_.compression;
  wanted.memory_bytes = subject_.memory().size();
  wanted.disks = description_.disks;
  wanted.known = machine_.known_;
  wanted.rewrites = copies_ahead(report_.strategy);
  const bool builds_on = machine_.engine_.knows_what_was_written() || !takes_memory();
  if (!options_.full && builds_on) wanted.parent = machine_.latest_;
  if (takes_memory() && !machine_.memory_saved_) wanted.full_parts.emplace_back(checkpoint_files::kMemoryName);
  if (takes_disks() && !machine_.disks_saved_) {
    for (const DiskDescription& disk : wanted.disks) wanted.full_parts.push_back(disk.id);
  }
  ask_for_room(wanted);
  return wanted;
}

// Refused is only what cannot fit. A full one needs about as much as there is, of which some may turn out to be zero.
// What compression makes of that, and how much of what was written to came out changed, nobody knows beforehand: it may
// be next to nothing. So there what is known is a bound, of which the user is told where there is less room.
void LiveCheckpoint::ask_for_room(NewCheckpoint& wanted) const {
  const bool incremental = wanted.parent.has_value();
  wanted.most_bytes = most_bytes(incremental);
  const bool about_known = !incremental && options_.compression == Compression::kNone;
  wanted.expected_bytes = about_known ? wanted.most_bytes : kStateAndManifest;
}

// What is there in memory and on the disks, or was written since the parent, as far as that is known before a look at
// memory, which takes its time.
std::uint64_t LiveCheckpoint::most_bytes(bool incremental) const {
  std::uint64_t bytes = kStateAndManifest;
  if (takes_memory()) {
    const bool some = incremental && machine_.memory_saved_;
    bytes += some ? machine_.engine_.written_bytes() : machine_.engine_.resident_bytes();
  }
  const bool some = incremental && machine_.disks_saved_ && !machine_.compared_;
  for (const FreezableDisk* disk : subject_.disks())
    if (takes_disks()) bytes += some ? disk->changed_bytes() : disk->allocated_bytes();
  return bytes;
}

// Step 2, guest running. Counted with what is copied afterwards.
void LiveCheckpoint::precopy() {
  report_.prepare_ms = watch_.lap_us() / 1000;
  if (takes_memory()) capture_->precopy(*memory_);
}

// Steps 3 to 8. The only stretch in which the guest stands still; each part of it is measured. No time is lost between
// this and what comes before and after it.
void LiveCheckpoint::pause_and_capture() {
  std::optional<ScopedUrgency> urgent;
  if (!takes_memory() || !capture_->copies_while_paused()) urgent.emplace();
  PauseTimes& times = report_.pause_us;
  precopy_us_ = watch_.lap_us();
  Stopwatch watch;
  paused_ = true;
  subject_.pause();
  times.kick = watch.lap_us();
  subject_.freeze_devices();
  devices_frozen_ = true;
  times.devices = watch.lap_us();
  if (takes_disks()) switch_disks();
  times.disks = watch.lap_us();
  if (takes_memory()) capture_memory(watch);
  leave_pause();
  times.resume = watch.lap_us();
  times.total = watch.total_us();
  watch_.lap_us();
}

void LiveCheckpoint::capture_memory(Stopwatch& watch) {
  PauseTimes& times = report_.pause_us;
  read_states();
  times.state = watch.lap_us();
  capture_->protect();
  times.protect = watch.lap_us();
  if (!capture_->copies_while_paused()) return;
  copy_memory();
  times.copy = watch.lap_us();
}

void LiveCheckpoint::switch_disks() noexcept {
  preparation_->switched();
  disks_switched_ = true;
  for (FreezableDisk* disk : subject_.disks()) frozen_.push_back(disk->switch_to_fresh_log());
}

void LiveCheckpoint::read_states() {
  for (const Stateful* thing : subject_.states()) states_.emplace_back(thing->state_name(), thing->read_state());
}

void LiveCheckpoint::leave_pause() noexcept {
  if (std::exchange(devices_frozen_, false)) subject_.thaw_devices();
  if (std::exchange(paused_, false)) subject_.resume();
}

// Step 9, guest running.
void LiveCheckpoint::copy_out() {
  if (takes_memory() && !capture_->copies_while_paused()) copy_memory();
  destination_->put_alone([](CheckpointTarget& target) { target.memory_part().finish(); });
  write_states();
  copy_disks();
  commit_disks();  // step 11, in the background: the logs are not needed for sealing
  report_.copy_ms = (precopy_us_ + watch_.lap_us()) / 1000;
}

void LiveCheckpoint::copy_memory() {
  capture_->copy_out(*memory_);
  report_.memory = capture_->report();
}

void LiveCheckpoint::write_states() {
  std::vector<NamedState> states;
  for (const auto& [name, unsaved] : std::exchange(states_, {})) states.push_back({name, unsaved()});
  destination_->put([states = std::move(states)](CheckpointTarget& target) { target.write_state(states); });
}

void LiveCheckpoint::copy_disks() {
  for (std::size_t i = 0; i < frozen_.size(); ++i) {
    const std::string& id = subject_.disks()[i]->id();
    const BlockSource* before = machine_.compared_ ? machine_.compared_->disk(id) : nullptr;
    const bool compare = incremental_disks_[i] && before != nullptr;
    stored_.push_back(
        compare ? copy_disk_differences(id, *frozen_[i], *before, *destination_, machine_.cancellation_, progress_)
                : copy_disk(id, *frozen_[i], incremental_disks_[i], *destination_, machine_.cancellation_, progress_));
  }
}

// Frozen logs are committed only once nobody reads them.
void LiveCheckpoint::commit_disks() noexcept {
  if (!std::exchange(disks_switched_, false)) return;
  frozen_.clear();
  for (FreezableDisk* disk : subject_.disks()) disk->start_commit();
}

// Step 10: what is still on its way is waited for, and made to last. The times in the manifest end where the manifest
// is written; what is returned ends after the last fsync.
void LiveCheckpoint::seal() {
  Stopwatch watch;
  if (progress_) progress_({"seal", 0, 1});
  if (options_.before_seal) options_.before_seal(report_);
  const auto outcome = std::make_shared<Outcome>(Outcome{report_, {}, stored_});
  if (memory_) outcome->complete_memory = memory_->completion();
  for (std::size_t i = 0; i < stored_.size(); ++i) outcome->report.disks.push_back({subject_.disks()[i]->id(), 0});
  Manifest manifest;
  manifest.vm = report_.vm;
  manifest.parent = report_.parent;
  manifest.machine = description_;
  destination_->finish([](CheckpointTarget& target) { target.sync(); },
                       [outcome, manifest, watch, all = watch_](CheckpointTarget& target) mutable {
                         outcome->complete();
                         outcome->report.seal_ms = watch.total_us() / 1000;
                         outcome->report.total_ms = all.total_us() / 1000;
                         manifest.report = outcome->report;
                         const CheckpointReport sealed = target.seal(manifest).report;
                         outcome->report.repository = sealed.repository;
                         outcome->report.id = sealed.id;  // unless somebody took that one first
                       });
  report_ = outcome->report;
  keep();
  report_.seal_ms = watch.total_us() / 1000;
  report_.total_ms = watch_.total_us() / 1000;
  if (progress_) progress_({"seal", 1, 1});
}

void LiveCheckpoint::Outcome::complete() {
  if (complete_memory) complete_memory(report.memory);
  for (std::size_t i = 0; i < stored.size(); ++i) report.disks[i].bytes_written = *stored[i];
}

// The next one builds on this one. Of what this one did not take, it says what its parent says; without a parent,
// nothing.
void LiveCheckpoint::keep() noexcept {
  if (takes_memory()) std::exchange(capture_, nullptr)->keep();
  for (FreezableDisk* disk : subject_.disks())
    if (takes_disks()) disk->changes_saved();
  machine_.memory_saved_ = takes_memory() || (machine_.memory_saved_ && report_.parent != 0);
  machine_.disks_saved_ = takes_disks() || (machine_.disks_saved_ && report_.parent != 0);
  machine_.latest_ = ParentRef{report_.id, report_.identity};
  if (takes_disks()) machine_.compared_.reset();
  machine_.found_damage_ = false;
}

CheckpointReport Checkpointer::take(const CheckpointOptions& options, const ProgressSink& progress) {
  try {
    return LiveCheckpoint(*this, options, progress).take();
  } catch (const ImageError&) {
    if (compared_) forget_compared();
    throw;
  }
}

}  // namespace tintype
