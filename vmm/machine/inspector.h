// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/state/vcpu_state.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "vmm/machine/page_walk.h"

namespace tintype {

/// The machine in a checkpoint, to be looked at where it lies: nothing is restored and no KVM is needed.
class Inspector {
 public:
  /// The checkpoint must hold memory and CPUs, and outlive this. Throws tintype::Error, StateError.
  explicit Inspector(const CheckpointReader& checkpoint);

  std::size_t cpus() const noexcept { return cpus_.size(); }
  /// Throws tintype::Error where there is no such CPU.
  const VcpuRegisters& registers(std::uint64_t cpu) const;

  /// Guest physical memory. Throws ImageError where what is asked for is damaged.
  ReadPhysical memory() const {
    return [this](Gpa from, std::span<std::byte> into) { return read(from, into); };
  }

 private:
  bool read(Gpa from, std::span<std::byte> into) const;

  const CheckpointReader& checkpoint_;
  std::vector<VcpuRegisters> cpus_;
};

}  // namespace tintype
