// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/auto_strategy.h"

#include <doctest/doctest.h>

#include "checkpoint/capture/live_checkpoint.h"
#include "tests/unit/capture/paper_machine.h"

namespace tintype {

namespace {

constexpr std::uint64_t kGiB = 1 << 30;

UserfaultSupport no_userfault() { return {false, false, false, "it is not permitted: be root"}; }

}  // namespace

TEST_CASE("auto takes what the guest feels least, of what this host can do, and says why") {
  const StrategyChoice cow = choose_strategy({{true, true, true, {}}, 8 * kGiB, kGiB});
  CHECK(cow.strategy == Strategy::kCow);
  CHECK_FALSE(cow.because.empty());
  const StrategyChoice fork = choose_strategy({no_userfault(), kGiB, 2 * kGiB});
  CHECK(fork.strategy == Strategy::kFork);
  CHECK(fork.because == "memory cannot be write-protected: it is not permitted: be root");
  const StrategyChoice stop = choose_strategy({no_userfault(), 2 * kGiB, kGiB});
  CHECK(stop.strategy == Strategy::kStop);
  CHECK(stop.because.find("1024 MiB left, too little to copy 2048 MiB on write") != std::string::npos);
}

TEST_CASE("a report says why auto took what it took, and nothing where the user chose") {
  const TemporaryRepository repository;
  PaperMachine machine;
  CaptureMeans means;
  means.probe_userfault = no_userfault;
  Checkpointer checkpointer(machine, means);
  const CheckpointReport chosen = checkpointer.take(repository.options(Strategy::kAuto), {});
  CHECK(chosen.strategy == Strategy::kFork);
  CHECK(chosen.chosen_because.find("be root") != std::string::npos);
  CHECK(checkpointer.take(repository.options(Strategy::kStop), {}).chosen_because.empty());
}

}  // namespace tintype
