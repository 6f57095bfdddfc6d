// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "checkpoint/format/block_sink.h"
#include "checkpoint/format/manifest.h"
#include "checkpoint/state/codec.h"

namespace tintype {

/// One checkpoint as it is written. Order of calls: blocks and state, then sync(), then seal(). Destroyed before seal()
/// has returned, nothing is left of it. Every method may wait for the destination. Blocks and state may come from
/// several threads at the same time (BlockSink says how); all else from one, when nobody else is at it.
class CheckpointTarget {
 public:
  virtual ~CheckpointTarget() = default;
  virtual std::uint64_t id() const noexcept = 0;
  /// What a checkpoint must name to build on this one.
  virtual const std::string& identity() const noexcept = 0;
  /// A sentence for the user, where this checkpoint may come to need more room than there was when it was begun.
  virtual std::string concern() const { return {}; }
  virtual BlockSink& memory_part() = 0;
  virtual BlockSink& disk_part(std::string_view id) = 0;
  /// Once.
  virtual void write_state(std::span<const NamedState> states) = 0;
  /// Finishes all parts and waits until their data is on the device: the long half of sealing.
  virtual void sync() = 0;
  /// The manifest, made to last with all the rest, and given a name. Id, identity, parent, time, host, version and
  /// parts are filled in here; the rest (vm, machine, report) is the caller's. Returns the manifest as written.
  virtual Manifest seal(Manifest manifest) = 0;
};

}  // namespace tintype
