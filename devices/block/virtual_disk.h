// SPDX-License-Identifier: Apache-2.0
#pragma once

// A virtual disk is a stack: a raw base image and zero or more redo logs on top. Guest writes go to the
// topmost ("active") layer; reads find each sector in the highest layer that holds it. Capturing the state of
// an instant pushes a fresh log, so that everything below is frozen; when the copy is done the frozen logs
// are folded down into the base while the guest runs.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "devices/block/backend.h"
#include "vmm/base/words.h"

namespace tintype {

/// What becomes of updates. Only kPersistent is offered today; the others keep their log instead of folding
/// it.
enum class DiskMode : std::uint8_t { kPersistent, kUndoable, kNonpersistent };

template <>
inline constexpr auto kWords<DiskMode> = std::to_array<Word<DiskMode>>({{DiskMode::kPersistent, "persistent"},
                                                                        {DiskMode::kUndoable, "undoable", false},
                                                                        {DiskMode::kNonpersistent, "nonpersistent",
                                                                         false}});

struct DiskOptions {
  std::string id;  ///< "disk0", "disk1", ... in the order of --disk
  std::filesystem::path image;
  DiskMode mode = DiskMode::kPersistent;
  bool read_only = false;
  std::string serial;                   ///< by default the id
  std::filesystem::path log_directory;  ///< where redo logs lie; empty: beside the image
};

/// The disk as it was at one instant, readable while the guest goes on writing. While it exists nothing below
/// the active log changes.
class FrozenDisk {
 public:
  virtual ~FrozenDisk() = default;
  virtual std::uint64_t size() const noexcept = 0;
  /// Waits until I/O that was in flight at the instant of freezing has landed in the frozen layers (at most
  /// `limit_ms`; throws tintype::Error afterwards). Must be called before read() and next_data().
  virtual void wait_for_old_io(int limit_ms) = 0;
  /// Contents at `offset`, through the frozen stack. Blocks; any thread but the disk's I/O thread. Throws
  /// std::system_error.
  virtual void read(std::uint64_t offset, std::span<std::byte> into) = 0;
  /// The next range at or after `offset` that may hold something other than zeros (log extents, and data of
  /// the base per SEEK_DATA).
  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };
  virtual std::optional<Range> next_data(std::uint64_t offset) = 0;
};

class VirtualDisk : public BlockBackend {
 public:
  /// Opens and locks the image (OFD lock: exclusive, shared where read-only), folds in what a killed machine
  /// left in a redo log beside it, and refuses with one clear sentence: no such file, not a regular file or
  /// block device, empty, not a multiple of 512, in use, mode not offered.
  static std::unique_ptr<VirtualDisk> open(const DiskOptions& options);
  ~VirtualDisk() override = default;

  virtual const DiskOptions& options() const noexcept = 0;

  // The switch to a fresh log, in three steps. Step 2 is the only one inside the pause.
  /// 1. Guest running, checkpoint thread: creates the fresh log on disk. May block. Throws where it cannot
  /// (nothing has changed then).
  virtual void prepare_switch() = 0;
  /// 2. Machine paused and the device frozen: the fresh log becomes the active layer. A pointer swap. The
  /// requests in flight belong to the old epoch and land in the frozen layers.
  virtual std::unique_ptr<FrozenDisk> switch_to_fresh_log() noexcept = 0;
  /// Undoes step 1 where the capture fails before step 2.
  virtual void cancel_switch() noexcept = 0;
  /// 3. After the FrozenDisk is gone: starts folding the frozen layers down, as the mode demands, in the
  /// background. `on_done` is called on the folding thread with an empty text, or with what went wrong (the
  /// logs are then kept and still read through). May be null.
  virtual void start_fold(std::function<void(std::string error)> on_done) = 0;
  /// Number of redo logs above the base at this moment.
  virtual std::size_t log_count() const noexcept = 0;

  /// The machine has stopped: no more submit(). Waits for I/O in flight and for folding, folds what is left
  /// so that the base is whole and no log remains (persistent), flushes, unlocks. Throws what went wrong; the
  /// log is kept then.
  virtual void close() = 0;
};

}  // namespace tintype
