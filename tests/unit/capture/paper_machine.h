// SPDX-License-Identifier: Apache-2.0
#pragma once

// A machine made of paper: real memory, and everything else plays its part and remembers what was done to it.

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "checkpoint/capture/live_checkpoint.h"
#include "tests/support/scripted_target.h"
#include "tests/unit/capture/temporary_repository.h"
#include "tests/unit/capture/wrapped_capture.h"

namespace tintype {

/// The steps of a checkpoint, of which one may be told to fail. Any thread: the machine's steps come in their order,
/// and the destination's ("open", "write ...") in theirs.
class Script {
 public:
  void step(const std::string& name) {
    if (const auto found = before_.find(name); found != before_.end()) found->second();
    if (!note_and_compare(name)) return;
    if (!instead_) throw Error("{} was told to fail", name);
    instead_();
  }
  /// For what cannot fail.
  void note(const std::string& name) noexcept {
    if (note_and_compare(name) && instead_) instead_();
  }
  /// Which: the `turn`-th of this name, counted from 1; 0: none. It fails, or this is done.
  void fail(const std::string& name, std::size_t turn, std::function<void()> instead = {}) {
    failing_ = name;
    turn_ = turn;
    instead_ = std::move(instead);
  }
  /// The step that was to fail was not taken.
  bool still_waits() const {
    const std::lock_guard lock(mutex_);
    return turn_ != 0;
  }
  /// Called where a step is to be taken, on its thread. To be set before any is.
  void before(const std::string& name, std::function<void()> what) { before_[name] = std::move(what); }
  std::vector<std::string> steps() const {
    const std::lock_guard lock(mutex_);
    return steps_;
  }

 private:
  bool note_and_compare(const std::string& name) {
    const std::lock_guard lock(mutex_);
    steps_.push_back(name);
    return name == failing_ && turn_ != 0 && --turn_ == 0;
  }

  std::map<std::string, std::function<void()>> before_;
  mutable std::mutex mutex_;
  std::vector<std::string> steps_;
  std::string failing_;
  std::size_t turn_ = 0;
  std::function<void()> instead_;
};
using SharedScript = std::shared_ptr<Script>;

class PaperFrozenDisk final : public FrozenDisk {
 public:
  PaperFrozenDisk(SharedScript script, std::string id, int& frozen, bool changed, std::byte filling)
      : script_(std::move(script)), id_(std::move(id)), frozen_(frozen), changed_(changed), filling_(filling) {
    ++frozen_;
  }
  ~PaperFrozenDisk() override {
    --frozen_;
    script_->note("thaw " + id_);
  }
  std::uint64_t size() const noexcept override { return 8192; }
  void wait_for_old_io(int, const WhileWaiting&) override { script_->step("old i/o of " + id_); }
  void read(std::uint64_t, std::span<std::byte> into) override {
    script_->step("read " + id_);
    std::fill(into.begin(), into.end(), filling_);
  }
  std::optional<Range> next_data(std::uint64_t offset) override {
    return offset < size() ? std::optional(Range{offset, size() - offset}) : std::nullopt;
  }
  std::optional<Range> next_change(std::uint64_t offset) override {
    return changed_ ? next_data(offset) : std::nullopt;
  }

 private:
  SharedScript script_;
  std::string id_;
  int& frozen_;
  const bool changed_;
  const std::byte filling_;
};

/// All of it has changed until it is saved, and then nothing has until all of it is written again.
class PaperDisk final : public FreezableDisk {
 public:
  PaperDisk(SharedScript script, std::string id) : script_(std::move(script)), id_(std::move(id)) {}
  const std::string& id() const noexcept override { return id_; }
  std::uint64_t allocated_bytes() const override { return 8192; }
  void write(std::byte filling) {
    filling_ = filling;
    changed_ = true;
  }
  void changes_saved() noexcept override {
    script_->note("saved " + id_);
    changed_ = false;
  }
  void is_as_saved() override { changed_ = false; }
  std::uint64_t changed_bytes() const override { return changed_ ? 8192 : 0; }
  std::function<void()> switch_preparation() override {
    preparation_ = std::make_shared<Preparation>();
    return [script = script_, step = "prepare " + id_, preparation = preparation_] {
      script->step(step);
      const std::lock_guard lock(preparation->mutex);
      preparation->made = !preparation->cancelled;
    };
  }
  void cancel_switch() noexcept override {
    script_->note("cancel " + id_);
    const std::lock_guard lock(preparation_->mutex);
    preparation_->cancelled = true;
    preparation_->made = false;
  }
  std::unique_ptr<FrozenDisk> switch_to_fresh_log() noexcept override {
    script_->note("switch " + id_);
    preparation_.reset();
    ++logs_;
    return std::make_unique<PaperFrozenDisk>(script_, id_, frozen_, changed_, filling_);
  }
  void start_commit(CommitDone) noexcept override {
    script_->note("commit " + id_);
    if (frozen_ == 0) logs_ = 0;
  }
  /// As it was before: no log prepared, none left that nobody commits, nobody who reads below it.
  bool at_rest() const { return !is_prepared() && logs_ == 0 && frozen_ == 0; }

 private:
  /// Outlives the disk, where it is left behind.
  struct Preparation {
    std::mutex mutex;
    bool made = false, cancelled = false;
  };
  bool is_prepared() const {
    if (preparation_ == nullptr) return false;
    const std::lock_guard lock(preparation_->mutex);
    return preparation_->made;
  }

  SharedScript script_;
  std::string id_;
  std::shared_ptr<Preparation> preparation_;
  bool changed_ = true;
  std::byte filling_{7};
  int logs_ = 0, frozen_ = 0;
};

class PaperState final : public Stateful {
 public:
  PaperState(SharedScript script, std::string name) : script_(std::move(script)), name_(std::move(name)) {}
  std::string state_name() const override { return name_; }
  StateRecord save_state() const override {
    script_->step("save " + name_);
    return {name_, 1, {}};
  }
  void check_state(const StateRecord&) const override {}
  void restore_state(const StateRecord&) override {}

 private:
  SharedScript script_;
  std::string name_;
};

class PaperMachine final : public CaptureSubject {
 public:
  /// Of its memory, so many pages have ever been touched.
  explicit PaperMachine(SharedScript script = std::make_shared<Script>(), std::uint64_t bytes = 8 << 20,
                        std::uint64_t touched = ~0ULL)
      : script_(std::move(script)), memory_(bytes) {
    for (std::uint64_t at = 0; at < memory_.size() && at / kPageSize < touched; at += kPageSize)
      if (!memory_.store(Gpa(at), at + 1)) throw Error("paper memory is memory");
  }

  std::string name() const override { return "paper"; }
  MachineDescription describe() const override {
    script_->step("describe");
    MachineDescription description;
    description.memory = memory_.size();
    description.cpus = 1;
    description.regions = {{0, memory_.size(), 0}};
    for (const FreezableDisk* disk : disks_)
      description.disks.push_back({disk->id(), "/paper.img", 8192, "persistent", false, disk->id()});
    return description;
  }
  GuestMemory& memory() override { return memory_; }
  std::span<FreezableDisk* const> disks() override { return disks_; }
  std::span<Stateful* const> states() override { return states_; }
  void pause() override {
    paused_ = true;
    script_->step("pause");
  }
  void freeze_devices() override {
    script_->step("freeze");
    frozen_ = true;
  }
  void thaw_devices() noexcept override {
    script_->note("thaw");
    frozen_ = false;
  }
  void resume() noexcept override {
    script_->note("resume");
    paused_ = false;
  }

  void write_disks(std::byte filling) {
    first_.write(filling);
    second_.write(filling);
  }
  void take_disks_out() { disks_.clear(); }

  Script& script() noexcept { return *script_; }
  /// As if there had never been a checkpoint. (Memory that is still protected would make the last line wait for ever.)
  bool at_rest() {
    bool wrote = true;
    for (std::uint64_t at = 0; at < memory_.size(); at += kPageSize) wrote = wrote && memory_.store(Gpa(at), at + 1);
    return !paused_ && !frozen_ && first_.at_rest() && second_.at_rest() && wrote;
  }

 private:
  SharedScript script_;
  GuestMemory memory_;
  PaperDisk first_{script_, "disk0"}, second_{script_, "disk1"};
  PaperState cpu_{script_, "cpu"}, uart_{script_, "uart"};
  std::vector<FreezableDisk*> disks_{&first_, &second_};
  std::vector<Stateful*> states_{&cpu_, &uart_};
  bool paused_ = false, frozen_ = false;
};

/// Means whose every step is the script's to let fail.
class ScriptedUserfault final : public Userfault {
 public:
  explicit ScriptedUserfault(SharedScript script) : script_(std::move(script)) { script_->step("userfault"); }
  void watch(std::span<std::byte> range) override {
    script_->step("watch");
    Userfault::watch(range);
  }
  void protect(std::span<std::byte> range) override {
    script_->step("protect");
    Userfault::protect(range);
  }
  bool release(std::span<std::byte> range) noexcept override { return Userfault::release(range); }

 private:
  SharedScript script_;
};

/// Steps of their own before those of a real capture.
class ScriptedCapture final : public WrappedCapture {
 public:
  ScriptedCapture(std::unique_ptr<MemoryCapture> real, SharedScript script)
      : WrappedCapture(std::move(real)), script_(std::move(script)) {}
  void prepare(const CaptureRequest& request, const Cancellation& cancellation) override {
    script_->step("area");
    real_->prepare(request, cancellation);
  }
  void protect() override {
    script_->step("scan");
    real_->protect();
  }

 private:
  SharedScript script_;
};

/// A destination in the repository, every step of which is told to the test before it is taken: "open", and those of
/// ScriptedTarget. The repository stays for as long as anybody writes in it.
inline std::function<std::unique_ptr<CheckpointTarget>(const NewCheckpoint&)> directed(
    const TemporaryRepository& repository, ScriptedTarget::Step step) {
  return [user = repository.user(), step = std::move(step)](const NewCheckpoint& wanted) {
    step("open");
    return std::make_unique<ScriptedTarget>(std::make_unique<CheckpointWriter>(wanted),
                                            [user, step](const std::string& name) { step(name); });
  };
}

inline CaptureMeans scripted_means(const SharedScript& script, const TemporaryRepository& repository) {
  CaptureMeans means;
  means.make_userfault = [script] { return std::make_unique<ScriptedUserfault>(script); };
  means.make_capture = [script](Strategy strategy, CaptureEngine& engine) -> std::unique_ptr<MemoryCapture> {
    return std::make_unique<ScriptedCapture>(make_capture(strategy, engine), script);
  };
  means.open_target = directed(
      repository, [script](const std::string& name) { script->step(name == "open" ? name : "write " + name); });
  return means;
}

}  // namespace tintype
