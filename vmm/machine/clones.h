// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "vmm/machine/machine.h"

namespace tintype {

class CheckpointReader;
class MemoryImage;
class SharedImages;

/// A checkpoint that machines are restored from side by side: opened, checked, then its memory read, once. The process
/// that has it forks, and each child makes one machine.
class CloneSource {
 public:
  /// No threads are left when this returns. `options.name` and `options.serial` are not looked at. Throws
  /// tintype::Error.
  CloneSource(const RestoreOptions& options, const ProgressSink& progress);
  ~CloneSource();

  /// Shares memory with all others until it writes to it, and so it does disks: what it writes to them nobody else
  /// sees, and it goes with the machine. Nothing runs yet.
  std::unique_ptr<Machine> make(const std::string& name, const SerialConfig& serial,
                                const ProgressSink& progress) const;

 private:
  void check_machine() const;

  RestoreOptions options_;
  std::shared_ptr<const CheckpointReader> checkpoint_;
  std::unique_ptr<const SharedImages> images_;
  std::shared_ptr<const MemoryImage> memory_;
};

}  // namespace tintype
