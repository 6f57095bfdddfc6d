// SPDX-License-Identifier: Apache-2.0
// Every way in which the files of a repository can go bad: verify names the file, and a reader that would
// restore refuses.
#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "checkpoint/format/load_part.h"
#include "checkpoint/format/part_reader.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/operations.h"
#include "checkpoint/store/verify.h"
#include "tests/unit/format/changed_byte.h"
#include "tests/unit/store/sample_checkpoint.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;

const std::vector<std::string> kFiles{"checkpoint.json", "machine.state", "memory.part", "disk0.part", "disk1.part"};

std::set<std::string> damaged_parts(const fs::path& repository, std::optional<std::uint64_t> id = std::nullopt) {
  std::set<std::string> parts;
  for (const Damage& damage : verify_checkpoints(repository, id).damages) parts.insert(damage.part);
  return parts;
}

/// What a restore does: opens, then loads everything.
void read_whole(const fs::path& repository, std::uint64_t id) {
  const CheckpointReader reader(repository, id);
  const auto read = [](const BlockSource& part) {
    Bytes bytes(part.blocks() * kBlockSize);
    load_part(
        part, [&](std::uint64_t block) { return std::span(bytes).subspan(block * kBlockSize); }, 1);
  };
  read(reader.memory());
  for (const DiskDescription& disk : reader.manifest().machine.disks) read(*reader.disk(disk.id));
}

bool restore_refuses(const fs::path& repository, std::uint64_t id = 1) {
  try {
    read_whole(repository, id);
    return false;
  } catch (const Error&) {
    return true;
  }
}

/// 1: every byte.
constexpr std::uint64_t kStride = 8 / rounds(8);

void flip(const fs::path& repository, const std::string& file, std::uint64_t step) {
  const fs::path path = repository / "00000001" / file;
  const UniqueFd fd = open_file(path, O_RDWR);
  const std::uint64_t size = file_size(fd.get(), file);
  std::mt19937 random(static_cast<unsigned>(size));
  for (std::uint64_t offset = 0; offset < size; offset += step == 1 ? 1 : 1 + random() % (2 * step)) {
    const auto bits = static_cast<std::byte>(1U << (random() % 8));
    const ChangedByte change(fd, offset, bits);
    if (damaged_parts(repository) != std::set{file}) FAIL_CHECK("verify does not name ", file, " for byte ", offset);
    if (!restore_refuses(repository)) FAIL_CHECK("restored with byte ", offset, " of ", file, " changed");
  }
}

}  // namespace

TEST_CASE("any one byte changed in any file is found, the file is named, and a restore refuses") {
  for (const Compression codec : {Compression::kNone, Compression::kZstd}) {
    const ScratchDirectory scratch;
    const fs::path repository = scratch / "r";
    write_sample(repository, 1, codec);
    REQUIRE(damaged_parts(repository).empty());
    REQUIRE_FALSE(restore_refuses(repository));
    flip(repository, "checkpoint.json", kStride);
    flip(repository, "machine.state", kStride);
    for (const char* part : {"memory.part", "disk0.part", "disk1.part"}) {
      flip(repository, part, 30 * kStride);
    }
    CHECK(damaged_parts(repository).empty());
  }
}

TEST_CASE("every byte of a part's header, index and footer, and of what lies between extents, is checked") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  write_sample(repository, 1);
  const fs::path path = repository / "00000001" / "memory.part";
  const PartReader part(path);
  const UniqueFd fd = open_file(path, O_RDWR);
  const std::uint64_t end = part.summary().file_bytes;
  const std::uint64_t tail = end - 64 - part.extents().size() * 40;
  for (std::uint64_t offset = 0; offset < end; offset += kStride) {
    if (offset >= 4096 && offset < tail) offset = tail;
    const ChangedByte change(fd, offset, std::byte{0x80});
    CAPTURE(offset);
    CHECK(damaged_parts(repository) == std::set<std::string>{"memory.part"});
    CHECK(restore_refuses(repository));
  }
}

TEST_CASE("a file cut short, or drawn out, is found") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  write_sample(repository, 1);
  for (const std::string& file : kFiles) {
    CAPTURE(file);
    const fs::path path = repository / "00000001" / file;
    const Bytes good = read_file(path);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{63}, good.size() / 2, good.size() - 1}) {
      write_file(path, std::span(good).first(size));
      CHECK(damaged_parts(repository) == std::set{file});
      CHECK(restore_refuses(repository));
    }
    for (const std::size_t more : {1, 64, 5000}) {
      Bytes longer = good;
      longer.resize(good.size() + more);
      write_file(path, longer);
      CHECK(damaged_parts(repository) == std::set{file});
      CHECK(restore_refuses(repository));
    }
    write_file(path, good);
  }
  CHECK(damaged_parts(repository).empty());
}

TEST_CASE("a file that is gone is found, and so is one too many") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r", directory = repository / "00000001";
  write_sample(repository, 1);
  for (const std::string& file : kFiles) {
    CAPTURE(file);
    fs::rename(directory / file, scratch / "away");
    CHECK(damaged_parts(repository) == std::set{file});
    CHECK(restore_refuses(repository));
    fs::rename(scratch / "away", directory / file);
  }
  write_file(directory / "disk2.part", read_file(directory / "disk1.part"));
  CHECK(damaged_parts(repository) == std::set<std::string>{"disk2.part"});
}

TEST_CASE("what a restore left that was killed while it wrote its remark is no damage") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  write_sample(repository, 1);
  write_file(repository / "00000001" / ".tintype-7nVzl3", Bytes(100));
  CHECK(damaged_parts(repository).empty());
  CHECK_FALSE(restore_refuses(repository));
}

TEST_CASE("files swapped between two checkpoints are found in both, though each is sound in itself") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  write_sample(repository, 1);
  write_sample(repository, 2);
  for (const std::string& file : kFiles) {
    CAPTURE(file);
    const fs::path first = repository / "00000001" / file, second = repository / "00000002" / file;
    const auto swap = [&] {
      fs::rename(first, scratch / "held");
      fs::rename(second, first);
      fs::rename(scratch / "held", second);
    };
    swap();
    for (const std::uint64_t id : {1, 2}) {
      CHECK(damaged_parts(repository, id).contains(file));
      CHECK(restore_refuses(repository, id));
    }
    swap();
  }
  CHECK(damaged_parts(repository).empty());
}

TEST_CASE("two disks of one checkpoint swapped are found") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r", directory = repository / "00000001";
  write_sample(repository, 1);
  fs::rename(directory / "disk0.part", scratch / "held");
  fs::rename(directory / "disk1.part", directory / "disk0.part");
  fs::rename(scratch / "held", directory / "disk1.part");
  CHECK(damaged_parts(repository) == std::set<std::string>{"disk0.part", "disk1.part"});
  CHECK(restore_refuses(repository));
}

TEST_CASE("a whole checkpoint under the name of another is found") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  write_sample(repository, 1);
  fs::rename(repository / "00000001", repository / "00000007");
  CHECK(damaged_parts(repository) == std::set<std::string>{"checkpoint.json"});
  CHECK(restore_refuses(repository, 7));
}

TEST_CASE("all damages are named, not only the first") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r", directory = repository / "00000001";
  write_sample(repository, 1);
  const PartReader memory(directory / "memory.part");
  REQUIRE(memory.extents().size() >= 3);
  const UniqueFd memory_file = open_file(directory / "memory.part", O_RDWR);
  const ChangedByte first(memory_file, memory.extents()[0].offset, std::byte{1});
  const ChangedByte second(memory_file, memory.extents()[2].offset + 100, std::byte{1});
  const UniqueFd state_file = open_file(directory / "machine.state", O_RDWR);
  const ChangedByte third(state_file, 40, std::byte{1});
  const Verification result = verify_checkpoints(repository, 1);
  CHECK(result.damages.size() == 3);
  CHECK(damaged_parts(repository) == std::set<std::string>{"memory.part", "machine.state"});
}

TEST_CASE("damage in the manifest hides no damage in the parts") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r", directory = repository / "00000001";
  write_sample(repository, 1);
  const UniqueFd manifest = open_file(directory / "checkpoint.json", O_RDWR),
                 disk = open_file(directory / "disk0.part", O_RDWR);
  const ChangedByte first(manifest, 100, std::byte{1}), second(disk, 5000, std::byte{1});
  CHECK(damaged_parts(repository) == std::set<std::string>{"checkpoint.json", "disk0.part"});
}

TEST_CASE("a damaged checkpoint does not harm the others") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  write_sample(repository, 1);
  write_sample(repository, 2);
  fs::remove(repository / "00000001" / "checkpoint.json");
  CHECK_FALSE(restore_refuses(repository, 2));
  CHECK(verify_checkpoints(repository, 2).good());
  const auto list = list_checkpoints(repository);
  REQUIRE(list.size() == 2);
  CHECK_FALSE(list[0].manifest.has_value());
  CHECK(list[0].problem.find("checkpoint.json is missing") != std::string::npos);
  CHECK(list[1].manifest.has_value());
}

}  // namespace tintype
