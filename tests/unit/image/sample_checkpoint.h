// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "checkpoint/image/checkpoint_writer.h"
#include "tests/unit/image/scratch.h"

namespace tintype::image_test {

// A small machine: memory in two regions with the hole between, two disks, one of which ends within a block.
inline constexpr std::uint64_t kMemoryBlocks = 64, kLowBlocks = 40;
inline constexpr std::uint64_t kHighStart = 0x100000000;
inline constexpr std::uint64_t kDisk0Bytes = 20 * kBlockSize, kDisk1Bytes = 5 * kBlockSize + 1024;

inline Bytes sample_memory(unsigned seed) {
  Bytes memory(kMemoryBlocks * kBlockSize);
  for (const std::size_t block : {0, 1, 2, 7, 38, 39, 40, 41, 63}) {
    std::ranges::copy(block % 2 == 0 ? noise(1, seed + static_cast<unsigned>(block)) : pattern(1, seed),
                      block_of(memory, block).begin());
  }
  return memory;
}

inline Bytes sample_disk(std::uint64_t bytes, unsigned seed) {
  Bytes disk = pattern((bytes + kBlockSize - 1) / kBlockSize, seed);
  std::ranges::fill(block_of(disk, 1), std::byte{0});
  disk.resize(bytes);
  return disk;
}

inline std::vector<NamedState> sample_states(unsigned seed) {
  const StateRecord record{
      "uart-16550",
      1,
      {{1, "line_control", std::uint64_t{3}}, {2, "received", StateBytes{1, 2, 3}}, {3, "seed", std::uint64_t{seed}}}};
  return {{"uart0", record}, {"vcpu0", {"vcpu", 1, {{1, "inner", std::vector<StateRecord>{record}}}}}};
}

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
  manifest.vm = "sample";
  manifest.machine = sample_machine();
  manifest.report.strategy = Strategy::kCow;
  manifest.report.pause_us = {900, 100, 200, 50, 300, 150, 100};
  manifest.report.memory.pages_total = kMemoryBlocks;
  manifest.report.memory.fault_us = {10, 90, 200};
  manifest.report.disks = {{"disk0", 123}, {"disk1", 456}};
  return manifest;
}

/// Everything written, nothing sealed.
inline std::unique_ptr<CheckpointWriter> written_sample(const std::filesystem::path& repository, unsigned seed,
                                                        Compression compression) {
  auto writer = std::make_unique<CheckpointWriter>(
      NewCheckpoint{repository, compression, kMemoryBlocks * kBlockSize, sample_machine().disks, 1 << 20});
  writer->memory_part().append(0, sample_memory(seed));
  writer->disk_part("disk0").append(0, sample_disk(kDisk0Bytes, seed + 100));
  writer->disk_part("disk1").append(0, sample_disk(kDisk1Bytes, seed + 200));
  writer->write_state(sample_states(seed));
  return writer;
}

inline Manifest write_sample(const std::filesystem::path& repository, unsigned seed,
                             Compression compression = Compression::kNone) {
  const auto writer = written_sample(repository, seed, compression);
  writer->sync();
  return writer->seal(sample_manifest());
}

}  // namespace tintype::image_test
