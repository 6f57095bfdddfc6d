// SPDX-License-Identifier: Apache-2.0
// A checkpoint that a program of version 0.1.0 wrote, in format 1 (tests/data/README.md).
#include <algorithm>
#include <array>
#include <cstring>

#include <doctest/doctest.h>

#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/checkpoint_writer.h"
#include "checkpoint/store/export.h"
#include "checkpoint/store/operations.h"
#include "checkpoint/store/repository.h"
#include "checkpoint/store/tidy.h"
#include "checkpoint/store/verify.h"
#include "tests/unit/format/scratch.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;

constexpr std::uint64_t kNonce = 0xf9e3c0d0074c9df0;

fs::path copy_of_old_repository(const ScratchDirectory& scratch) {
  fs::copy(TINTYPE_TEST_DATA "/format-1", scratch / "r", fs::copy_options::recursive);
  return scratch / "r";
}

Bytes old_disk() {
  Bytes disk(300 * kBlockSize + 512);
  for (const std::size_t block : {0, 1, 2, 50, 120, 299})
    std::ranges::fill(block_of(disk, block), static_cast<std::byte>(block % 250 + 1));
  std::fill_n(disk.end() - 512, 512, std::byte{0xaa});
  return disk;
}

bool holds_nonce(const Bytes& memory) {
  std::array<std::byte, sizeof kNonce> bytes{};
  std::memcpy(bytes.data(), &kNonce, sizeof kNonce);
  return std::search(memory.begin(), memory.end(), bytes.begin(), bytes.end()) != memory.end();
}

}  // namespace

TEST_CASE("a checkpoint of format 1 is shown, verified and exported") {
  const ScratchDirectory scratch;
  const fs::path repository = copy_of_old_repository(scratch);
  const Manifest manifest = show_checkpoint(repository, std::nullopt);
  CHECK(manifest.format == 1);
  CHECK(manifest.vm == "old");
  CHECK(manifest.parent == 0);
  const std::string text = show_checkpoint_json(repository, 1);
  CHECK(text.find("\"format\": 1") != std::string::npos);
  CHECK(text.find(manifest.identity) != std::string::npos);
  CHECK(list_checkpoints(repository).front().problem.empty());
  const Verification result = verify_checkpoints(repository, std::nullopt);
  CHECK(result.good());
  CHECK(result.checkpoints == 1);
  export_memory(repository, 1, scratch / "memory");
  export_disk(repository, 1, "disk0", scratch / "disk");
  CHECK(fs::file_size(scratch / "memory") == 4 << 20);
  CHECK(holds_nonce(read_file(scratch / "memory")));
  CHECK(read_file(scratch / "disk") == old_disk());
}

TEST_CASE("a checkpoint of format 1 can be built on, deleted and merged") {
  const ScratchDirectory scratch;
  const fs::path repository = copy_of_old_repository(scratch);
  const Manifest old = show_checkpoint(repository, 1);
  NewCheckpoint wanted{repository, Compression::kNone, old.machine.memory, old.machine.disks, 0};
  wanted.parent = ParentRef{1, old.identity};
  CheckpointWriter writer(wanted);
  writer.disk_part("disk0").append(1, noise(1, 1));
  writer.disk_part("disk0").append_zeros(50, 1);
  writer.write_state(CheckpointReader(repository, 1).states());
  writer.sync();
  Manifest manifest;
  manifest.vm = old.vm;
  manifest.machine = old.machine;
  CHECK(writer.seal(manifest).parent_identity == old.identity);

  Bytes disk = old_disk();
  std::ranges::copy(noise(1, 1), block_of(disk, 1).begin());
  std::ranges::fill(block_of(disk, 50), std::byte{0});
  export_disk(repository, 2, "disk0", scratch / "before");
  CHECK(read_file(scratch / "before") == disk);
  CHECK(Repository::open(repository).remove(1).kept_as_base);
  CHECK(tidy_chains(repository, {}, {[](std::span<const std::uint64_t>) { return true; }}).merged.size() == 1);
  CHECK(show_checkpoint(repository, 2).format == 2);
  export_disk(repository, 2, "disk0", scratch / "after");
  export_memory(repository, 2, scratch / "memory");
  CHECK(read_file(scratch / "after") == disk);
  CHECK(holds_nonce(read_file(scratch / "memory")));
  CHECK(verify_checkpoints(repository, std::nullopt).good());
}

}  // namespace tintype
