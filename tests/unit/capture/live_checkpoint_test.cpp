// SPDX-License-Identifier: Apache-2.0
// The eleven steps, on a machine made of paper: what happens in which order, and what is undone when a step fails.
#include "checkpoint/capture/live_checkpoint.h"

#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <map>
#include <thread>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "checkpoint/format/checkpoint_files.h"
#include "tests/support/rounds.h"
#include "tests/support/skip.h"
#include "tests/unit/capture/capture_rig.h"
#include "tests/unit/capture/paper_machine.h"

namespace tintype {

namespace {

/// Room for a round of copying ahead, in which a chunk is written to that was copied.
constexpr std::uint64_t kTenChunks = 10 * kHugePageSize;

/// A machine that writes once more to its first page when that has been copied.
struct StagedMachine {
  explicit StagedMachine(Strategy strategy) : StagedMachine(copies_ahead(strategy) ? kTenChunks : 8 << 20) {}
  explicit StagedMachine(std::uint64_t bytes) : machine(script, bytes) {
    script->before("write memory", [this] {
      if (!written_.exchange(true)) static_cast<void>(machine.memory().store(Gpa(16), std::uint64_t{42}));
    });
  }
  const SharedScript script = std::make_shared<Script>();
  PaperMachine machine;

 private:
  std::atomic<bool> written_ = false;
};

std::vector<std::string> steps_of(Strategy strategy) {
  const TemporaryRepository repository;
  StagedMachine stage(strategy);
  Checkpointer checkpointer(stage.machine, scripted_means(stage.script, repository));
  checkpointer.take(repository.options(strategy), {});
  std::vector<std::string> steps = stage.script->steps();
  const auto is_prepared = [](const std::string& step) { return step.starts_with("prepare disk"); };
  const auto first = std::ranges::find_if(steps, is_prepared);
  std::sort(first, std::find_if_not(first, steps.end(), is_prepared));  // they are prepared at the same time
  return steps;
}

/// Steps that cannot fail, by their interface.
bool is_sure(const std::string& step) {
  for (const std::string_view word : {"switch", "thaw", "resume", "commit", "saved"}) {
    if (step.starts_with(word)) return true;
  }
  return false;
}

/// A machine whose checkpoint fails at one step is as it was, and so is the repository; and the next one succeeds.
void fail_at(const std::string& step, std::size_t turn, Strategy strategy) {
  const TemporaryRepository repository;
  StagedMachine stage(strategy);
  PaperMachine& machine = stage.machine;
  const SharedScript& script = stage.script;
  CaptureMeans means = scripted_means(script, repository);
  means.patience.cancelled = std::chrono::hours(1);  // a crowded host may take its time to tidy up
  Checkpointer checkpointer(machine, means);
  script->fail(step, turn);
  bool failed = false;
  try {
    checkpointer.take(repository.options(strategy), {});
  } catch (const Error&) {
    failed = true;
  }
  if (!failed && turn > 1 && script->still_waits()) return;  // the host decides how often precopy goes round
  CHECK(failed);
  CAPTURE(script->steps());
  CHECK(machine.at_rest());
  CHECK(repository.is_empty());
  script->fail(step, 0);
  CHECK(checkpointer.take(repository.options(strategy), {}).memory.pages_written == machine.memory().pages());
  CHECK(machine.at_rest());
}

/// One that is cancelled there ends, whole or not at all; and the next one succeeds.
void cancel_at(const std::string& step, std::size_t turn, Strategy strategy) {
  const TemporaryRepository repository;
  StagedMachine stage(strategy);
  CaptureMeans means = scripted_means(stage.script, repository);
  means.patience.cancelled = std::chrono::hours(1);
  Checkpointer checkpointer(stage.machine, means);
  stage.script->fail(step, turn, [&] { checkpointer.cancel(); });
  bool sealed = false;
  try {
    checkpointer.take(repository.options(strategy), {});
    sealed = true;
  } catch (const Cancelled&) {
  }
  CAPTURE(stage.script->steps());
  CHECK(stage.machine.at_rest());
  CHECK(repository.is_empty() == !sealed);
  checkpointer.forget_cancel();
  checkpointer.take(repository.options(strategy), {});
  CHECK(stage.machine.at_rest());
}

/// Each step, and which of its name it is. Under a sanitizer each fourth, and of another strategy others.
void for_each_step(Strategy strategy, const std::function<void(const std::string&, std::size_t)>& visit) {
  std::map<std::string, std::size_t> turns;
  auto number = static_cast<std::size_t>(strategy);
  for (const std::string& step : steps_of(strategy)) {
    const std::size_t turn = ++turns[step];
    if (kAllRounds || ++number % 4 == 0) visit(step, turn);
  }
}

void fail_at_every_step(Strategy strategy) {
  std::size_t failed = 0, drops = 0;
  for_each_step(strategy, [&](const std::string& step, std::size_t turn) {
    if (is_sure(step)) return;
    CAPTURE(step);
    CAPTURE(turn);
    fail_at(step, turn, strategy);
    ++failed;
    drops += step == "write memory drop" ? 1 : 0;
  });
  CHECK(failed >= (kAllRounds ? 18U : 4U));
  if (kAllRounds) CHECK((drops > 0) == copies_ahead(strategy));
}

/// The destination's steps, or the machine's.
std::vector<std::string> steps_of(Strategy strategy, bool destination) {
  std::vector<std::string> steps;
  for (const std::string& step : steps_of(strategy))
    if ((step == "open" || step.starts_with("write")) == destination) steps.push_back(step);
  return steps;
}

/// From here on the kernel has no room for another process, as far as this thread is concerned.
bool refuse_forks_in_this_thread() {
  sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{std::size(filter), filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

// A part is finished before the next is begun: it gives back room that it does not need and the next one may want.
TEST_CASE(
    "the steps come in order: devices are frozen before disks switch, state is saved before anything runs again") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  std::vector<std::string> steps = steps_of(Strategy::kStop, false);
  REQUIRE(steps.size() > 3);
  std::sort(steps.begin() + 1, steps.begin() + 3);  // disks are prepared side by side
  CAPTURE(fmt::format("{}", fmt::join(steps, ", ")));
  CHECK(steps ==
        std::vector<std::string>{
            "describe",         "prepare disk0", "prepare disk1", "area",         "userfault",        "watch",
            "protect",          "pause",         "freeze",        "switch disk0", "switch disk1",     "save cpu",
            "save uart",        "scan",          "thaw",          "resume",       "old i/o of disk0", "read disk0",
            "old i/o of disk1", "read disk1",    "thaw disk0",    "thaw disk1",   "commit disk0",     "commit disk1",
            "saved disk0",      "saved disk1"});
  std::vector<std::string> written = steps_of(Strategy::kStop, true);
  const auto state = std::find(written.begin(), written.end(), "write state");  // beside a disk
  CHECK(std::find(written.begin(), state, "write memory finish") != state);
  CHECK(std::find(state, written.end(), "write sync") != written.end());
  written.erase(state);
  CHECK(written == std::vector<std::string>{"open", "write memory", "write memory", "write memory", "write memory",
                                            "write memory finish", "write disk0", "write disk0 finish", "write disk1",
                                            "write disk1 finish", "write sync", "write seal"});
}

TEST_CASE("whichever step fails, the guest runs on, nothing is left over, and the next checkpoint succeeds") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  for (const StrategyRow& row : strategies()) {
    CAPTURE(name_of(row.strategy));
    fail_at_every_step(row.strategy);
  }
}

TEST_CASE("whichever step it is cancelled at, the guest runs on, nothing is half-made, and the next one succeeds") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  for (const StrategyRow& row : strategies()) {
    CAPTURE(name_of(row.strategy));
    for_each_step(row.strategy, [&](const std::string& step, std::size_t turn) {
      CAPTURE(step);
      CAPTURE(turn);
      cancel_at(step, turn, row.strategy);
    });
  }
}

TEST_CASE("a strategy that puts some of memory twice says so to its destination beforehand, and no other does") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  for (const StrategyRow& row : strategies()) {
    CAPTURE(name_of(row.strategy));
    const TemporaryRepository repository;
    StagedMachine stage(kTenChunks);
    CaptureMeans means = scripted_means(stage.script, repository);
    bool said = false;
    means.open_target = [&said, open = means.open_target](const NewCheckpoint& wanted) {
      said = wanted.rewrites;
      return open(wanted);
    };
    Checkpointer checkpointer(stage.machine, means);
    checkpointer.take(repository.options(row.strategy), {});
    CHECK(said == (std::ranges::count(stage.script->steps(), "write memory drop") > 0));
  }
}

TEST_CASE("a host that has no room for a fork costs the checkpoint, and nothing else") {
  const TemporaryRepository repository;
  PaperMachine machine;
  Checkpointer checkpointer(machine);
  std::thread([&] {
    REQUIRE(refuse_forks_in_this_thread());
    CHECK_THROWS_WITH_AS(checkpointer.take(repository.options(Strategy::kFork), {}), doctest::Contains("no room"),
                         Error);
  }).join();
  CHECK(machine.at_rest());
  CHECK(repository.is_empty());
  CHECK(checkpointer.take(repository.options(Strategy::kFork), {}).memory.pages_written == machine.memory().pages());
}

TEST_CASE("a destination that will not have it: state, manifest and name are taken already") {
  struct Case {
    std::string step, taken;
  };
  for (const Case& each :
       {Case{"state", std::string(".tmp-00000001/") + checkpoint_files::kState},
        Case{"seal", std::string(".tmp-00000001/") + checkpoint_files::kManifest}, Case{"seal", "00000001/x"}}) {
    CAPTURE(each.taken);
    const TemporaryRepository repository;
    PaperMachine machine;
    CaptureMeans means;
    const auto path = repository.path() / each.taken;
    means.open_target = directed(repository, [path, step = each.step](const std::string& name) {
      if (name != step) return;
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path) << "taken";
    });
    Checkpointer checkpointer(machine, means);
    CHECK_THROWS(checkpointer.take(repository.options(), {}));
    CHECK(machine.at_rest());
    std::filesystem::remove_all(repository.path() / "00000001");
    CHECK(repository.is_empty());
  }
}

TEST_CASE("the times of a checkpoint add up") {
  const TemporaryRepository repository;
  for (const Strategy strategy : {Strategy::kStop, Strategy::kAuto}) {
    PaperMachine machine;
    Checkpointer checkpointer(machine);
    const CheckpointReport report = checkpointer.take(repository.options(strategy), {});
    const PauseTimes& pause = report.pause_us;
    CHECK(pause.kick + pause.devices + pause.disks + pause.state + pause.protect + pause.copy + pause.resume <=
          pause.total);
    CHECK(report.prepare_ms + pause.total / 1000 + report.copy_ms + report.seal_ms <= report.total_ms);
    CHECK(report.prepare_ms + pause.total / 1000 + report.copy_ms + report.seal_ms + 5 >= report.total_ms);
    CHECK((pause.copy > 0) == (strategy == Strategy::kStop));
  }
}

}  // namespace tintype
