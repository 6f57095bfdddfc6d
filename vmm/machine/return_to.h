// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "checkpoint/restore/in_place.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "vmm/machine/guest.h"
#include "vmm/machine/mark.h"

namespace tintype {

/// The way of a running machine to a checkpoint, in place. All of its memory is there.
class ReturnTo {
 public:
  /// Guest running: refuses a checkpoint of another kind of machine, and makes what may wait for a disk. Throws
  /// tintype::Error.
  ReturnTo(Guest& guest, const CheckpointReader& checkpoint);
  /// Where it was not gone: nothing has changed.
  ~ReturnTo();
  ReturnTo(const ReturnTo&) = delete;
  ReturnTo& operator=(const ReturnTo&) = delete;

  // Machine paused, devices frozen.
  /// Reads and checks everything, and makes all that has to be made. Throws tintype::Error; nothing has changed then.
  void look();
  /// After look(). Throws where the machine is then neither here nor there.
  Mark::Return go();

 private:
  void compare_disks();
  void cancel() noexcept;

  Guest& guest_;
  const CheckpointReader& checkpoint_;
  Processors::Remembered vcpus_;
  std::unique_ptr<MemoryDifference> memory_;
  std::size_t prepared_ = 0;  ///< disks
  bool disks_differ_ = false;
};

}  // namespace tintype
