// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "checkpoint/format/block_source.h"
#include "checkpoint/store/checkpoint_writer.h"
#include "checkpoint/store/repository.h"
#include "tests/unit/format/sample_manifest.h"
#include "tests/unit/format/scratch.h"

namespace tintype::checkpoint_test {

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

}  // namespace tintype::checkpoint_test
