// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/state/vcpu_state.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "devices/virtio/state.h"
#include "vmm/machine/page_walk.h"

namespace tintype {

/// A virtio device of a machine that stands still.
struct InspectedDevice {
  std::string name;  ///< "disk0"
  std::string kind;  ///< "virtio-blk"
  VirtioMmioStateV1 transport;
};
/// Of the records of a machine's state, those of virtio devices. Throws StateError where one is not sound.
std::vector<InspectedDevice> virtio_devices_in(std::span<const NamedState> states);

/// A machine that stands still, to be looked at: in a checkpoint, where it lies (nothing is restored and no KVM is
/// needed), or alive.
class Inspector {
 public:
  struct Subject {
    std::string name;  ///< for messages: "checkpoint 3", "the machine work"
    std::vector<VcpuRegisters> cpus;
    /// Guest physical memory; throws ImageError where what is asked for is damaged.
    ReadPhysical memory;
    std::vector<InspectedDevice> virtio;
  };
  explicit Inspector(Subject subject) : subject_(std::move(subject)) {}
  /// The checkpoint must hold memory and CPUs, and outlive this. Throws tintype::Error, StateError.
  explicit Inspector(const CheckpointReader& checkpoint);

  std::size_t cpus() const noexcept { return subject_.cpus.size(); }
  /// Throws tintype::Error where there is no such CPU.
  const VcpuRegisters& registers(std::uint64_t cpu) const {
    if (cpu < cpus()) return subject_.cpus[cpu];
    throw Error("{} has no CPU {}: it has {}, from 0 on", subject_.name, cpu, cpus());
  }
  const ReadPhysical& memory() const noexcept { return subject_.memory; }
  std::span<const InspectedDevice> virtio() const noexcept { return subject_.virtio; }

 private:
  Subject subject_;
};

}  // namespace tintype
