// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tintype {

/// The wire from a device to the interrupt controllers. Called on any thread; never blocks.
class IrqLine {
 public:
  virtual ~IrqLine() = default;
  /// Holds the line asserted or not (16550: level seen by an edge-triggered pin).
  virtual void set(bool asserted) noexcept = 0;
  /// One edge (virtio). Edges that come faster than the guest takes them merge.
  virtual void pulse() noexcept = 0;
};

}  // namespace tintype
