// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "checkpoint/format/manifest.h"

namespace tintype::checkpoint_test {

// A small machine: memory in two regions with the hole between, two disks, one of which ends within a block.
inline constexpr std::uint64_t kMemoryBlocks = 64, kLowBlocks = 40;
inline constexpr std::uint64_t kHighStart = 0x100000000;
inline constexpr std::uint64_t kDisk0Bytes = 20 * kBlockSize, kDisk1Bytes = 5 * kBlockSize + 1024;

inline MachineDescription sample_machine() {
  MachineDescription machine;
  machine.memory = kMemoryBlocks * kBlockSize;
  machine.cpus = 2;
  machine.kernel = "/boot/vmlinuz";
  machine.append = "console=ttyS0";
  machine.regions = {{0, kLowBlocks * kBlockSize, 0},
                     {kHighStart, (kMemoryBlocks - kLowBlocks) * kBlockSize, kLowBlocks}};
  machine.disks = {{"disk0", "/images/a.img", kDisk0Bytes, "persistent", false, "disk0"},
                   {"disk1", "/images/b.img", kDisk1Bytes, "undoable", true, "B"}};
  machine.cpu = {"AuthenticAMD", "EPYC", {"avx2", "svm"}};
  return machine;
}

inline Manifest sample_manifest() {
  Manifest manifest;
  manifest.identity = "0123456789abcdef0123456789abcdef";
  manifest.vm = "sample";
  manifest.machine = sample_machine();
  manifest.report.strategy = Strategy::kCow;
  manifest.report.pause_us = {900, 100, 200, 50, 300, 150, 100};
  manifest.report.memory.pages_total = kMemoryBlocks;
  manifest.report.memory.fault_us = {10, 90, 200};
  manifest.report.disks = {{"disk0", 123}, {"disk1", 456}};
  return manifest;
}

}  // namespace tintype::checkpoint_test
