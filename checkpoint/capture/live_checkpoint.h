// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "checkpoint/capture/cancellation.h"
#include "checkpoint/capture/destination.h"
#include "checkpoint/capture/engine.h"
#include "checkpoint/capture/options.h"
#include "checkpoint/capture/strategy.h"
#include "checkpoint/capture/subject.h"
#include "checkpoint/format/report.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/checkpoint_writer.h"
#include "checkpoint/store/parent.h"
#include "vmm/base/progress.h"

namespace tintype {

/// What tests turn: other means than this host's.
struct CaptureMeans {
  MakeUserfault make_userfault = std::make_unique<Userfault>;
  std::function<UserfaultSupport()> probe_userfault = tintype::probe_userfault;
  Tracking tracking = probe_tracking().tracking;
  std::function<std::unique_ptr<MemoryCapture>(Strategy, CaptureEngine&)> make_capture = tintype::make_capture;
  std::function<std::unique_ptr<CheckpointTarget>(const NewCheckpoint&)> open_target = [](const NewCheckpoint& wanted) {
    return std::make_unique<CheckpointWriter>(wanted);
  };
  DestinationPatience patience;
};

/// Takes the checkpoints of one machine, one at a time, and keeps from one to the next what is costly to make.
class Checkpointer {
 public:
  /// The subject must outlive it.
  explicit Checkpointer(CaptureSubject& subject, CaptureMeans means = {});

  /// From the first preparation to the sealed directory. Blocks the calling thread; the guest stands still only during
  /// the pause. Throws what went wrong (Cancelled where somebody cancelled it); then the guest runs on, its disks are
  /// whole, and nothing half-made is left in the repository.
  CheckpointReport take(const CheckpointOptions& options, const ProgressSink& progress);

  /// The machine has just been restored from this checkpoint, and has not run yet: the next one builds on it.
  void begin_from(const ParentRef& checkpoint);
  /// The same where memory is still being brought in while it runs. Before the next one is taken, all is there, and
  /// memory_is_there() has been called.
  void begin_from_absent(const ParentRef& checkpoint);
  void memory_is_there(const MemoryTracker::AsSaved& as_saved);

  /// Disks are as they were at an earlier instant: the next one saves all of them.
  void disks_went_back() noexcept { disks_saved_ = false; }

  /// The checkpoint that is under way ends at once, whatever its destination does; where there is none, the next one
  /// ends before it begins, unless that is forgotten. Any thread.
  void cancel() noexcept { cancellation_.request(); }
  void forget_cancel() noexcept { cancellation_.clear(); }
  bool cancelled() const noexcept { return cancellation_.requested(); }

 private:
  friend class LiveCheckpoint;
  bool find_parent(const std::string& repository, const MachineDescription& machine);
  void forget_compared() noexcept;
  MemoryCapture& capture_for(Strategy strategy);

  CaptureSubject& subject_;
  const CaptureMeans means_;
  Cancellation cancellation_;
  CaptureEngine engine_;
  const std::shared_ptr<KnownManifests> known_ = std::make_shared<KnownManifests>();
  std::optional<ParentRef> latest_;  ///< what the next one may build on
  /// Where nobody knows what was written to disks since latest_: what they are compared with.
  std::shared_ptr<const CheckpointReader> compared_;
  bool found_damage_ = false;                        ///< in what was compared: nothing is, until a whole one is there
  bool memory_saved_ = false, disks_saved_ = false;  ///< in latest_, as they were when what was written was last kept
  bool concerned_ = false;                           ///< the user was told that the destination may be too small
  std::map<Strategy, std::unique_ptr<MemoryCapture>> captures_;  ///< made when they are first asked for
};

}  // namespace tintype
