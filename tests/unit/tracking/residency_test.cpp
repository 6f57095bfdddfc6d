// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/residency.h"

#include <sys/mman.h>

#include <set>
#include <vector>

#include <doctest/doctest.h>

#include "checkpoint/tracking/chunks.h"

namespace tintype {

TEST_CASE("pages that were touched are known, and absent ones next to them too") {
  GuestMemory memory(8 << 20);
  ::madvise(memory.regions()[0].host, memory.size(), MADV_NOHUGEPAGE);
  const std::byte one{1};
  for (const std::uint64_t page : {3, 700, 701, 2047}) REQUIRE(memory.write(Gpa(page * kPageSize), std::span(&one, 1)));
  const ChunkTable chunks(memory);
  Residency residency(chunks);
  residency.scan();
  std::vector<std::pair<std::uint64_t, std::uint64_t>> runs;
  residency.pages().for_each_run(0, memory.pages(),
                                 [&](std::uint64_t first, std::uint64_t count) { runs.emplace_back(first, count); });
  CHECK(runs == std::vector<std::pair<std::uint64_t, std::uint64_t>>{{3, 1}, {700, 2}, {2047, 1}});
  CHECK(residency.any(1));
  CHECK_FALSE(residency.any(2));
  CHECK_FALSE(residency.all(1));
}

TEST_CASE("a later picture has what came since, says where, and forgets nothing") {
  GuestMemory memory(kHoleStart + (9 << 20));
  ::madvise(memory.regions()[0].host, 8 << 20, MADV_NOHUGEPAGE);
  const std::byte one{1};
  const std::uint64_t last = memory.pages() - 1;
  REQUIRE(memory.write(Gpa(kPageSize), std::span(&one, 1)));
  const ChunkTable chunks(memory);
  Residency residency(chunks);
  residency.scan();
  CHECK(residency.count() == 1);
  REQUIRE(memory.write(Gpa(2 * kPageSize), std::span(&one, 1)));
  REQUIRE(memory.write(Gpa((5 << 20) + kPageSize), std::span(&one, 1)));
  REQUIRE(memory.write(memory.page_address(last), std::span(&one, 1)));
  std::set<std::size_t> came;
  residency.update([&](std::size_t chunk) { came.insert(chunk); });
  CHECK(came == std::set<std::size_t>{0, 2, chunks.size() - 1});
  CHECK(residency.resident(1));
  CHECK(residency.resident(2));
  CHECK(residency.resident(last));
  residency.scan([&](std::size_t) { FAIL("nothing came"); });
}

TEST_CASE("a run that fills whole words of the bitmap has no seams") {
  GuestMemory memory(4 << 20);
  const std::vector<std::byte> data(memory.size(), std::byte{1});
  REQUIRE(memory.write(Gpa(0), data));
  const ChunkTable chunks(memory);
  Residency residency(chunks);
  residency.scan();
  CHECK(residency.all(0));
  int runs = 0;
  residency.pages().for_each_run(5, 1000, [&](std::uint64_t first, std::uint64_t count) {
    ++runs;
    CHECK(first == 5);
    CHECK(count == 1000);
  });
  CHECK(runs == 1);
}

TEST_CASE("chunks cover memory without gap or overlap, also where a region is no multiple of their size") {
  GuestMemory memory(kHoleStart + (5 << 20));
  const ChunkTable chunks(memory);
  std::uint64_t next = 0;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    CHECK(chunks[i].first_page == next);
    CHECK(chunks.find(reinterpret_cast<std::uintptr_t>(chunks[i].host) + chunks[i].pages * kPageSize - 1) == i);
    CHECK(chunks.of_page(next) == i);
    next += chunks[i].pages;
    CHECK(chunks.of_page(next - 1) == i);
  }
  CHECK(next == memory.pages());
  CHECK(chunks[chunks.size() - 1].pages == 256);
}

}  // namespace tintype
