// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "vmm/base/state.h"
#include "vmm/machine/guest.h"
#include "vmm/machine/marked_memory.h"

namespace tintype {

/// An instant of a machine to which it can go back in place, again and again: memory, CPUs, interrupt controllers,
/// timers, devices, and disks, of which each has a fresh redo log since then that is dropped. While there is one, no
/// log is committed to its image.
///
/// Everything is called with the machine paused and the devices frozen, but for the constructor and finish().
class Mark {
 public:
  /// Guest running: prepares the disks. Throws tintype::Error; nothing has changed then.
  explicit Mark(Guest& guest);
  /// Guest running: the logs that were held may be committed again. The disks are still open.
  ~Mark();
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;

  /// This is the instant. `previous`, where it is not null, is the machine's last mark, and good no longer. Throws what
  /// went wrong; then it is as good as before.
  void take(Mark* previous);
  /// Guest running again, after take(): what may wait for a disk. Throws tintype::Error; it is a mark all the same.
  void finish();

  struct Return {
    std::uint64_t pages = 0;  ///< that had been written
    bool disks = false;       ///< one of them had been written to
  };
  /// Back to it. Waits for host I/O that is in flight. Throws what went wrong with `half_way` true where the machine is
  /// then neither here nor there.
  Return go_back(bool& half_way);

 private:
  void quieten_disks();

  Guest& guest_;
  std::size_t prepared_ = 0;  ///< disks that could still be left as they are
  std::vector<std::unique_ptr<FrozenDisk>> disks_;
  Processors::Remembered vcpus_;
  using States = std::vector<std::pair<Stateful*, StateRecord>>;
  States platform_, devices_;  ///< KVM's, but for the vCPUs; and ours
  std::unique_ptr<MarkedMemory> memory_;
};

}  // namespace tintype
