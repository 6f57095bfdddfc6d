// SPDX-License-Identifier: Apache-2.0
// A checkpoint on a machine made of paper, whose destination or disk hangs, or is cancelled while one of them works.
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/capture/live_checkpoint.h"
#include "tests/unit/capture/capture_rig.h"
#include "tests/unit/capture/paper_machine.h"

namespace tintype {
namespace {

constexpr auto kForEver = std::chrono::hours(1);

/// Cancels a checkpoint whose destination hangs at a step; lets that go on afterwards, as a host does at last.
void cancel_while_it_hangs(const TemporaryRepository& repository, Strategy strategy, const std::string& step) {
  const auto hang = std::make_shared<Barrier>();
  PaperMachine machine;
  CaptureMeans means;
  means.patience.cancelled = std::chrono::milliseconds(100);
  means.open_target = directed(repository, [hang, step](const std::string& name) {
    if (name == step) hang->wait();
  });
  Checkpointer checkpointer(machine, means);
  std::thread user([&] {
    hang->wait_for_visitor();
    checkpointer.cancel();
  });
  CHECK_THROWS_AS(checkpointer.take(repository.options(strategy), {}), Cancelled);
  user.join();
  CHECK(machine.at_rest());
  hang->open();
}

}  // namespace

TEST_CASE("a checkpoint whose destination hangs ends at once when it is cancelled, at whatever step") {
  for (const StrategyRow& row : strategies()) {
    for (const std::string step : {"open", "memory", "memory finish", "state", "disk0", "sync", "seal"}) {
      CAPTURE(name_of(row.strategy));
      CAPTURE(step);
      TemporaryRepository repository;
      cancel_while_it_hangs(repository, row.strategy, step);
      // The thread that was left behind tidies up by itself; or seals what it was sealing.
      if (repository.wait_for_users()) CHECK(repository.is_empty() == (step != "seal"));
    }
  }
}

TEST_CASE("a checkpoint whose disk hangs in making its log ends at once when it is cancelled") {
  const TemporaryRepository repository;
  const auto hang = std::make_shared<Barrier>();
  const auto script = std::make_shared<Script>();
  script->before("prepare disk1", [hang] { hang->wait(); });
  PaperMachine machine(script);
  CaptureMeans means;
  means.patience.cancelled = std::chrono::milliseconds(100);
  Checkpointer checkpointer(machine, means);
  std::thread user([&] {
    hang->wait_for_visitor();
    checkpointer.cancel();
  });
  CHECK_THROWS_AS(checkpointer.take(repository.options(), {}), Cancelled);
  user.join();
  CHECK(machine.at_rest());
  CHECK(repository.is_empty());
  CHECK(std::ranges::count(script->steps(), "pause") == 0);
  hang->open();
  checkpointer.forget_cancel();
  CHECK(checkpointer.take(repository.options(), {}).disks.size() == 2);
  CHECK(machine.at_rest());
}

TEST_CASE("a checkpoint that fails elsewhere while a disk hangs does not wait for it for long") {
  const TemporaryRepository repository;
  const auto hang = std::make_shared<Barrier>();
  const auto script = std::make_shared<Script>();
  script->before("prepare disk0", [hang] { hang->wait(); });
  PaperMachine machine(script);
  CaptureMeans means;
  means.patience.cancelled = std::chrono::milliseconds(100);
  means.open_target = [hang](const NewCheckpoint&) -> std::unique_ptr<CheckpointTarget> {
    hang->wait_for_visitor();
    throw DestinationFull("no room");
  };
  Checkpointer checkpointer(machine, means);
  CHECK_THROWS_AS(checkpointer.take(repository.options(), {}), DestinationFull);
  CHECK(machine.at_rest());
  hang->open();
}

TEST_CASE("a checkpoint that is cancelled while the destination works leaves nothing") {
  const TemporaryRepository repository;
  const auto running = std::make_shared<std::atomic<Checkpointer*>>();
  PaperMachine machine;
  CaptureMeans means;
  means.patience.cancelled = kForEver;
  means.open_target = directed(repository, [running](const std::string& name) {
    if (name == "disk1") running->load()->cancel();
  });
  Checkpointer checkpointer(machine, means);
  *running = &checkpointer;
  CHECK_THROWS_AS(checkpointer.take(repository.options(), {}), Cancelled);
  CHECK(machine.at_rest());
  CHECK(repository.is_empty());
  checkpointer.forget_cancel();
  CHECK_THROWS_AS(checkpointer.take(repository.options(), {}), Cancelled);  // it cancels itself again
}

TEST_CASE("a checkpoint that is cancelled while it is sealed is there, and nobody says that it is not") {
  const TemporaryRepository repository;
  const auto running = std::make_shared<std::atomic<Checkpointer*>>();
  PaperMachine machine;
  CaptureMeans means;
  means.patience.cancelled = kForEver;
  means.open_target = directed(repository, [running](const std::string& name) {
    if (name != "seal") return;
    running->load()->cancel();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // long enough for the request to be seen
  });
  Checkpointer checkpointer(machine, means);
  *running = &checkpointer;
  CHECK(checkpointer.take(repository.options(), {}).id == 1);
  CHECK(std::filesystem::exists(repository.path() / "00000001"));
}

TEST_CASE("a guest does not stand still for ever before a destination that hangs: the checkpoint gives up by itself") {
  const TemporaryRepository repository;
  const auto hang = std::make_shared<Barrier>();
  PaperMachine machine(std::make_shared<Script>(), 32 << 20);  // more than is on its way at a time
  CaptureMeans means;
  means.patience = {std::chrono::milliseconds(100), std::chrono::milliseconds(100)};
  means.open_target = directed(repository, [hang](const std::string& name) {
    if (name != "open") hang->wait();
  });
  Checkpointer checkpointer(machine, means);
  CHECK_THROWS_AS(checkpointer.take(repository.options(Strategy::kStop), {}), Error);
  CHECK(machine.at_rest());
  hang->open();
}

}  // namespace tintype
