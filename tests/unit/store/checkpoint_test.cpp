// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/checkpoint_writer.h"
#include "tests/unit/store/sample_checkpoint.h"

namespace tintype {

using namespace checkpoint_test;

TEST_CASE("a checkpoint comes back as it was taken") {
  for (const Compression codec : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    const ScratchDirectory scratch;
    const Manifest written = write_sample(scratch / "repository", 5, codec);
    CHECK(written.id == 1);
    const CheckpointReader reader(scratch / "repository", std::nullopt);
    CHECK(encode_manifest(reader.manifest()) == encode_manifest(written));
    CHECK(reader.manifest().machine == sample_machine());
    CHECK(std::ranges::equal(reader.states(), sample_states(5)));
    CHECK(reader.find_state("uart0") != nullptr);
    CHECK(reader.find_state("uart1") == nullptr);
    CHECK(content_of(reader.memory()) == sample_memory(5));
    REQUIRE(reader.disk("disk1") != nullptr);
    CHECK(content_of(*reader.disk("disk0")) == sample_disk(kDisk0Bytes, 105));
    CHECK(content_of(*reader.disk("disk1")) == sample_disk(kDisk1Bytes, 205));
    CHECK(reader.disk("disk2") == nullptr);
  }
}

TEST_CASE("the newest checkpoint is the one that is read where none is named") {
  const ScratchDirectory scratch;
  write_sample(scratch / "r", 1);
  CHECK_THROWS_WITH_AS(CheckpointReader(scratch / "r", 2), doctest::Contains("; it holds only 1"), Error);
  for (unsigned seed = 2; seed <= 3; ++seed) write_sample(scratch / "r", seed);
  CHECK(CheckpointReader(scratch / "r", std::nullopt).manifest().id == 3);
  CHECK(CheckpointReader(scratch / "r", 2).manifest().id == 2);
  CHECK_THROWS_WITH_AS(CheckpointReader(scratch / "r", 4), doctest::Contains("holds no checkpoint 4; it holds 1 to 3"),
                       Error);
  CHECK_THROWS_WITH_AS(CheckpointReader(scratch / "elsewhere", 4), doctest::Contains("there is no repository"), Error);
}

TEST_CASE("who asks for one that is not there hears which ones are") {
  const ScratchDirectory scratch;
  for (unsigned seed = 1; seed <= 12; ++seed) write_sample(scratch / "r", seed);
  const auto said_without = [&](std::initializer_list<std::uint64_t> gone, const char* what) {
    for (const std::uint64_t id : gone) Repository::open(scratch / "r").remove(id);
    CHECK_THROWS_WITH_AS(CheckpointReader(scratch / "r", 99), doctest::Contains(what), Error);
  };
  said_without({}, "it holds 1 to 12");
  said_without({2, 3}, "it holds 1, 4 to 12");
  said_without({5, 8, 10}, "it holds 1, 4, 6 to 7, 9 and others to 12");
  said_without({1, 4, 6, 7, 9, 11}, "it holds only 12");
}

TEST_CASE("a checkpoint that was abandoned leaves nothing behind") {
  const ScratchDirectory scratch;
  written_sample(scratch / "r", 1, Compression::kNone)->abandon();
  { const auto dropped = written_sample(scratch / "r", 2, Compression::kNone); }
  CHECK_FALSE(std::filesystem::exists(scratch / "r"));
  std::filesystem::create_directory(scratch / "s");
  written_sample(scratch / "s", 3, Compression::kNone)->abandon();
  for (const auto& entry : std::filesystem::directory_iterator(scratch / "s"))
    CHECK(entry.path().filename() == ".lock");
  CHECK_THROWS_WITH_AS(CheckpointReader(scratch / "s", std::nullopt), doctest::Contains("holds no checkpoint"), Error);
}

TEST_CASE("a checkpoint deleted while it is being read can be read to its end") {
  const ScratchDirectory scratch;
  write_sample(scratch / "r", 1);
  const CheckpointReader reader(scratch / "r", 1);
  Repository::open(scratch / "r").remove(1);
  CHECK(content_of(reader.memory()) == sample_memory(1));
  CHECK(content_of(*reader.disk("disk0")) == sample_disk(kDisk0Bytes, 101));
}

}  // namespace tintype
