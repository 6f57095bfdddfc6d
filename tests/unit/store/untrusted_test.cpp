// SPDX-License-Identifier: Apache-2.0
// A checkpoint may come from anywhere: what it names leads nowhere else, what it claims costs nothing.
#include <sys/resource.h>

#include <functional>

#include <doctest/doctest.h>

#include "checkpoint/format/part_layout.h"
#include "checkpoint/format/part_reader.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "tests/unit/store/sample_checkpoint.h"
#include "vmm/base/checksum.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;

using Change = std::function<void(Manifest&)>;

/// A manifest that says so, with a right checksum, is refused with `why` in the text.
void check_refused(const char* why, const Change& change) {
  CAPTURE(why);
  Manifest manifest = sample_manifest();
  manifest.id = 1;
  manifest.parts = {{"memory", "memory.part", {}}, {"disk0", "disk0.part", {}}};
  REQUIRE_NOTHROW(decode_manifest(encode_manifest(manifest), "m"));
  change(manifest);
  CHECK_THROWS_WITH_AS(decode_manifest(encode_manifest(manifest), "m"), doctest::Contains(why), ImageError);
}

/// Names that lead somewhere else, are no names, or would be taken for another thing.
const std::vector<std::string> kNoNames = {
    "",          "/",          ".",        "..",      "../disk0",           "a/../../etc/x",
    "/etc/x",    "disk0/",     "disk 0",   "disk0\n", "\x1b[31mred",        std::string("disk0\0", 6),
    "d\xc3\xa4", "disk0.part", "disk0\\x", "~",       std::string(65, 'd'),
};

struct Claim {
  std::uint64_t index_offset = part_layout::kDataOffset, entries = 0, file_bytes = 0;
};

/// A part whose header and footer are sound and whose index is as its footer claims, all of it a hole.
fs::path write_claim(const fs::path& path, const Claim& claim) {
  const auto header = part_layout::encode_header({PartKind::kMemory, std::uint64_t{1} << 46});
  const auto footer = part_layout::encode_footer({claim.index_offset, claim.entries, checksum_of({})});
  const UniqueFd fd = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
  write_exactly(fd.get(), header, 0, "part");
  write_exactly(fd.get(), footer, claim.file_bytes - part_layout::kFooterBytes, "part");
  return path;
}

std::uint64_t peak_memory() {
  struct rusage usage {};
  REQUIRE(::getrusage(RUSAGE_SELF, &usage) == 0);
  return static_cast<std::uint64_t>(usage.ru_maxrss) << 10;
}

}  // namespace

TEST_CASE("a disk's id, a part's name and a part's file are names and nothing else") {
  for (const std::string& name : kNoNames) {
    CAPTURE(name);
    check_refused("cannot be", [&](Manifest& manifest) { manifest.machine.disks[0].id = name; });
    check_refused("cannot be", [&](Manifest& manifest) { manifest.parts[1].name = name; });
    check_refused("cannot be", [&](Manifest& manifest) {
      manifest.parts[1].name = name;
      manifest.parts[1].file = name + ".part";
    });
  }
  for (const char* file : {"/etc/passwd", "../00000002/disk0.part", "disk0.part/", "./disk0.part", "disk1.part", ""}) {
    CAPTURE(file);
    check_refused("cannot be", [&](Manifest& manifest) { manifest.parts[1].file = file; });
  }
  for (const char* reserved : {"memory", "state"})
    check_refused("cannot be", [&](Manifest& manifest) { manifest.machine.disks[0].id = reserved; });
}

TEST_CASE("a machine's name leads to files too") {
  for (const std::string name : {"", "..", "../../tmp/x", "/tmp/x", "a/b", "a\nb", "\x1b[2J"}) {
    CAPTURE(name);
    check_refused("name for its machine", [&](Manifest& manifest) { manifest.vm = name; });
  }
}

TEST_CASE("two disks or two parts of one name") {
  check_refused("\"disk0\" that cannot be", [](Manifest& manifest) { manifest.machine.disks[1].id = "disk0"; });
  check_refused("two parts named disk0", [](Manifest& manifest) { manifest.parts.push_back(manifest.parts[1]); });
}

TEST_CASE("more of anything than a machine can have") {
  check_refused("too many disks", [](Manifest& manifest) {
    for (int i = 0; i < 100; ++i)
      manifest.machine.disks.push_back({fmt::format("d{}", i), "", 512, "persistent", false, ""});
  });
  check_refused("too many parts", [](Manifest& manifest) {
    for (int i = 0; i < 100; ++i) manifest.parts.push_back({fmt::format("d{}", i), fmt::format("d{}.part", i), {}});
  });
  check_refused("too many memory regions", [](Manifest& manifest) {
    manifest.machine.regions.clear();
    for (std::uint64_t i = 0; i < 100; ++i) manifest.machine.regions.push_back({i * kBlockSize, kBlockSize, i});
  });
}

TEST_CASE("a disk of a size that no disk has") {
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{513}, UINT64_MAX, UINT64_MAX - 511, std::uint64_t{1} << 63}) {
    CAPTURE(size);
    check_refused("which cannot be", [&](Manifest& manifest) { manifest.machine.disks[1].size = size; });
  }
  check_refused("serial number", [](Manifest& manifest) { manifest.machine.disks[0].serial = std::string(21, 's'); });
}

TEST_CASE("memory regions that overlap, wrap, are no pages, or are not the memory") {
  const auto regions = [](std::vector<RegionDescription> those) {
    check_refused("regions that", [&](Manifest& manifest) { manifest.machine.regions = those; });
  };
  constexpr std::uint64_t kAll = kMemoryBlocks * kBlockSize;
  regions({});
  regions({{0, kAll, 1}});
  regions({{1, kAll, 0}});
  regions({{0, kAll - 1, 0}});
  regions({{0, kAll, 0}, {kAll, 0, kMemoryBlocks}});
  regions({{0, kAll / 2, 0}, {kAll / 2 - kBlockSize, kAll / 2, kMemoryBlocks / 2}});
  regions({{kAll, kAll / 2, 0}, {0, kAll / 2, kMemoryBlocks / 2}});
  regions({{UINT64_MAX - kBlockSize + 1, kAll, 0}});
  regions({{0, kAll - kBlockSize, 0}});
  for (const std::uint64_t memory : {std::uint64_t{0}, kAll + 1, kAll - kBlockSize, UINT64_MAX})
    check_refused("regions that", [&](Manifest& manifest) { manifest.machine.memory = memory; });
}

TEST_CASE("a manifest of more than a megabyte is not read") {
  const ScratchDirectory scratch;
  const fs::path repository = scratch / "r";
  write_sample(repository, 1);
  fs::resize_file(repository / "00000001" / "checkpoint.json", std::uint64_t{1} << 33);
  const std::uint64_t before = peak_memory();
  CHECK_THROWS_AS(CheckpointReader(repository, 1), Error);
  CHECK(peak_memory() - before < 32 << 20);
}

TEST_CASE("an index that claims to be huge costs no memory, whether the file has room for it or not") {
  const ScratchDirectory scratch;
  constexpr std::uint64_t kEntries = std::uint64_t{1} << 33;
  constexpr std::uint64_t kRoom = part_layout::kDataOffset + kEntries * part_layout::kEntryBytes;
  const std::uint64_t before = peak_memory();
  const auto refused = [&](const Claim& claim, const char* why) {
    CAPTURE(claim.entries);
    const fs::path path = write_claim(scratch / "memory.part", claim);
    CHECK_THROWS_WITH_AS(PartReader{path}, doctest::Contains(why), ImageError);
  };
  refused({part_layout::kDataOffset, kEntries, 8192}, "wrong length");
  refused({part_layout::kDataOffset, kEntries, kRoom + part_layout::kFooterBytes}, "wrong at entry 0");
  refused({part_layout::kDataOffset, UINT64_MAX, 8192}, "wrong length");
  refused({0, 100, 8192}, "wrong length");
  refused({UINT64_MAX, 1, 8192}, "wrong length");
  CHECK(peak_memory() - before < 32 << 20);
}

}  // namespace tintype
