// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/disk_copy.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/store/checkpoint_writer.h"
#include "tests/unit/block/test_disk.h"
#include "tests/unit/capture/temporary_repository.h"
#include "vmm/base/overflow.h"

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

/// The disk of a parent, over which an incremental copy is laid.
class Picture final : public BlockSink {
 public:
  explicit Picture(std::vector<std::byte>& bytes) : bytes_(bytes) {}
  bool incremental() const noexcept override { return true; }
  Appended append(std::uint64_t first_block, std::span<const std::byte> data) override {
    handed_over += data.size();
    std::ranges::copy(data, bytes_.begin() + static_cast<std::ptrdiff_t>(first_block * kBlockSize));
    return {};
  }
  Appended append_zeros(std::uint64_t first_block, std::uint64_t blocks) override {
    std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(first_block * kBlockSize), blocks * kBlockSize,
                std::byte{0});
    return {};
  }
  void drop(const Ticket&) override {}
  void finish() override {}

  std::atomic<std::uint64_t> handed_over = 0;

 private:
  std::vector<std::byte>& bytes_;
};

class PictureTarget final : public CheckpointTarget {
 public:
  explicit PictureTarget(std::shared_ptr<Picture> disk) : disk_(std::move(disk)) {}
  std::uint64_t id() const noexcept override { return 2; }
  const std::string& identity() const noexcept override { return identity_; }
  BlockSink& memory_part() override { return *disk_; }
  BlockSink& disk_part(std::string_view) override { return *disk_; }
  void write_state(std::span<const NamedState>) override {}
  void sync() override {}
  Manifest seal(Manifest manifest) override { return manifest; }

 private:
  const std::shared_ptr<Picture> disk_;
  const std::string identity_;
};

}  // namespace

TEST_CASE("of a large discard, what came to hold data again is copied, and the rest is said to be zero, unread") {
  constexpr std::uint64_t kSize = (32 << 20) - 512;
  const TempDir directory;
  TestDisk test(directory.image(kSize));
  REQUIRE(test.driver->fill(0, kSize, 0x11) == 0);
  test.freeze();
  std::vector<std::byte> before(align_up(kSize, kBlockSize), std::byte{0x11});
  test.disk->changes_saved();
  REQUIRE(test.driver->zero(4096, kSize - 4096) == 0);
  REQUIRE(test.driver->fill(5 << 20, 4608, 0x22) == 0);
  REQUIRE(test.driver->fill(kSize - 1024, 512, 0x33) == 0);
  REQUIRE(test.commit().empty());
  const auto frozen = test.freeze();
  const auto picture = std::make_shared<Picture>(before);
  const Cancellation cancellation;
  Destination destination([&] { return std::make_unique<PictureTarget>(picture); }, [](CheckpointTarget&) {},
                          cancellation);
  copy_disk("disk0", *frozen, true, destination, cancellation, {});
  destination.run([](CheckpointTarget&) {});
  std::vector<std::byte> whole(kSize);
  frozen->read(0, whole);
  CHECK(std::equal(whole.begin(), whole.end(), before.begin()));
  CHECK(whole[5 << 20] == std::byte{0x22});
  CHECK(picture->handed_over < kSize / 2);
}

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
