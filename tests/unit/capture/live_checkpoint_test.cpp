// SPDX-License-Identifier: Apache-2.0
// The eleven steps, on a machine made of paper: what happens in which order, and what is undone when a step fails.
#include "checkpoint/capture/live_checkpoint.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "checkpoint/image/repository.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;
using Journal = std::vector<std::string>;

class PaperFrozenDisk final : public FrozenDisk {
 public:
  explicit PaperFrozenDisk(Journal& journal) : journal_(journal) {}
  ~PaperFrozenDisk() override { journal_.push_back("thawed disk"); }
  std::uint64_t size() const noexcept override { return 8192; }
  void wait_for_old_io(int) override { journal_.push_back("old io landed"); }
  void read(std::uint64_t, std::span<std::byte> into) override { std::fill(into.begin(), into.end(), std::byte{7}); }
  std::optional<Range> next_data(std::uint64_t offset) override {
    return offset < size() ? std::optional(Range{offset, size() - offset}) : std::nullopt;
  }

 private:
  Journal& journal_;
};

class PaperDisk final : public FreezableDisk {
 public:
  PaperDisk(Journal& journal, const std::string& failing) : journal_(journal), failing_(failing) {}
  const std::string& id() const noexcept override { return id_; }
  void prepare_switch() override {
    journal_.push_back("prepare disk");
    if (failing_ == "prepare disk") throw Error("no room for a log");
  }
  void cancel_switch() noexcept override { journal_.push_back("cancel disk"); }
  std::unique_ptr<FrozenDisk> switch_to_fresh_log() noexcept override {
    journal_.push_back("switch disk");
    return std::make_unique<PaperFrozenDisk>(journal_);
  }
  void start_commit(CommitDone) noexcept override { journal_.push_back("commit disk"); }

 private:
  const std::string id_ = "disk0";
  Journal& journal_;
  const std::string& failing_;
};

class PaperState final : public Stateful {
 public:
  PaperState(Journal& journal, const std::string& failing) : journal_(journal), failing_(failing) {}
  std::string state_name() const override { return "paper"; }
  StateRecord save_state() const override {
    journal_.push_back("save");
    if (failing_ == "save") throw Error("a vCPU does not answer");
    return {"paper", 1, {}};
  }
  void check_state(const StateRecord&) const override {}
  void restore_state(const StateRecord&) override {}

 private:
  Journal& journal_;
  const std::string& failing_;
};

class PaperMachine final : public CaptureSubject {
 public:
  std::string name() const override { return "paper"; }
  MachineDescription describe() const override {
    MachineDescription description;
    description.memory = memory_.size();
    description.cpus = 1;
    description.regions = {{0, memory_.size(), 0}};
    description.disks = {{"disk0", "/paper.img", 8192, "persistent", false, "disk0"}};
    return description;
  }
  GuestMemory& memory() override { return memory_; }
  std::span<FreezableDisk* const> disks() override { return disks_; }
  std::span<Stateful* const> states() override { return states_; }
  void pause() override {
    journal.push_back("pause");
    if (failing == "pause") throw Error("the machine ended");
  }
  void freeze_devices() override { journal.push_back("freeze"); }
  void thaw_devices() noexcept override { journal.push_back("thaw"); }
  void resume() noexcept override { journal.push_back("resume"); }

  Journal journal;
  std::string failing;

 private:
  GuestMemory memory_{1 << 20};
  PaperDisk disk_{journal, failing};
  PaperState state_{journal, failing};
  std::vector<FreezableDisk*> disks_{&disk_};
  std::vector<Stateful*> states_{&state_};
};

class TemporaryRepository {
 public:
  TemporaryRepository() {
    std::string pattern = (fs::temp_directory_path() / "tintype-steps-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryRepository() { fs::remove_all(path_); }
  CheckpointOptions options() const {
    CheckpointOptions options;
    options.repository = path_;
    options.strategy = Strategy::kStop;
    return options;
  }
  /// Nothing but the lock file: no checkpoint, and nothing half-made.
  bool is_empty() const {
    return std::none_of(fs::directory_iterator(path_), fs::directory_iterator(),
                        [](const auto& entry) { return entry.is_directory(); });
  }

 private:
  fs::path path_;
};

Journal failed_run(const std::string& step) {
  const TemporaryRepository repository;
  PaperMachine machine;
  machine.failing = step;
  CHECK_THROWS_AS(take_live_checkpoint(machine, repository.options(), {}), Error);
  CHECK(repository.is_empty());
  return machine.journal;
}

}  // namespace

TEST_CASE(
    "the steps come in order: devices are frozen before disks switch, state is saved before anything runs again") {
  const TemporaryRepository repository;
  PaperMachine machine;
  const CheckpointReport report = take_live_checkpoint(machine, repository.options(), {});
  CHECK(machine.journal == Journal{"prepare disk", "pause", "freeze", "switch disk", "save", "thaw", "resume",
                                   "old io landed", "thawed disk", "commit disk"});
  CHECK(report.id == 1);
  CHECK(report.disks.size() == 1);
  CHECK(report.disks[0].bytes_written == 8192);
}

TEST_CASE("a log that cannot be made: the guest never notices") {
  CHECK(failed_run("prepare disk") == Journal{"prepare disk"});
}

TEST_CASE("a machine that ends on the way into the pause: prepared logs are taken back") {
  CHECK(failed_run("pause") == Journal{"prepare disk", "pause", "resume", "cancel disk"});
}

TEST_CASE("a state that cannot be saved: the guest runs on, and the frozen logs are committed") {
  CHECK(failed_run("save") == Journal{"prepare disk", "pause", "freeze", "switch disk", "save", "thaw", "resume",
                                      "thawed disk", "commit disk"});
}

}  // namespace tintype
