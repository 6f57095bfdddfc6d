// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "checkpoint/capture/cancellation.h"
#include "vmm/cli/values.h"
#include "vmm/machine/machine.h"

namespace tintype {

class Output;

/// A machine about to run: what `run` and `restore` have in common.
struct Launch {
  std::string name;
  bool detach = false;
  /// Builds the machine (boots or restores it); called once, in the process that will run it. Ends early with Cancelled
  /// where that is asked for by a signal.
  std::function<std::unique_ptr<Machine>(const Cancellation&)> make;
  std::vector<BackupPlan> backups{};  ///< from the beginning
  GdbOption gdb{};
};

/// Claims the name, builds the machine, opens its control socket and runs it. In the foreground it returns when the
/// machine has ended, with the exit status that the guest asked for. With `detach` it returns when the machine runs
/// (0); the machine then lives in a child process.
int launch(const Launch& launch, Output& output);

/// Several machines in the background, each in a child process of its own. Returns when all of them run, or have failed
/// to; throws the first failure, and says how many run.
int launch_side_by_side(std::span<const Launch> launches, Output& output);

}  // namespace tintype
