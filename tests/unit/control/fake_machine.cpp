// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/fake_machine.h"

#include <thread>

#include "vmm/base/error.h"

namespace tintype {

class Machine::Impl {
 public:
  MachineConfig config;
  std::atomic<RunState> state = RunState::kRunning;
};

namespace {

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace

FakeMachine& FakeMachine::get() {
  static FakeMachine fake;
  return fake;
}

std::unique_ptr<Machine> FakeMachine::make() {
  FakeMachine& fake = get();
  fake.pauses = fake.resumes = fake.checkpoints = fake.checkpoint_steps = fake.step_ms = 0;
  fake.checkpoint_held = fake.checkpoint_running = false;
  MachineConfig config;
  config.name = "fake";
  config.disks.push_back({"/images/a.raw", DiskMode::kPersistent, false, ""});
  return Machine::boot(config);
}

Machine::Machine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Machine::~Machine() = default;

std::unique_ptr<Machine> Machine::boot(const MachineConfig& config) {
  auto impl = std::make_unique<Impl>();
  impl->config = config;
  return std::unique_ptr<Machine>(new Machine(std::move(impl)));
}

const MachineConfig& Machine::config() const noexcept { return impl_->config; }

void Machine::pause() {
  ++FakeMachine::get().pauses;
  impl_->state = RunState::kPaused;
}

void Machine::resume() {
  ++FakeMachine::get().resumes;
  impl_->state = RunState::kRunning;
}

void Machine::stop(bool, std::chrono::milliseconds) { impl_->state = RunState::kStopped; }

MachineStatus Machine::status() const {
  MachineStatus status;
  status.state = impl_->state;
  status.checkpoint_running = FakeMachine::get().checkpoint_running;
  status.exits = 42;
  return status;
}

CheckpointReport Machine::checkpoint(const CheckpointOptions& options, const ProgressSink& progress) {
  FakeMachine& fake = FakeMachine::get();
  if (fake.checkpoint_running.exchange(true))
    throw Error("A checkpoint is being taken already: wait until it is done.");
  fake.last_options = options;
  for (int i = 0; i < fake.checkpoint_steps; ++i) {
    if (progress)
      progress({"memory", static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(fake.checkpoint_steps)});
    sleep_ms(fake.step_ms);
  }
  for (int waited = 0; fake.checkpoint_held && waited < 10'000; ++waited) sleep_ms(1);
  CheckpointReport report;
  report.id = 7;
  report.repository = options.repository;
  report.vm = impl_->config.name;
  report.strategy = Strategy::kCow;
  report.pause_us.total = 1234;
  report.memory.fault_us = {5, 50, 500};
  report.disks.push_back({"disk0", 4096});
  ++fake.checkpoints;
  fake.checkpoint_running = false;
  return report;
}

}  // namespace tintype
