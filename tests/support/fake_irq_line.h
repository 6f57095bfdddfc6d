// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "devices/irq_line.h"

namespace tintype {

/// Remembers what a device did to its line. Any thread.
class FakeIrqLine final : public IrqLine {
 public:
  void set(bool asserted) noexcept override {
    const bool was = asserted_.exchange(asserted);
    if (asserted && !was) ++edges_;
  }
  void pulse() noexcept override { ++pulses_; }

  bool asserted() const noexcept { return asserted_; }
  /// How often set() took the line from low to high.
  unsigned edges() const noexcept { return edges_; }
  unsigned pulses() const noexcept { return pulses_; }

 private:
  std::atomic<bool> asserted_ = false;
  std::atomic<unsigned> edges_ = 0;
  std::atomic<unsigned> pulses_ = 0;
};

}  // namespace tintype
