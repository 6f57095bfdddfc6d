// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/lazy_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <future>
#include <thread>

#include <doctest/doctest.h>

#include "tests/support/host_calls.h"
#include "tests/support/skip.h"
#include "tests/support/small_file_system.h"
#include "tests/unit/restore/scripted_source.h"
#include "vmm/base/image_note.h"
#include "vmm/base/io.h"
#include "vmm/base/unnamed_file.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kDisk = (8 << 20) + 512;  // the last block is not whole

/// One that goes over three pieces of the image, one that stands alone, one at the very end; the rest is zero.
std::shared_ptr<ScriptedSource> source() {
  return std::make_shared<ScriptedSource>(
      kDisk, std::vector<ScriptedSource::Stretch>{{10, 600}, {1300, 1}, {kDisk / kBlockSize - 1, 2}});
}

struct Image {
  Image() {
    REQUIRE(::ftruncate(file.fd(), kDisk) == 0);
    CHECK(write_incomplete_note(file.fd(), {"identity", 7, "disk0", "/a repository"}));
  }
  UniqueFd descriptor() const { return UniqueFd(::dup(file.fd())); }
  bool has(std::uint64_t block) const {
    const std::uint64_t bytes = std::min(kBlockSize, kDisk - block * kBlockSize);
    std::vector<std::byte> found(bytes), wanted(kBlockSize);
    read_exactly(file.fd(), found, block * kBlockSize, "image");
    ScriptedSource::fill(block, wanted);
    wanted.resize(bytes);
    return found == wanted;
  }
  bool is_zero(std::uint64_t block) const {
    std::vector<std::byte> found(kBlockSize);
    read_exactly(file.fd(), found, block * kBlockSize, "image");
    return found == std::vector<std::byte>(kBlockSize);
  }

  UnnamedFile file{std::filesystem::temp_directory_path()};
  std::filesystem::path path = std::filesystem::temp_directory_path() / "image";
};

}  // namespace

TEST_CASE("what is asked for is brought, and nothing else; zeros are there from the beginning") {
  const Image image;
  LazyDisk disk(source(), image.descriptor(), image.path, false);
  CHECK(disk.bytes_left() == (5 << 20) + 512);
  CHECK(disk.is_there(3 << 20, 1 << 20));
  CHECK_FALSE(disk.is_there(512, 512));
  CHECK(*disk.next_absent(0) == 0);
  disk.bring(300 * kBlockSize, 512);
  CHECK(image.has(300));
  CHECK(image.is_zero(20));
  CHECK(*disk.next_absent(1 << 20) == 2 << 20);
  disk.bring(0, kDisk);
  for (const std::uint64_t block : {10, 255, 256, 609, 1300, 2047, 2048}) CHECK(image.has(block));
  for (const std::uint64_t block : {0, 9, 610, 1299, 1301, 2046}) CHECK(image.is_zero(block));
  CHECK(disk.bytes_left() == 0);
  CHECK(read_incomplete_note(image.file.fd()));  // it was never to be whole
}

TEST_CASE("an image becomes whole in the background, and only then stops saying that it is not") {
  const Image image;
  const auto slow = source();
  slow->delay = 20ms;
  LazyDisk disk(slow, image.descriptor(), image.path, true);
  CHECK(read_incomplete_note(image.file.fd())->repository == "/a repository");
  std::promise<bool> whole;
  std::atomic<bool> begun = false;
  disk.start({[&] { begun = true; }, [&] { whole.set_value(begun && !read_incomplete_note(image.file.fd())); }});
  disk.finish();
  CHECK(whole.get_future().get());
  for (const std::uint64_t block : {10, 609, 1300, 2048}) CHECK(image.has(block));
}

TEST_CASE("damage is told to whoever asked, and does not make an image whole") {
  const Image image;
  const auto damaged = source();
  damaged->fails = 1;
  LazyDisk disk(damaged, image.descriptor(), image.path, true);
  CHECK_THROWS_AS(disk.bring(1300 * kBlockSize, 512), ImageError);
  CHECK(disk.problem() == "extent 1 is damaged");
  disk.start({});
  CHECK_THROWS_AS(disk.finish(), Error);
  CHECK(read_incomplete_note(image.file.fd()));
  damaged->fails = -1;
  disk.bring(1300 * kBlockSize, 512);
  CHECK(image.has(1300));
  CHECK(disk.problem().empty());
}

TEST_CASE("what could not be completed is tried again by whoever waits for that, and when something could be brought") {
  const Image image;
  const auto damaged = source();
  damaged->fails = 1;
  LazyDisk disk(damaged, image.descriptor(), image.path, true);
  unsigned begun = 0;
  disk.start({[&] {
                if (++begun == 1) throw Error("not yet");
              },
              {}});
  while (disk.problem().empty()) std::this_thread::yield();
  CHECK_THROWS_WITH_AS(disk.finish(), doctest::Contains("extent 1 is damaged"), Error);
  damaged->fails = -1;
  SUBCASE("by whoever waits") { disk.finish(); }
  SUBCASE("when another piece came") {
    disk.bring(2047 * kBlockSize, 512);
    while (disk.bytes_left() != 0) std::this_thread::yield();
    disk.finish();
  }
  CHECK(begun > 1);
  CHECK_FALSE(read_incomplete_note(image.file.fd()));
}

TEST_CASE("what failed in the background comes by itself when the host can again, and at once when it is told to") {
  const Image image;
  const auto damaged = source();
  damaged->fails = 1;
  LazyDisk disk(damaged, image.descriptor(), image.path, true);
  disk.start({});
  while (disk.problem().empty()) std::this_thread::yield();
  damaged->fails = -1;
  SUBCASE("by itself") {}
  SUBCASE("when it is told to") { disk.go_on(); }
  while (read_incomplete_note(image.file.fd())) std::this_thread::sleep_for(1ms);
  disk.finish();
  CHECK(disk.problem().empty());
}

TEST_CASE("what the host lost of an image, and said so once, is brought again") {
  const Image image;
  std::atomic<bool> lost = false;
  const HostCalls calls(
      [&](HostCalls::Moment moment, const std::filesystem::path&) {
        if (moment != HostCalls::Moment::kBeforeSync || lost.exchange(true)) return 0;
        const bool emptied = ::ftruncate(image.file.fd(), 0) == 0 && ::ftruncate(image.file.fd(), kDisk) == 0;
        return emptied ? EIO : 0;
      },
      HostCalls::Of::kEveryThread);
  LazyDisk disk(source(), image.descriptor(), image.path, true);
  disk.bring(0, kDisk);
  CHECK(disk.bytes_left() == 0);
  disk.start({});
  while (read_incomplete_note(image.file.fd())) std::this_thread::sleep_for(1ms);
  CHECK(lost);
  for (const std::uint64_t block : {10, 255, 256, 609, 1300, 2047, 2048}) CHECK(image.has(block));
}

TEST_CASE("no room for the image is a problem with a reason, until there is room") {
  const std::filesystem::path place =
      std::filesystem::temp_directory_path() / ("tintype-full-" + std::to_string(::getpid()));
  const SmallFileSystem small(place, "1m");
  if (!small.mounted()) SKIP_TEST("only root can mount a file system that fills up");
  {
    const UnnamedFile file(place);
    REQUIRE(::ftruncate(file.fd(), kDisk) == 0);
    LazyDisk disk(source(), UniqueFd(::dup(file.fd())), place / "image", true);
    disk.start({});
    while (disk.problem().empty()) std::this_thread::yield();
    CHECK(disk.problem().find("No space left") != std::string::npos);
    REQUIRE(::mount("tmpfs", place.c_str(), "tmpfs", MS_REMOUNT, "size=16m") == 0);
    while (disk.bytes_left() != 0) std::this_thread::sleep_for(1ms);
    disk.finish();
    CHECK(disk.problem().empty());
  }
}

TEST_CASE("processes that share an image read each piece of its source once, and see what the others brought") {
  const Image image;
  const auto chunks = std::make_shared<ImageChunks>(*source());
  for (const std::uint64_t offset : {0, 2 << 20, 5 << 20}) {
    const pid_t child = ::fork();
    if (child == 0) {
      LazyDisk disk(source(), image.descriptor(), image.path, chunks);
      disk.bring(offset, 512);
      ::_exit(disk.is_there(offset, 512) ? 0 : 1);
    }
    int how = 0;
    ::waitpid(child, &how, 0);
    CHECK(how == 0);
  }
  const auto own = source();
  LazyDisk disk(own, image.descriptor(), image.path, chunks);
  for (const std::uint64_t block : {10, 255, 512, 609, 1300}) CHECK(disk.is_there(block * kBlockSize, 512));
  CHECK(image.has(10));
  disk.bring(0, 3 << 20);
  CHECK(own->order().size() == 1);  // what no child had asked for
  disk.bring(0, kDisk);
  CHECK(disk.bytes_left() == 0);
  struct stat info {};
  REQUIRE(::fstat(image.file.fd(), &info) == 0);
  CHECK(static_cast<std::uint64_t>(info.st_blocks) * 512 < kDisk * 3 / 2);
}

TEST_CASE("several who want one piece have it read once") {
  const Image image;
  const auto slow = source();
  slow->delay = 50ms;
  LazyDisk disk(slow, image.descriptor(), image.path, false);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { disk.bring(1300 * kBlockSize, 512); });
  for (std::thread& thread : threads) thread.join();
  CHECK(slow->order().size() == 1);
}

}  // namespace tintype::test
