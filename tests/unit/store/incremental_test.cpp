// SPDX-License-Identifier: Apache-2.0
// Checkpoints that hold what changed since their parent, in a repository.
#include <doctest/doctest.h>

#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/checkpoint_writer.h"
#include "checkpoint/store/operations.h"
#include "checkpoint/store/verify.h"
#include "tests/unit/store/sample_checkpoint.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;

ParentRef parent_of(const Manifest& manifest) { return {manifest.id, manifest.identity}; }

NewCheckpoint child_of(const fs::path& repository, const ParentRef& parent) {
  NewCheckpoint wanted{repository, Compression::kNone, kMemoryBlocks * kBlockSize, sample_machine().disks, 0};
  wanted.parent = parent;
  return wanted;
}

Manifest seal(CheckpointWriter& writer) {
  writer.write_state(sample_states(1));
  writer.sync();
  return writer.seal(sample_manifest());
}

}  // namespace

TEST_CASE("a checkpoint of changes shows all of the machine") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  const Manifest first = write_sample(repository, 1);
  CHECK(first.identity.size() == 32);
  CheckpointWriter writer(child_of(repository, parent_of(first)));
  CHECK(writer.memory_part().incremental());
  CHECK(writer.disk_part("disk0").incremental());
  writer.memory_part().append(3, noise(1, 9));
  writer.memory_part().append_zeros(39, 1);
  writer.disk_part("disk1").append(5, noise(1, 10));
  const Manifest second = seal(writer);
  CHECK(second.parent == 1);
  CHECK(second.parent_identity == first.identity);
  CHECK(second.identity == writer.identity());
  CHECK(second.identity != first.identity);
  CHECK(second.report.identity == second.identity);

  Bytes memory = sample_memory(1);
  std::ranges::copy(noise(1, 9), block_of(memory, 3).begin());
  std::ranges::fill(block_of(memory, 39), std::byte{0});
  const CheckpointReader reader(repository, 2);
  CHECK(content_of(reader.memory()) == memory);
  CHECK(content_of(*reader.disk("disk0")) == sample_disk(kDisk0Bytes, 101));
  Bytes disk = sample_disk(kDisk1Bytes, 201);
  std::copy_n(noise(1, 10).begin(), kDisk1Bytes % kBlockSize, disk.begin() + 5 * kBlockSize);
  CHECK(content_of(*reader.disk("disk1")) == disk);
  CHECK(content_of(CheckpointReader(repository, 1).memory()) == sample_memory(1));
  CHECK(verify_checkpoints(repository, std::nullopt).good());
  CHECK(verify_checkpoints(repository, 2).checkpoints == 2);
}

TEST_CASE("a disk that the parent has not, or of another size, is whole in the child; so is what is asked for whole") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  const Manifest first = write_sample(repository, 1);
  NewCheckpoint wanted = child_of(repository, parent_of(first));
  wanted.disks[1].size += 512;
  wanted.disks.push_back({"disk2", "/images/c.img", 3 * kBlockSize, "persistent", false, ""});
  wanted.full_parts = {"memory"};
  CheckpointWriter writer(wanted);
  CHECK_FALSE(writer.memory_part().incremental());
  CHECK(writer.disk_part("disk0").incremental());
  CHECK_FALSE(writer.disk_part("disk1").incremental());
  CHECK_FALSE(writer.disk_part("disk2").incremental());
  writer.write_state(sample_states(1));
  writer.sync();
  Manifest manifest = sample_manifest();
  manifest.machine.disks = wanted.disks;
  CHECK(writer.seal(manifest).id == 2);
  const CheckpointReader reader(repository, 2);
  CHECK(content_of(reader.memory()) == Bytes(kMemoryBlocks * kBlockSize));
  CHECK(content_of(*reader.disk("disk0")) == sample_disk(kDisk0Bytes, 101));
  CHECK(content_of(*reader.disk("disk1")) == Bytes(kDisk1Bytes + 512));
}

TEST_CASE("where the parent is gone, another one, or of another machine, only a full checkpoint can be taken") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  const Manifest first = write_sample(repository, 1);
  const auto refused = [&](const NewCheckpoint& wanted, const char* why) {
    CAPTURE(why);
    CHECK_THROWS_WITH_AS(CheckpointWriter{wanted}, doctest::Contains(why), ParentGone);
  };
  refused(child_of(repository, {7, first.identity}), "is not in");
  refused(child_of(repository, {1, new_identity()}), "is another one");
  NewCheckpoint other = child_of(repository, parent_of(first));
  other.memory_bytes += kBlockSize;
  refused(other, "bytes of memory");
  fs::resize_file(repository / "00000001" / "disk0.part", 5000);
  refused(child_of(repository, parent_of(first)), "disk0.part has 5000 bytes");
  fs::remove(repository / "00000001" / "disk0.part");
  refused(child_of(repository, parent_of(first)), "disk0.part is missing");
  CHECK(list_checkpoints(repository).size() == 1);
  for (const auto& entry : fs::directory_iterator(repository))
    CHECK_FALSE(entry.path().filename().string().starts_with(".tmp"));
}

}  // namespace tintype
