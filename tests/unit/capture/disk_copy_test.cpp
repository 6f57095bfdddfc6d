// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/disk_copy.h"

#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/store/checkpoint_writer.h"
#include "tests/unit/block/test_disk.h"
#include "tests/unit/capture/temporary_repository.h"

namespace tintype {
namespace {

constexpr std::uint64_t kDiskBytes = 1 << 20;

std::unique_ptr<CheckpointTarget> open_target(const std::string& repository) {
  NewCheckpoint wanted;
  wanted.repository = repository;
  wanted.memory_bytes = kBlockSize;
  wanted.disks = {{"disk0", "/disk.img", kDiskBytes, "persistent", false, ""}};
  return std::make_unique<CheckpointWriter>(wanted);
}

}  // namespace

TEST_CASE("whoever cancels does not wait for a host that has not finished what the guest wrote before the pause") {
  const TemporaryRepository repository;
  const TempDir directory;
  ScriptedDisk test(directory.image(kDiskBytes));
  test.hold_writes();
  PendingRequest write(*test.disk, BlockOperation::kWrite, 4096, 4096, 0x11);
  auto frozen = test.freeze();
  Cancellation cancellation;
  Destination destination([&] { return open_target(repository.path()); }, [](CheckpointTarget&) {}, cancellation);
  std::thread user([&] { cancellation.request(); });
  CHECK_THROWS_AS(copy_disk("disk0", *frozen, false, destination, cancellation, {}), Cancelled);
  user.join();
  frozen.reset();
  test.io->release_all();
  CHECK(write.done());
}

}  // namespace tintype
