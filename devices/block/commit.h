// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "devices/block/commit_gate.h"
#include "devices/block/commit_pace.h"
#include "devices/block/disk_core.h"
#include "vmm/base/freezable_disk.h"

namespace tintype {

/// Copies `extent` of the log to its place in the base, on this thread: zeros by punching a hole. Throws
/// std::system_error.
void copy_extent(const RedoLog& log, RawFile& base, const ExtentIndex::Extent& extent, std::vector<std::byte>& buffer);

/// Writes sectors of the disk to a log, on this thread: data, then records. Nobody else writes to these sectors of it
/// meanwhile. Throws std::system_error.
void write_to_log(DiskCore& core, RedoLog& log, const SectorRange& range, std::span<const std::byte> data);

/// The thread that makes a stack short again while the guest runs. It works in small steps, between which a
/// switch may come: first each frozen log, from the lowest up, is copied to the base and deleted; then the
/// active log is committed live (see LiveCommit) until the base is all there is. Where logs are kept, what lies above
/// them goes into the highest of them instead, and the base is left alone.
class Committer {
 public:
  Committer(std::shared_ptr<DiskCore> core, std::shared_ptr<CommitGate> gate);
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  using OnDone = FreezableDisk::CommitDone;
  /// Asks for the stack to become short. `on_done` is called on the committing thread, with an
  /// empty text when it is.
  void start(OnDone on_done);

 private:
  enum class Step : std::uint8_t { kMore, kWait, kFinished };

  void run() noexcept;
  Step step();
  void leave_disk_to_guest(CommitPace::Duration step) const;
  std::vector<OnDone> take_listeners() noexcept;
  void announce_commit(const LayerStack& stack);
  Step commit_frozen(const std::shared_ptr<const LayerStack>& stack);
  Step commit_active(const std::shared_ptr<const LayerStack>& stack);
  void copy(const LayerStack& stack, const ExtentIndex::Extent& extent);
  void make_durable_below(const LayerStack& stack);
  void drop_frozen(const std::shared_ptr<const LayerStack>& stack);
  Step drop_mirrored(const std::shared_ptr<const LayerStack>& stack);
  void declare_void(const LayerStack& stack);
  void declare_merged(RedoLog& kept, std::uint64_t sequence);
  void forget(RedoLog& log, const LayerStack& shorter);
  void bury();

  const std::shared_ptr<DiskCore> core_;
  const std::shared_ptr<CommitGate> gate_;

  std::mutex mutex_;  ///< guards on_done_
  std::vector<OnDone> on_done_;

  // The committing thread's own.
  std::uint64_t landed_epoch_ = 0;   ///< writes of it and before are known to have landed
  const RedoLog* frozen_ = nullptr;  ///< the log that cursor_ belongs to
  std::uint64_t cursor_ = 0;
  std::vector<std::shared_ptr<RedoLog>> dead_;  ///< dropped logs that requests in flight may still read
  std::vector<std::byte> buffer_;

  std::thread thread_;  ///< last: it uses all the above
};

}  // namespace tintype
