// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tintype {

/// A virtio-mmio device that the kernel is to find.
struct VirtioSlot {
  std::uint64_t base = 0;
  std::uint64_t size = 0;
  std::uint32_t irq = 0;  ///< GSI
};

/// What is to be booted, and on what machine.
struct BootRequest {
  std::filesystem::path kernel;
  std::filesystem::path initrd;  ///< empty: none
  std::string append;            ///< the kernel's command line
  unsigned cpus = 1;             ///< with local APIC IDs 0, 1, ...
  std::vector<VirtioSlot> slots;
};

}  // namespace tintype
