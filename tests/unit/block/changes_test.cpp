// SPDX-License-Identifier: Apache-2.0
// In whose changes a write is, laid out by hand.

#include <cerrno>

#include <doctest/doctest.h>

#include "tests/unit/block/change_chain.h"
#include "tests/unit/block/test_disk.h"

namespace tintype {
namespace {

using Changes = std::vector<SectorRange>;

/// A scripted disk of 8 MiB of which a first checkpoint is saved: from now on it knows its changes. It has one log.
class SavedDisk : public ScriptedDisk {
 public:
  explicit SavedDisk(const TempDir& directory) : ScriptedDisk(directory.image(8 << 20)) {
    freeze();
    disk->changes_saved();
  }
};

SectorRange kib(std::uint64_t start, std::uint64_t end) { return {start * 2, end * 2}; }

}  // namespace

TEST_CASE("a write in flight at the switch is in the changes of the frozen disk that shows it, and of no other") {
  const TempDir directory;
  SavedDisk test(directory);
  test.hold_writes();
  PendingRequest old_write(*test.disk, BlockOperation::kWrite, 4096, 4096, 0x11);
  auto first = test.freeze();
  PendingRequest new_write(*test.disk, BlockOperation::kWrite, 64 << 10, 4096, 0x22);
  CHECK(changes_of(*first) == Changes{kib(4, 8)});
  test.io->release_all();
  CHECK(old_write.done());
  first->wait_for_old_io(1'000);
  CHECK(frozen_holds(*first, 4096, 4096, 0x11));
  test.disk->changes_saved();
  CHECK(changes_of(*test.freeze()) == Changes{kib(64, 68)});
  CHECK(changes_of(*first) == Changes{kib(4, 8)});
}

TEST_CASE("a disk that was written from a checkpoint has the changes that come after, and no others") {
  const TempDir directory;
  ScriptedDisk test(directory.image(8 << 20));
  test.disk->is_as_saved();
  CHECK(test.disk->changed_bytes() == 0);
  PendingRequest write(*test.disk, BlockOperation::kWrite, 64 << 10, 4096, 0x22);
  CHECK(write.done());
  CHECK(changes_of(*test.freeze()) == Changes{kib(64, 68)});
  CHECK(changes_of(*test.freeze()) == Changes{kib(64, 68)});  // it was not saved
}

TEST_CASE("a write that waits for one in flight at the switch is in the changes after it") {
  const TempDir directory;
  SavedDisk test(directory);
  test.hold_writes();
  PendingRequest old_write(*test.disk, BlockOperation::kWrite, 4096, 8192, 0x11);
  PendingRequest waiting(*test.disk, BlockOperation::kWrite, 8192, 8192, 0x22);
  auto first = test.freeze();
  test.io->release_all();
  CHECK(old_write.done());
  CHECK(waiting.done());
  first->wait_for_old_io(1'000);
  CHECK(changes_of(*first) == Changes{kib(4, 12)});
  CHECK(frozen_holds(*first, 4096, 8192, 0x11));
  test.disk->changes_saved();
  auto second = test.freeze();
  CHECK(changes_of(*second) == Changes{kib(8, 16)});
  CHECK(frozen_holds(*second, 8192, 8192, 0x22));
}

TEST_CASE("a write in parts is in the changes of either side of a switch, each part where it lands") {
  const TempDir directory;
  SavedDisk test(directory);
  test.hold_writes();
  PendingRequest write(*test.disk, BlockOperation::kWrite, 0, 1 << 20, 0x11);
  auto first = test.freeze();
  test.io->release_all();
  CHECK(write.done());
  first->wait_for_old_io(1'000);
  CHECK(changes_of(*first) == Changes{kib(0, 512)});
  CHECK(frozen_holds(*first, 0, 512 << 10, 0x11));
  CHECK(frozen_holds(*first, 512 << 10, 512 << 10, 0));
  test.disk->changes_saved();
  CHECK(changes_of(*test.freeze()) == Changes{kib(512, 1024)});
}

TEST_CASE("a write that found no room before the switch is in the changes after it") {
  const TempDir directory;
  SavedDisk test(directory);
  test.io->fail = [](const HostIo& io) { return io.kind == HostIo::Kind::kWrite ? ENOSPC : 0; };
  PendingRequest write(*test.disk, BlockOperation::kWrite, 4096, 4096, 0x11);
  CHECK_FALSE(write.done());
  REQUIRE(test.disk->waits_for_room());
  auto first = test.freeze();
  test.disk->changes_saved();
  test.io->fail = nullptr;
  for (int i = 0; i < 10'000 && !write.done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  REQUIRE(write.result() == 0);
  CHECK(changes_of(*test.freeze()) == Changes{kib(4, 8)});
}

TEST_CASE("a write that failed half-way is in the changes: some of it may be on the disk") {
  const TempDir directory;
  SavedDisk test(directory);
  CHECK(test.driver->fill(8192, 4096, 0x11) == 0);
  ChangeChain chain(8 << 20);
  auto first = test.freeze();
  CHECK(test.driver->fill(8192, 4096, 0x22) == 0);
  auto base = chain.next(*first);
  base.picture = base.whole;
  chain.save(std::move(base));
  test.disk->changes_saved();

  std::size_t writes = 0;
  test.io->fail = [&](const HostIo& io) { return io.kind == HostIo::Kind::kWrite && ++writes == 2 ? EIO : 0; };
  PendingRequest write(*test.disk, BlockOperation::kWrite, 8192, 8192, 0x33);  // over what is held, and beyond
  CHECK(write.done());
  CHECK(write.result() == EIO);
  test.io->fail = nullptr;
  auto second = test.freeze();
  CHECK(frozen_holds(*second, 8192, 4096, 0x33));
  CHECK(chain.next(*second).holds());
}

TEST_CASE("sectors count as the whole blocks that they lie in") {
  const TempDir directory;
  const auto image = directory.image((1 << 20) + 512);
  TestDisk test(image);
  test.freeze();
  test.disk->changes_saved();
  CHECK(test.driver->fill(4096 - 512, 1024, 0x11) == 0);
  CHECK(test.driver->fill(64 << 10, 512, 0) == 0);
  CHECK(test.driver->fill(1 << 20, 512, 0x11) == 0);
  const auto frozen = test.freeze();
  CHECK(changes_of(*frozen) == Changes{kib(0, 8), kib(64, 68), {2048, 2049}});
  CHECK(frozen->next_change(6000)->offset == 4096);
  CHECK_FALSE(frozen->next_change((1 << 20) + 512).has_value());
}

TEST_CASE("the changes of checkpoints that failed are in the next ones too") {
  const TempDir directory;
  TestDisk test(directory.image(8 << 20));
  test.freeze();
  test.disk->changes_saved();
  CHECK(test.driver->fill(4096, 4096, 0x11) == 0);
  const auto first = test.freeze();
  CHECK(test.driver->fill(64 << 10, 4096, 0x22) == 0);
  const auto second = test.freeze();
  CHECK(test.driver->fill(128 << 10, 4096, 0x33) == 0);
  test.disk->prepare_switch();  // and one that fails before its switch
  test.disk->cancel_switch();
  const auto third = test.freeze();
  CHECK(changes_of(*first) == Changes{kib(4, 8)});
  CHECK(changes_of(*second) == Changes{kib(4, 8), kib(64, 68)});
  CHECK(changes_of(*third) == Changes{kib(4, 8), kib(64, 68), kib(128, 132)});
  test.disk->changes_saved();
  CHECK(changes_of(*test.freeze()).empty());
}

TEST_CASE("everything has changed until a first checkpoint is saved, on a disk opened again too") {
  const TempDir directory;
  const auto image = directory.image(1 << 20);
  for (int opened = 0; opened < 2; ++opened) {
    TestDisk test(image);
    CHECK(test.disk->changed_bytes() == 1 << 20);
    CHECK(changes_of(*test.freeze()) == Changes{kib(0, 1024)});
    CHECK(test.disk->changed_bytes() == 1 << 20);
    CHECK(changes_of(*test.freeze()) == Changes{kib(0, 1024)});  // the first one failed
    test.disk->changes_saved();
    CHECK(changes_of(*test.freeze()).empty());
    test.abandon();
  }
}

TEST_CASE("a read-only disk changes no more once it is saved") {
  const TempDir directory;
  VirtualDisk disk(options_for(directory.image(1 << 20), true));
  disk.prepare_switch();
  CHECK(changes_of(*disk.switch_to_fresh_log()) == Changes{kib(0, 1024)});
  disk.changes_saved();
  disk.prepare_switch();
  CHECK(changes_of(*disk.switch_to_fresh_log()).empty());
  CHECK(disk.changed_bytes() == 0);
}

TEST_CASE("a disk tells how much has changed since it was saved") {
  const TempDir directory;
  TestDisk test(directory.image(8 << 20));
  test.freeze();
  test.disk->changes_saved();
  CHECK(test.disk->changed_bytes() == 0);
  CHECK(test.driver->fill(4096, 4096, 0x11) == 0);
  CHECK(test.driver->fill(8192, 512, 0x11) == 0);
  CHECK(test.driver->fill(8192, 512, 0x22) == 0);
  CHECK(test.disk->changed_bytes() == 8192);
  test.freeze();
  CHECK(test.disk->changed_bytes() == 8192);
  CHECK(test.driver->fill(64 << 10, 4096, 0x11) == 0);
  CHECK(test.disk->changed_bytes() == 12288);
  test.freeze();
  CHECK(test.disk->changed_bytes() == 12288);
  test.disk->changes_saved();
  CHECK(test.disk->changed_bytes() == 0);
}

TEST_CASE("committing is no change") {
  const TempDir directory;
  TestDisk test(directory.image(8 << 20));
  test.freeze();
  test.disk->changes_saved();
  CHECK(test.driver->fill(4096, 4096, 0x11) == 0);
  CHECK(test.commit() == "");
  CHECK(test.disk->log_count() == 0);
  CHECK(changes_of(*test.freeze()) == Changes{kib(4, 8)});
  test.disk->changes_saved();
  CHECK(test.commit() == "");
  CHECK(changes_of(*test.freeze()).empty());
}

}  // namespace tintype
