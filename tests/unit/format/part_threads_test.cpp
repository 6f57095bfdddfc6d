// SPDX-License-Identifier: Apache-2.0
// Several threads append to one part; by way of the host's page cache and past it.
#include <signal.h>

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/format/part_chain.h"
#include "checkpoint/format/part_reader.h"
#include "checkpoint/format/part_writer.h"
#include "tests/unit/format/scratch.h"
#include "vmm/base/mapping.h"

namespace tintype {
namespace {

using namespace checkpoint_test;

constexpr std::uint64_t kChunkBlocks = 512, kChunks = rounds(48) / 2, kBlocks = kChunks * kChunkBlocks;

/// Blocks in memory that is aligned as a device wants it, `shift` bytes off.
class AlignedBlocks {
 public:
  explicit AlignedBlocks(std::uint64_t blocks, std::size_t shift = 0)
      : memory_(Mapping::anonymous(blocks * kBlockSize + kBlockSize)), shift_(shift), blocks_(blocks) {}
  std::span<std::byte> bytes() const { return memory_.bytes().subspan(shift_, blocks_ * kBlockSize); }
  std::span<std::byte> chunk(std::uint64_t number) const {
    return bytes().subspan(number * kChunkBlocks * kBlockSize, kChunkBlocks * kBlockSize);
  }
  /// Each block tells its number; every seventh is zero.
  void fill() const {
    for (std::uint64_t block = 0; block < blocks_; ++block) {
      if (block % 7 == 3) continue;
      for (std::uint64_t word = 0; word < kBlockSize / 8; ++word) {
        const std::uint64_t value = block * 0x9e3779b97f4a7c15 + word;
        std::memcpy(bytes().data() + block * kBlockSize + word * 8, &value, 8);
      }
    }
  }

 private:
  Mapping memory_;
  std::size_t shift_;
  std::uint64_t blocks_;
};

/// All chunks, each by one of four threads; every third is written, dropped, and written again.
std::uint64_t write_by_threads(PartWriter& writer, const AlignedBlocks& content) {
  std::mutex mutex;
  std::vector<BlockSink::Ticket> too_much;
  std::uint64_t blocks = 0;
  const auto run = [&](std::uint64_t first, bool twice) {
    for (std::uint64_t chunk = first; chunk < kChunks; chunk += 4) {
      if (twice && chunk % 3 != 0) continue;
      const auto appended = writer.append(chunk * kChunkBlocks, content.chunk(chunk));
      const std::lock_guard lock(mutex);
      if (!twice) blocks += appended.written_blocks;
      if (!twice && chunk % 3 == 0) too_much.push_back(appended.ticket);
    }
  };
  for (const bool twice : {false, true}) {
    std::vector<std::thread> threads;
    for (std::uint64_t number = 0; number < 4; ++number) threads.emplace_back([=] { run(number, twice); });
    for (std::thread& thread : threads) thread.join();
    for (const auto& ticket : too_much) writer.drop(ticket);
    too_much.clear();
  }
  return blocks;
}

Bytes read_back(const std::filesystem::path& path) {
  std::vector<std::unique_ptr<PartReader>> parts;
  parts.push_back(std::make_unique<PartReader>(path));
  const PartChain source("memory", std::move(parts));
  Bytes all(source.blocks() * kBlockSize);
  source.read_blocks(0, all);
  return all;
}

}  // namespace

TEST_CASE("several threads append at the same time, and nothing is torn, lost or doubled") {
  for (const Compression codec : {Compression::kNone, Compression::kLz4}) {
    for (const std::size_t shift : {0, 8}) {  // 8: not aligned, so it goes by way of the cache
      CAPTURE(static_cast<int>(codec));
      CAPTURE(shift);
      const ScratchDirectory scratch;
      const AlignedBlocks content(kBlocks, shift);
      content.fill();
      PartWriter writer(scratch / "p", {PartKind::kMemory, kBlocks * kBlockSize, codec});
      const std::uint64_t blocks = write_by_threads(writer, content);
      writer.finish();
      writer.sync();
      CHECK(writer.summary().data_blocks == blocks);
      CHECK(same(read_back(scratch / "p"), content.bytes()));
      const PartReader part(scratch / "p");
      CHECK_NOTHROW(part.check_gaps());
      CHECK(part.summary() == writer.summary());
    }
  }
}

TEST_CASE("large aligned pieces, small ones and crooked ones lie side by side in one part") {
  const ScratchDirectory scratch;
  const AlignedBlocks straight(kBlocks), crooked(kBlocks, 16);
  straight.fill();
  crooked.fill();
  PartWriter writer(scratch / "p", {PartKind::kMemory, kBlocks * kBlockSize, Compression::kNone});
  constexpr auto kSizes = std::to_array<std::uint64_t>({512, 1, 300, 3, 512, 128, 7, 1024});
  for (std::uint64_t block = 0, turn = 0; block < kBlocks; ++turn) {
    const std::uint64_t blocks = std::min(kSizes[turn % kSizes.size()], kBlocks - block);
    const auto& from = turn % 3 == 1 ? crooked : straight;
    writer.append(block, from.bytes().subspan(block * kBlockSize, blocks * kBlockSize));
    block += blocks;
  }
  writer.finish();
  CHECK(same(read_back(scratch / "p"), straight.bytes()));
}

TEST_CASE("after a write has failed a part is not whole, and says so") {
  const ScratchDirectory scratch;
  const AlignedBlocks content(kBlocks);
  content.fill();
  PartWriter writer(scratch / "p", {PartKind::kMemory, kBlocks * kBlockSize, Compression::kNone});
  writer.append(0, content.chunk(0));
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const auto before = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1 << 20, limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  CHECK_THROWS_AS(writer.append(kChunkBlocks, content.chunk(1)), Error);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  ::signal(SIGXFSZ, before);
  writer.append(2 * kChunkBlocks, content.chunk(2));
  CHECK_THROWS_AS(writer.finish(), Error);
}

}  // namespace tintype
