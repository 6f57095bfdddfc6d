// SPDX-License-Identifier: Apache-2.0
#pragma once

// tintype::Machine without KVM: this file's .cpp defines its methods, and the test program links it in place of the
// real ones.

#include <atomic>
#include <memory>

#include "vmm/machine/machine.h"

namespace tintype {

/// What the test lets the fake do, and what it saw. One machine at a time.
struct FakeMachine {
  std::atomic<int> pauses = 0;
  std::atomic<int> resumes = 0;
  std::atomic<int> checkpoints = 0;           ///< finished
  std::atomic<int> checkpoint_steps = 0;      ///< progress events of one checkpoint
  std::atomic<int> step_ms = 0;               ///< time that each takes
  std::atomic<bool> checkpoint_held = false;  ///< a checkpoint waits until this is false again
  std::atomic<bool> checkpoint_running = false;
  CheckpointOptions last_options;

  static FakeMachine& get();
  static std::unique_ptr<Machine> make();
};

}  // namespace tintype
