// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <algorithm>
#include <functional>

#include <doctest/doctest.h>

#include "checkpoint/format/load_part.h"
#include "checkpoint/format/part_chain.h"
#include "checkpoint/format/part_layout.h"
#include "checkpoint/format/part_reader.h"
#include "checkpoint/format/part_writer.h"
#include "tests/unit/format/scratch.h"
#include "vmm/base/checksum.h"
#include "vmm/base/little_endian.h"
#include "vmm/base/zero_scan.h"

namespace tintype {
namespace {

using namespace checkpoint_test;

/// A part that stands alone.
PartChain source_of(const std::filesystem::path& path) {
  std::vector<std::unique_ptr<PartReader>> parts;
  parts.push_back(std::make_unique<PartReader>(path));
  return {"memory", std::move(parts)};
}

Bytes read_all(const std::filesystem::path& path) {
  const PartChain source = source_of(path);
  Bytes all(source.blocks() * kBlockSize);
  source.read_blocks(0, all);
  return all;
}

Bytes load_all(const std::filesystem::path& path, unsigned threads) {
  const PartChain source = source_of(path);
  Bytes all(source.blocks() * kBlockSize);
  load_part(
      source, [&](std::uint64_t block) { return std::span(all).subspan(block * kBlockSize); }, threads);
  return all;
}

PartOptions memory_of(std::uint64_t blocks, Compression compression = Compression::kNone) {
  return {PartKind::kMemory, blocks * kBlockSize, compression};
}

void put(Bytes& into, std::size_t first_block, std::span<const std::byte> data) {
  std::ranges::copy(data, into.begin() + static_cast<std::ptrdiff_t>(first_block * kBlockSize));
}

void append_and_finish(const std::filesystem::path& path, const PartOptions& options,
                       std::span<const std::byte> content) {
  PartWriter writer(path, options);
  writer.append(0, content);
  writer.finish();
}

/// Whether a header or footer with another byte in this place, and the checksum that goes with it, is refused.
template <typename Bytes64>
bool refuses(Bytes64 bytes, std::size_t place, auto decode) {
  bytes[place] ^= std::byte{1};
  const auto body = std::span(bytes).first(bytes.size() - 8);
  store_number(std::span(bytes), body.size(), checksum_of(body));
  try {
    decode(bytes, "a part");
    return false;
  } catch (const ImageError&) {
    return true;
  }
}

}  // namespace

TEST_CASE("a part comes back as it was written, whatever the codec and the order of blocks") {
  for (const Compression codec : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    CAPTURE(static_cast<int>(codec));
    const ScratchDirectory scratch;
    Bytes content(2000 * kBlockSize);
    const Bytes text = pattern(700, 3), random = noise(300, 4);
    PartWriter writer(scratch / "memory.part", memory_of(2000, codec));
    writer.append(1200, text);
    writer.append(100, random);
    put(content, 1200, text);
    put(content, 100, random);
    writer.finish();
    writer.sync();

    const PartReader reader(scratch / "memory.part");
    CHECK(reader.summary() == writer.summary());
    CHECK(reader.summary().data_blocks == 1000);
    CHECK(reader.summary().file_bytes == std::filesystem::file_size(scratch / "memory.part"));
    CHECK(read_all(scratch / "memory.part") == content);
    CHECK(load_all(scratch / "memory.part", 1) == content);
    CHECK(load_all(scratch / "memory.part", 4) == content);
    CHECK_NOTHROW(reader.check_gaps());
    if (codec != Compression::kNone) CHECK(writer.stored_bytes() < 400 * kBlockSize);
  }
}

TEST_CASE("zero blocks cost no bytes, however they lie between others") {
  const ScratchDirectory scratch;
  Bytes content = noise(3000, 1);
  for (std::size_t block = 0; block < 3000; block += 2) std::ranges::fill(block_of(content, block), std::byte{0});
  PartWriter writer(scratch / "p", memory_of(3000));
  const auto appended = writer.append(0, content);
  CHECK(appended.written_blocks == 1500);
  CHECK(appended.zero_blocks == 1500);
  CHECK(appended.stored_bytes == 1500 * kBlockSize);
  writer.finish();
  CHECK(std::filesystem::file_size(scratch / "p") < 1520 * kBlockSize);
  CHECK(read_all(scratch / "p") == content);
}

TEST_CASE("a block with one byte set, anywhere, is not taken for zero") {
  Bytes block(kBlockSize);
  CHECK(is_zero(block));
  for (std::size_t i = 0; i < block.size(); ++i) {
    block[i] = std::byte{0x10};
    if (is_zero(block)) FAIL_CHECK("byte ", i, " was overlooked");
    block[i] = std::byte{0};
  }
}

TEST_CASE("a block that was written twice is found before the part counts") {
  const ScratchDirectory scratch;
  PartWriter writer(scratch / "p", memory_of(10));
  writer.append(0, noise(5, 1));
  writer.append(4, noise(5, 1));
  CHECK_THROWS_AS(writer.finish(), ImageError);
}

TEST_CASE("a disk that ends within a block comes back to the last byte") {
  for (const Compression codec : {Compression::kNone, Compression::kZstd}) {
    const ScratchDirectory scratch;
    Bytes content = noise(3, 9);
    content.resize(2 * kBlockSize + 512);
    append_and_finish(scratch / "disk0.part", {PartKind::kDisk, content.size(), codec}, content);
    const PartReader reader(scratch / "disk0.part");
    CHECK(reader.kind() == PartKind::kDisk);
    CHECK(reader.content_bytes() == content.size());
    CHECK(reader.blocks() == 3);
    content.resize(3 * kBlockSize);
    CHECK(read_all(scratch / "disk0.part") == content);
  }
}

TEST_CASE("any range can be read, across extents and holes") {
  const ScratchDirectory scratch;
  Bytes content(1000 * kBlockSize);
  put(content, 10, noise(3, 1));
  put(content, 13, pattern(200, 2));
  put(content, 600, noise(1, 3));
  append_and_finish(scratch / "p", memory_of(1000, Compression::kLz4), content);
  const PartChain reader = source_of(scratch / "p");
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    const std::uint64_t first = random() % 1000, count = random() % (1001 - first);
    Bytes piece(count * kBlockSize, std::byte{0xee});
    reader.read_blocks(first, piece);
    REQUIRE(std::ranges::equal(piece, std::span(content).subspan(first * kBlockSize, count * kBlockSize)));
  }
}

TEST_CASE("an extent that crosses the hole below 4 GiB is loaded on both sides of it") {
  const ScratchDirectory scratch;
  const Bytes content = noise(100, 5);
  append_and_finish(scratch / "p", memory_of(100), content);
  Bytes low(37 * kBlockSize), high(63 * kBlockSize);
  const auto locate = [&](std::uint64_t block) {
    return block < 37 ? std::span(low).subspan(block * kBlockSize) : std::span(high).subspan((block - 37) * kBlockSize);
  };
  load_part(source_of(scratch / "p"), locate, 2);
  CHECK(std::ranges::equal(low, std::span(content).first(low.size())));
  CHECK(std::ranges::equal(high, std::span(content).last(high.size())));
}

TEST_CASE("a part of more blocks than there is memory is refused while loading") {
  const ScratchDirectory scratch;
  append_and_finish(scratch / "p", memory_of(100), noise(100, 5));
  Bytes memory(50 * kBlockSize);
  const auto locate = [&](std::uint64_t block) {
    return block < 50 ? std::span(memory).subspan(block * kBlockSize) : std::span<std::byte>();
  };
  CHECK_THROWS_AS(load_part(source_of(scratch / "p"), locate, 3), ImageError);
}

TEST_CASE("what must be zero in header and footer is zero, though the checksum agrees") {
  const auto header = part_layout::encode_header({PartKind::kDisk, 10 * kBlockSize, true});
  const auto footer = part_layout::encode_footer({4096, 3, 77});
  CHECK_FALSE(refuses(header, 24, part_layout::decode_header));  // the content's size: any will do here
  for (std::size_t place = 32; place < 56; ++place) CHECK(refuses(header, place, part_layout::decode_header));
  CHECK_FALSE(refuses(footer, 16, part_layout::decode_footer));  // where the index is
  for (std::size_t place = 12; place < 16; ++place) CHECK(refuses(footer, place, part_layout::decode_footer));
  for (std::size_t place = 40; place < 56; ++place) CHECK(refuses(footer, place, part_layout::decode_footer));
}

TEST_CASE("an empty part is a part") {
  const ScratchDirectory scratch;
  append_and_finish(scratch / "p", memory_of(5), {});
  const PartReader reader(scratch / "p");
  CHECK(reader.extents().empty());
  CHECK(read_all(scratch / "p") == Bytes(5 * kBlockSize));
  CHECK_NOTHROW(reader.check_gaps());
}

TEST_CASE("room that was taken in advance is given back") {
  const ScratchDirectory scratch;
  append_and_finish(scratch / "p", memory_of(100000), noise(2, 1));
  struct stat info {};
  REQUIRE(::stat((scratch / "p").c_str(), &info) == 0);
  CHECK(info.st_blocks * 512 < 100 * 1024);
}

TEST_CASE("a file that is there already is never written over") {
  const ScratchDirectory scratch;
  write_file(scratch / "p", noise(1, 1));
  CHECK_THROWS_AS(PartWriter(scratch / "p", memory_of(1)), Error);
  CHECK(read_file(scratch / "p") == noise(1, 1));
}

}  // namespace tintype
