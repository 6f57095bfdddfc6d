// SPDX-License-Identifier: Apache-2.0
// A part's file as it is carried elsewhere, and its data as it is checked without room for all of an extent.
#include <fcntl.h>

#include <doctest/doctest.h>

#include "checkpoint/format/part_layout.h"
#include "checkpoint/format/part_reader.h"
#include "checkpoint/format/part_writer.h"
#include "tests/unit/format/changed_byte.h"
#include "tests/unit/format/scratch.h"

namespace tintype {
namespace {

using namespace checkpoint_test;

/// Long and short extents, packed and not, and zero ones.
void write_part(const std::filesystem::path& path, Compression codec) {
  PartWriter writer(path, {PartKind::kMemory, 4000 * kBlockSize, codec, true});
  writer.append(1200, pattern(700, 3));
  writer.append(100, noise(300, 4));
  writer.append(3000, noise(1, 5));
  writer.append(3500, Bytes(20 * kBlockSize));
  writer.finish();
}

Bytes passed(const PartReader& reader, std::size_t most) {
  Bytes all;
  reader.pass(most, [&](std::span<const std::byte> piece) {
    CHECK(!piece.empty());
    CHECK(piece.size() <= most);
    all.insert(all.end(), piece.begin(), piece.end());
  });
  return all;
}

bool is_found(const PartReader& reader, const Extent& extent) {
  std::vector<std::byte> spare;
  try {
    reader.check_extent(extent, spare);
    return false;
  } catch (const ImageError&) {
    return true;
  }
}

}  // namespace

TEST_CASE("a part's file passes as it lies there, in pieces of any size") {
  for (const Compression codec : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    CAPTURE(static_cast<int>(codec));
    const ScratchDirectory scratch;
    const auto path = scratch / "memory.part";
    write_part(path, codec);
    const PartReader reader(path);
    Bytes file(std::filesystem::file_size(path));
    read_exactly(open_file(path, O_RDONLY).get(), file, 0, "file");
    for (const std::size_t most : {std::size_t{777}, kBlockSize, 3 * kBlockSize + 1, file.size(), 2 * file.size()}) {
      CAPTURE(most);
      CHECK(passed(reader, most) == file);
    }
  }
}

TEST_CASE("a byte that has changed does not pass, wherever it lies in an extent") {
  for (const Compression codec : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    CAPTURE(static_cast<int>(codec));
    const ScratchDirectory scratch;
    const auto path = scratch / "memory.part";
    write_part(path, codec);
    const PartReader reader(path);
    const UniqueFd file = open_file(path, O_RDWR);
    for (const Extent& extent : reader.extents()) {
      CHECK_FALSE(is_found(reader, extent));
      if (extent.zero) continue;
      for (const std::uint64_t at : {std::uint64_t{0}, extent.stored_bytes / 2, extent.stored_bytes - 1}) {
        CAPTURE(at);
        const ChangedByte changed(file, extent.offset + at, std::byte{16});
        CHECK(is_found(reader, extent));
        CHECK_THROWS_AS(passed(reader, 1000), ImageError);
        CHECK_THROWS_AS(passed(reader, 1 << 20), ImageError);
      }
    }
    CHECK_NOTHROW(passed(reader, 1 << 20));
  }
}

TEST_CASE("neither does a byte where nothing may be") {
  const ScratchDirectory scratch;
  const auto path = scratch / "memory.part";
  write_part(path, Compression::kNone);
  const PartReader reader(path);
  const UniqueFd file = open_file(path, O_RDWR);
  for (const std::uint64_t at : {part_layout::kHeaderBytes + 0, part_layout::kDataOffset - 1}) {
    CAPTURE(at);
    const ChangedByte changed(file, at, std::byte{1});
    CHECK_THROWS_AS(passed(reader, 50), ImageError);
    CHECK_THROWS_AS(passed(reader, 1 << 20), ImageError);
  }
}

}  // namespace tintype
