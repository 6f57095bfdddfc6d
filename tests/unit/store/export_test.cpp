// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/export.h"

#include <sys/stat.h>

#include <doctest/doctest.h>

#include "checkpoint/store/operations.h"
#include "tests/unit/store/sample_checkpoint.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;

std::size_t file_count(const fs::path& directory) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}

std::uint64_t bytes_on_disk(const fs::path& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

}  // namespace

TEST_CASE("exported memory lies at its physical addresses, the hole below 4 GiB is a hole") {
  for (const Compression codec : {Compression::kNone, Compression::kLz4}) {
    const ScratchDirectory scratch;
    write_sample(scratch / "r", 1, codec);
    const ExportedFile exported = export_memory(scratch / "r", std::nullopt, scratch / "memory");
    CHECK(exported.bytes == kHighStart + (kMemoryBlocks - kLowBlocks) * kBlockSize);
    CHECK(fs::file_size(scratch / "memory") == exported.bytes);
    CHECK(exported.data_bytes == 9 * kBlockSize);
    CHECK(bytes_on_disk(scratch / "memory") < 100 * kBlockSize);
    const Bytes memory = sample_memory(1);
    const UniqueFd fd = open_file(scratch / "memory", O_RDONLY);
    Bytes low(kLowBlocks * kBlockSize), high((kMemoryBlocks - kLowBlocks) * kBlockSize);
    read_exactly(fd.get(), low, 0, "memory");
    read_exactly(fd.get(), high, kHighStart, "memory");
    CHECK(std::ranges::equal(low, std::span(memory).first(low.size())));
    CHECK(std::ranges::equal(high, std::span(memory).last(high.size())));
  }
}

TEST_CASE("an exported disk is the disk, to the last byte") {
  const ScratchDirectory scratch;
  write_sample(scratch / "r", 1, Compression::kZstd);
  export_disk(scratch / "r", 1, "disk0", scratch / "a.img");
  export_disk(scratch / "r", 1, "disk1", scratch / "b.img");
  CHECK(read_file(scratch / "a.img") == sample_disk(kDisk0Bytes, 101));
  CHECK(read_file(scratch / "b.img") == sample_disk(kDisk1Bytes, 201));
  CHECK_THROWS_WITH_AS(export_disk(scratch / "r", 1, "disk2", scratch / "c.img"), doctest::Contains("no disk disk2"),
                       Error);
}

TEST_CASE("exporting again replaces the file, through a link too") {
  const ScratchDirectory scratch;
  write_sample(scratch / "r", 1);
  write_file(scratch / "a.img", noise(100, 1));
  fs::create_symlink(scratch / "a.img", scratch / "link");
  export_disk(scratch / "r", 1, "disk0", scratch / "link");
  CHECK(fs::is_symlink(scratch / "link"));
  CHECK(read_file(scratch / "a.img") == sample_disk(kDisk0Bytes, 101));
}

TEST_CASE("a device or a directory is never exported over") {
  const ScratchDirectory scratch;
  write_sample(scratch / "r", 1);
  CHECK_THROWS_WITH_AS(export_disk(scratch / "r", 1, "disk0", "/dev/null"), doctest::Contains("not a regular file"),
                       Error);
  CHECK_THROWS_WITH_AS(export_memory(scratch / "r", 1, scratch.path()), doctest::Contains("not a regular file"), Error);
  CHECK_THROWS_AS(export_memory(scratch / "r", 1, scratch / "missing" / "memory"), Error);
  CHECK(fs::is_character_file("/dev/null"));
}

TEST_CASE("an export that fails leaves the old file as it was, and nothing beside it") {
  const ScratchDirectory scratch;
  write_sample(scratch / "r", 1);
  const fs::path part = scratch / "r" / "00000001" / "disk0.part";
  Bytes damaged = read_file(part);
  damaged[5 * kBlockSize] ^= std::byte{1};
  write_file(part, damaged);
  write_file(scratch / "a.img", noise(1, 7));
  CHECK_THROWS_AS(export_disk(scratch / "r", 1, "disk0", scratch / "a.img"), ImageError);
  CHECK(read_file(scratch / "a.img") == noise(1, 7));
  CHECK(file_count(scratch.path()) == 2);
}

TEST_CASE("show prints manifest and state as one object") {
  const ScratchDirectory scratch;
  write_sample(scratch / "r", 1);
  const std::string text = show_checkpoint_json(scratch / "r", std::nullopt);
  for (const char* key :
       {"\"vm\": \"sample\"", "\"uart0\"", "\"line_control\": 3", "\"received\": \"010203\"", "\"pause_us\""}) {
    CAPTURE(key);
    CHECK(text.find(key) != text.npos);
  }
}

}  // namespace tintype
