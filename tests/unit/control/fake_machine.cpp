// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/fake_machine.h"

#include <algorithm>
#include <thread>

#include "vmm/base/error.h"

namespace tintype {

namespace {

void nap(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace

FakeMachine::FakeMachine() {
  config_.name = "fake";
  config_.disks.push_back({"/images/a.raw", DiskMode::kPersistent, false, ""});
}

void FakeMachine::pause() {
  ++pauses;
  state_ = RunState::kPaused;
}

void FakeMachine::resume() {
  ++resumes;
  state_ = RunState::kRunning;
}

void FakeMachine::stop(bool, std::chrono::milliseconds) { state_ = RunState::kStopped; }

MachineStatus FakeMachine::status() const {
  MachineStatus status;
  status.state = state_;
  status.checkpoint_running = checkpoint_running;
  status.exits = 42;
  status.disk_traffic.push_back({3, 4, 4096, 8192});
  if (without_room) status.disks_without_room.push_back(0);
  return status;
}

// A page of its number, where it runs without paging.
void FakeMachine::look(const std::function<void(const Inspector& still)>& see) {
  if (state_ != RunState::kPaused) throw Error("fake runs");
  Inspector::Subject subject;
  subject.name = "the machine fake";
  subject.cpus.resize(1);
  subject.cpus[0].general.rip = 0x1000;
  subject.memory = [](Gpa from, std::span<std::byte> into) {
    if (from.value() + into.size() > 0x10000) return false;
    std::fill(into.begin(), into.end(), static_cast<std::byte>(from.value() >> 12));
    return true;
  };
  see(Inspector(std::move(subject)));
}

std::size_t FakeMachine::type(std::span<const std::uint8_t> keys) noexcept {
  const std::size_t taken = std::min<std::size_t>(keys.size(), 8);
  typed.append(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(taken));
  return taken;
}

SeriesReport FakeMachine::checkpoint_series(const CheckpointOptions& options, const SeriesOptions& series,
                                            const ProgressSink& progress) {
  last_series = series;
  SeriesReport report;
  for (; report.taken < series.count; ++report.taken) report.latest = checkpoint(options, progress);
  return report;
}

CheckpointReport FakeMachine::checkpoint(const CheckpointOptions& options, const ProgressSink& progress) {
  if (checkpoint_running.exchange(true)) throw Error("A checkpoint is being taken already: wait until it is done.");
  last_options = options;
  for (int i = 0; i < checkpoint_steps; ++i) {
    if (progress) progress({"memory", static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(checkpoint_steps)});
    nap(step_ms);
  }
  for (int waited = 0; checkpoint_held && waited < 10'000; ++waited) nap(1);
  CheckpointReport report;
  report.id = 7;
  report.repository = options.repository;
  report.vm = config_.name;
  report.strategy = Strategy::kCow;
  report.pause_us.total = 1234;
  report.memory.fault_us = {5, 50, 500};
  report.disks.push_back({"disk0", 4096});
  ++checkpoints;
  checkpoint_running = false;
  return report;
}

}  // namespace tintype
