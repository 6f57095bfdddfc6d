// SPDX-License-Identifier: Apache-2.0
// Parts that hold changes only, and chains of them.
#include <sys/stat.h>

#include <algorithm>

#include <doctest/doctest.h>

#include "checkpoint/format/load_part.h"
#include "checkpoint/format/part_chain.h"
#include "checkpoint/format/part_writer.h"
#include "tests/unit/format/scratch.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;

PartOptions changes(std::uint64_t blocks, Compression codec = Compression::kNone) {
  return {PartKind::kMemory, blocks * kBlockSize, codec, true};
}

PartOptions whole(std::uint64_t blocks, Compression codec = Compression::kNone) {
  return {PartKind::kMemory, blocks * kBlockSize, codec, false};
}

template <typename Write>
void write_part(const fs::path& path, const PartOptions& options, Write write) {
  PartWriter writer(path, options);
  write(writer);
  writer.finish();
}

/// Newest first.
PartChain chain_of(const std::vector<fs::path>& paths) {
  std::vector<std::unique_ptr<PartReader>> parts;
  for (const fs::path& path : paths) parts.push_back(std::make_unique<PartReader>(path));
  return {"memory", std::move(parts)};
}

Bytes loaded(const BlockSource& source, unsigned threads) {
  Bytes all(source.blocks() * kBlockSize);
  load_part(
      source, [&](std::uint64_t block) { return std::span(all).subspan(block * kBlockSize); }, threads);
  return all;
}

/// A memory that changes, and the parts that were written of it.
class Film {
 public:
  Film(const fs::path& directory, std::uint64_t blocks, unsigned seed)
      : directory_(directory), blocks_(blocks), content_(blocks * kBlockSize), random_(seed) {}

  void take(Compression codec) {
    const bool first = parts_.empty();
    parts_.insert(parts_.begin(), directory_ / fmt::format("{}.part", parts_.size()));
    write_part(parts_.front(), first ? whole(blocks_, codec) : changes(blocks_, codec), [&](PartWriter& writer) {
      for (std::uint64_t block = 0; block < blocks_;) {
        const std::uint64_t count = std::min<std::uint64_t>(1 + random_() % 40, blocks_ - block);
        if (first || random_() % 3 == 0) change(writer, block, count);
        block += count;
      }
    });
  }

  const Bytes& content() const { return content_; }
  const std::vector<fs::path>& parts() const { return parts_; }

 private:
  void change(PartWriter& writer, std::uint64_t block, std::uint64_t count) {
    Bytes data = random_() % 2 == 0 ? noise(count, static_cast<unsigned>(random_()))
                                    : pattern(count, static_cast<unsigned>(random_() % 200));
    for (std::uint64_t i = 0; i < count; ++i)
      if (random_() % 4 == 0) std::ranges::fill(block_of(data, i), std::byte{0});
    if (random_() % 8 == 0) {
      std::ranges::fill(data, std::byte{0});
      writer.append_zeros(block, count);
    } else {
      writer.append(block, data);
    }
    std::ranges::copy(data, content_.begin() + static_cast<std::ptrdiff_t>(block * kBlockSize));
  }

  fs::path directory_;
  std::uint64_t blocks_;
  Bytes content_;
  std::mt19937_64 random_;
  std::vector<fs::path> parts_;
};

}  // namespace

TEST_CASE("in a part of changes zeros are said, and what is not said is the parent's") {
  const ScratchDirectory scratch;
  Bytes content = noise(10, 1);
  write_part(scratch / "0", whole(10), [&](PartWriter& writer) { writer.append(0, content); });
  write_part(scratch / "1", changes(10), [&](PartWriter& writer) {
    CHECK(writer.incremental());
    const auto zeros = writer.append(2, Bytes(2 * kBlockSize));
    CHECK(zeros.zero_blocks == 2);
    CHECK(zeros.stored_bytes == 0);
    writer.append_zeros(7, 1);
    writer.append(5, noise(1, 2));
  });
  std::ranges::fill(std::span(content).subspan(2 * kBlockSize, 2 * kBlockSize), std::byte{0});
  std::ranges::fill(block_of(content, 7), std::byte{0});
  std::ranges::copy(noise(1, 2), block_of(content, 5).begin());
  const PartChain chain = chain_of({scratch / "1", scratch / "0"});
  CHECK(content_of(chain) == content);
  CHECK(chain.data_blocks() == 7);
  CHECK(chain.next_run(2)->first_block == 4);
  CHECK_FALSE(chain.next_run(10).has_value());
}

TEST_CASE("a chain shows what was there when its newest part was written, whatever the codecs") {
  for (unsigned seed = 1; seed <= rounds(6); ++seed) {
    const ScratchDirectory scratch;
    Film film(scratch.path(), 700, seed);
    for (unsigned take = 0; take < std::max(3U, rounds(12)); ++take) {
      film.take(static_cast<Compression>((seed + take) % 3));
      const PartChain chain = chain_of(film.parts());
      REQUIRE(same(content_of(chain), film.content()));
      REQUIRE(same(loaded(chain, 1), film.content()));
      REQUIRE(same(loaded(chain, 4), film.content()));
    }
    const PartChain chain = chain_of(film.parts());
    std::mt19937 random(seed);
    for (int i = 0; i < static_cast<int>(rounds(200)); ++i) {
      const std::uint64_t first = random() % 700, count = random() % (701 - first);
      Bytes piece(count * kBlockSize, std::byte{0xee});
      chain.read_blocks(first, piece);
      REQUIRE(same(piece, std::span(film.content()).subspan(first * kBlockSize, count * kBlockSize)));
    }
  }
}

TEST_CASE("each extent is read once, however many blocks of it newer parts have replaced") {
  const ScratchDirectory scratch;
  write_part(scratch / "0", whole(512), [&](PartWriter& writer) { writer.append(0, noise(512, 1)); });
  write_part(scratch / "1", changes(512), [&](PartWriter& writer) {
    for (std::uint64_t block = 0; block < 512; block += 2) writer.append(block, noise(1, 2));
  });
  const PartChain chain = chain_of({scratch / "1", scratch / "0"});
  std::vector<BlockSource::Run> runs;
  std::size_t whole_extent = chain.extent_count();
  for (std::size_t number = 0; number < chain.extent_count(); ++number)
    if (chain.extent(number).blocks == 512) whole_extent = number;
  REQUIRE(whole_extent < chain.extent_count());
  chain.runs_in(whole_extent, runs);
  CHECK(runs.size() == 256);
  CHECK(std::ranges::all_of(runs, [](const auto& run) { return run.blocks == 1 && run.first_block % 2 == 1; }));
}

TEST_CASE("parts that do not build on each other are refused in a sentence") {
  const ScratchDirectory scratch;
  const auto nothing = [](PartWriter&) {};
  write_part(scratch / "whole", whole(10), nothing);
  write_part(scratch / "changes", changes(10), nothing);
  write_part(scratch / "larger", whole(11), nothing);
  write_part(scratch / "disk", {PartKind::kDisk, 10 * kBlockSize}, nothing);
  CHECK_NOTHROW(chain_of({scratch / "changes", scratch / "changes", scratch / "whole"}));
  CHECK_THROWS_WITH_AS(chain_of({scratch / "changes"}), doctest::Contains("holds changes only"), ImageError);
  CHECK_THROWS_WITH_AS(chain_of({scratch / "whole", scratch / "whole"}), doctest::Contains("builds on nothing"),
                       ImageError);
  CHECK_THROWS_WITH_AS(chain_of({scratch / "changes", scratch / "larger"}), doctest::Contains("another size"),
                       ImageError);
  CHECK_THROWS_AS(chain_of({scratch / "changes", scratch / "disk"}), ImageError);
}

TEST_CASE("what was dropped has never been there, and can come anew") {
  for (const Compression codec : {Compression::kNone, Compression::kLz4}) {
    const ScratchDirectory scratch;
    write_part(scratch / "0", whole(100), [&](PartWriter& writer) { writer.append(0, noise(100, 1)); });
    Bytes content = noise(100, 1);
    PartWriter writer(scratch / "1", changes(100, codec));
    const auto first = writer.append(10, pattern(20, 2)), second = writer.append(30, noise(20, 3)),
               zeros = writer.append_zeros(60, 10), kept = writer.append(80, pattern(5, 4));
    writer.drop(first.ticket);
    writer.drop(second.ticket);
    writer.drop(zeros.ticket);
    CHECK(writer.stored_bytes() == kept.stored_bytes);
    writer.append(15, pattern(20, 5));
    writer.finish();
    std::ranges::copy(pattern(5, 4), content.begin() + 80 * kBlockSize);
    std::ranges::copy(pattern(20, 5), content.begin() + 15 * kBlockSize);
    const PartChain chain = chain_of({scratch / "1", scratch / "0"});
    CHECK(content_of(chain) == content);
    const PartReader part(scratch / "1");
    CHECK_NOTHROW(part.check_gaps());
    CHECK(part.summary() == writer.summary());
    CHECK(part.summary().data_blocks == 25);
  }
}

TEST_CASE("what was dropped takes no room where the file system has holes, and is zero everywhere") {
  const ScratchDirectory scratch;
  PartWriter writer(scratch / "p", changes(20000));
  std::vector<BlockSink::Ticket> tickets;
  for (std::uint64_t block = 0; block < 10000; block += 100)
    tickets.push_back(writer.append(block, noise(100, static_cast<unsigned>(block))).ticket);
  writer.append(15000, noise(10, 1));
  for (const auto& ticket : tickets) writer.drop(ticket);
  writer.finish();
  const PartReader part(scratch / "p");
  CHECK_NOTHROW(part.check_gaps());
  const Bytes file = read_file(scratch / "p");
  CHECK(same(std::span(file).subspan(4096, 10000 * kBlockSize), Bytes(10000 * kBlockSize)));
}

}  // namespace tintype
