// SPDX-License-Identifier: Apache-2.0
// Logs as older versions wrote them (tests/data) are still read.
#include <fcntl.h>

#include <sys/stat.h>

#include <array>

#include <doctest/doctest.h>

#include "devices/block/boot_id.h"
#include "devices/block/raw_file.h"
#include "devices/block/redo_log_format.h"
#include "tests/unit/block/test_disk.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

/// An image with the two logs that a machine of that version left on it when it was killed. Below them lies 0x11.
class OldLogs {
 public:
  explicit OldLogs(int version) : image(directory.image(4 << 20)) {
    const std::string below(64 << 10, '\x11');
    write_exactly(open_file(image, O_WRONLY).get(), std::as_bytes(std::span(below)), 0, image.string());
    const fs::path data = fs::path(TINTYPE_TEST_DATA) / ("log-" + std::to_string(version));
    for (const auto& log : fs::directory_iterator(data)) {
      const fs::path here = directory.path() / log.path().filename();
      fs::copy_file(log.path(), here);
      fs::permissions(here, fs::perms::owner_read | fs::perms::owner_write);
      note_image(here, version);
    }
  }

  TempDir directory;
  fs::path image;

 private:
  /// A log knows its image by the inode, and by when it was last written to: the image is made as old as that. And it
  /// was this boot in which the machine was killed: of what was never flushed nothing counts in another.
  void note_image(const fs::path& log, int version) const {
    const UniqueFd fd = open_file(log, O_RDWR);
    log_format::Superblock superblock;
    const auto bytes = std::as_writable_bytes(std::span(&superblock, 1));
    read_exactly(fd.get(), bytes, 0, log.string());
    REQUIRE(superblock.version == static_cast<std::uint32_t>(version));
    REQUIRE(superblock.checksum == log_format::checksum_of(superblock));
    const auto identity = identity_of(image);
    superblock.base_inode = identity->inode;
    superblock.base_birth_ns = identity->birth_ns;
    if (version >= 2) superblock.boot_id = boot_id();
    superblock.checksum = log_format::checksum_of(superblock);
    write_exactly(fd.get(), bytes, 0, log.string());

    log_format::State state;
    read_exactly(fd.get(), std::as_writable_bytes(std::span(&state, 1)), log_format::kStateOffset, log.string());
    if (state.kind != log_format::StateKind::kStable) return;
    const timespec modified{static_cast<time_t>(state.base_modified_ns / 1'000'000'000),
                            static_cast<long>(state.base_modified_ns % 1'000'000'000)};
    const std::array<timespec, 2> times{modified, modified};
    REQUIRE(::utimensat(AT_FDCWD, image.c_str(), times.data(), 0) == 0);
  }
};

}  // namespace

TEST_CASE("logs of every format version that was ever written are still read") {
  for (const int version : {1, 2, 3, 4}) {
    CAPTURE(version);
    const OldLogs old(version);
    {
      TestDisk test(old.image);
      CHECK(test.disk->log_count() == 0);
      CHECK(test.driver->holds(0, 16 << 10, 0x11));
      CHECK(test.driver->holds(16 << 10, 16 << 10, 0x22));
      CHECK(test.driver->holds(32 << 10, 8 << 10, 0x33));
      CHECK(test.driver->holds(40 << 10, 8 << 10, 0x22));
      CHECK(test.driver->holds(48 << 10, 16 << 10, 0x11));
      CHECK(test.driver->holds(64 << 10, 64 << 10, 0));
    }
    CHECK(logs_in(old.directory.path()).empty());
  }
}

}  // namespace tintype
