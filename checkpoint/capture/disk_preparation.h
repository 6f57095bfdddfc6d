// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <span>

#include "checkpoint/capture/cancellation.h"
#include "vmm/base/freezable_disk.h"

namespace tintype {

/// The fresh logs of a checkpoint's disks in the making: all at once, since each waits for the host's file system,
/// which writes what several wait for in one go. Each has a thread of its own, which can be left behind where that file
/// system hangs: it touches nothing but what it owns, and takes away what it has made when the host lets go of it.
class DiskPreparation {
 public:
  /// Begins with all of them. Throws what is known beforehand; then none of them has changed. The disks must outlive
  /// this.
  DiskPreparation(std::span<FreezableDisk* const> disks, std::chrono::milliseconds patience);
  /// What has been made is undone, unless it has been switched to; waits `patience` for what is being made.
  ~DiskPreparation();
  DiskPreparation(const DiskPreparation&) = delete;
  DiskPreparation& operator=(const DiskPreparation&) = delete;

  /// Returns when all are made. Throws the first failure, when all have ended; or Cancelled, when they have, or after
  /// `patience`.
  void wait(const Cancellation& cancellation);
  /// The disks have their fresh logs: there is nothing to undo any more.
  void switched() noexcept { disks_ = {}; }

 private:
  struct Shared;
  void cancel() noexcept;

  std::span<FreezableDisk* const> disks_;
  std::chrono::milliseconds patience_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace tintype
