// SPDX-License-Identifier: Apache-2.0
// Who has written to what, as the kernel notes it: the promises of the tracker to a checkpoint that relies on it.
#include "checkpoint/tracking/scan_tracker.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "devices/block/io_engine.h"
#include "tests/support/skip.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

constexpr std::uint64_t kGuestMemory = 32 << 20;

/// Nobody holds anything here.
class NoKeeper final : public OldContents {
 public:
  std::optional<Slot> take(std::uint64_t) noexcept override { return std::nullopt; }
  std::span<std::byte> memory(const Slot&) const noexcept override { return {}; }
  void put(const Slot&) noexcept override {}
  void give_back(const Slot&) noexcept override {}
  bool mostly_free() const noexcept override { return false; }
  void ring_when_free(std::shared_ptr<EventFd>) noexcept override {}
};

using Pages = std::set<std::uint64_t>;

class Rig {
 public:
  explicit Rig(bool kernel_tells = true) : memory(kGuestMemory), tracker(memory, kernel_tells) {
    for (std::uint64_t at = 0; at < kGuestMemory / 2; at += kPageSize) write(at);
    tracker.start();
  }
  void write(std::uint64_t address) { REQUIRE(memory.store<std::uint64_t>(Gpa(address), ++value_)); }
  /// What a checkpoint saves.
  Pages capture(bool everything = false) {
    tracker.begin(everything, keeper);
    tracker.arm();
    tracker.freeze(false);
    return claim_all();
  }
  Pages claim_all() {
    Pages claimed;
    while (const auto chunk = tracker.claim_held()) {
      add_claimed(*chunk, claimed);
      CHECK(tracker.copied(*chunk));
    }
    return claimed;
  }
  void add_claimed(std::size_t chunk, Pages& into) const {
    const Chunk& place = tracker.chunks()[chunk];
    tracker.claimed().for_each_run(place.first_page, place.pages, [&](std::uint64_t page, std::uint64_t count) {
      for (std::uint64_t i = 0; i < count; ++i) into.insert(page + i);
    });
  }

  GuestMemory memory;
  NoKeeper keeper;
  ScanTracker tracker;

 private:
  std::uint64_t value_ = 0;
};

std::string unwilling_kernel() { return WrittenPages::problem(); }

constexpr std::uint64_t page_of(std::uint64_t address) { return address / kPageSize; }

}  // namespace

TEST_CASE("the first checkpoint saves what is there, the next one the very pages that were written since") {
  if (!unwilling_kernel().empty()) SKIP_TEST(unwilling_kernel());
  Rig rig;
  CHECK(rig.capture().size() == page_of(kGuestMemory / 2));
  rig.tracker.keep();
  CHECK(rig.capture().empty());
  rig.tracker.keep();
  rig.write(3 << 20);
  rig.write((3 << 20) + 9 * kPageSize);
  CHECK(rig.capture() == Pages{page_of(3 << 20), page_of(3 << 20) + 9});
  rig.tracker.keep();
  CHECK(rig.capture(true).size() == page_of(kGuestMemory / 2));
  rig.tracker.keep();
}

TEST_CASE("pages that come into being are written, beside pages that are protected too, and absent ones are not") {
  if (!unwilling_kernel().empty()) SKIP_TEST(unwilling_kernel());
  Rig rig;
  ::madvise(rig.memory.regions()[0].host + (16 << 20), 4 << 20, MADV_NOHUGEPAGE);
  rig.write(16 << 20);
  rig.capture();
  rig.tracker.keep();
  rig.write((16 << 20) + kPageSize);
  rig.write(20 << 20);  // a huge page
  const Pages saved = rig.capture();
  CHECK(saved.contains(page_of(16 << 20) + 1));
  CHECK(saved.contains(page_of(20 << 20)));
  CHECK(saved.size() <= 1 + 512);
  rig.tracker.keep();
  rig.write((16 << 20) + kPageSize);  // and it is protected from then on
  CHECK(rig.capture() == Pages{page_of(16 << 20) + 1});
  rig.tracker.keep();
}

TEST_CASE("what a checkpoint was to save that is not kept, the next one saves, told by the kernel only once") {
  if (!unwilling_kernel().empty()) SKIP_TEST(unwilling_kernel());
  Rig rig;
  rig.capture();
  rig.tracker.keep();
  rig.write(3 << 20);
  CHECK(rig.capture() == Pages{page_of(3 << 20)});
  rig.tracker.give_back();
  rig.write(7 << 20);
  rig.tracker.begin(false, rig.keeper);
  CHECK(rig.tracker.written() == 2);
  rig.tracker.give_back();  // before its instant
  CHECK(rig.capture() == Pages{page_of(3 << 20), page_of(7 << 20)});
  rig.tracker.keep();
  CHECK(rig.capture().empty());
  rig.tracker.keep();
}

TEST_CASE("a chunk that is copied ahead and written to meanwhile is saved again, with all that was claimed of it") {
  if (!unwilling_kernel().empty()) SKIP_TEST(unwilling_kernel());
  Rig rig;
  rig.capture();
  rig.tracker.keep();
  rig.write(6 << 20);
  rig.write(8 << 20);
  rig.tracker.begin(false, rig.keeper);
  CHECK(rig.tracker.claim_written() == 3);
  rig.write((6 << 20) + kPageSize);
  CHECK_FALSE(rig.tracker.still_clean(3));
  CHECK(rig.tracker.claim_written() == 4);
  CHECK(rig.tracker.still_clean(4));
  CHECK_FALSE(rig.tracker.claim_written());
  CHECK(rig.tracker.written() == 1);
  rig.tracker.freeze(false);
  CHECK(rig.claim_all() == Pages{page_of(6 << 20), page_of(6 << 20) + 1});
  rig.tracker.give_back();
  CHECK(rig.capture() == Pages{page_of(6 << 20), page_of(6 << 20) + 1, page_of(8 << 20)});
  rig.tracker.keep();
}

TEST_CASE("memory that was restored is clean until it is written to") {
  if (!unwilling_kernel().empty()) SKIP_TEST(unwilling_kernel());
  Rig rig;
  rig.tracker.begin_clean();
  rig.write(3 << 20);
  CHECK(rig.capture() == Pages{page_of(3 << 20)});
  rig.tracker.keep();
}

TEST_CASE("a chunk most of which changes counts as written without a question, until little of it does") {
  if (!unwilling_kernel().empty()) SKIP_TEST(unwilling_kernel());
  Rig rig;
  rig.capture();
  rig.tracker.learn(3, 512);
  rig.tracker.keep();
  CHECK(rig.capture().size() == 512);
  rig.tracker.learn(3, 1);
  rig.tracker.keep();
  CHECK(rig.capture().size() == 512);  // it was not protected
  rig.tracker.learn(3, 0);
  rig.tracker.keep();
  rig.write(6 << 20);
  CHECK(rig.capture() == Pages{page_of(6 << 20)});
  rig.tracker.keep();
}

TEST_CASE("what the kernel writes for this process is noted: by a system call, and by either engine of disk I/O") {
  if (!unwilling_kernel().empty()) SKIP_TEST(unwilling_kernel());
  Rig rig;
  rig.capture();
  rig.tracker.keep();
  const UniqueFd file = open_file("/proc/self/exe", O_RDONLY);
  const auto at = [&](std::uint64_t address) { return rig.memory.writable_view(Gpa(address), kPageSize).data(); };
  CHECK(::read(file.get(), at(5 << 20), kPageSize) == kPageSize);
  CHECK(rig.capture() == Pages{page_of(5 << 20)});
  rig.tracker.keep();
  for (const IoEngineKind kind : {IoEngineKind::kAuto, IoEngineKind::kThreads}) {
    const auto engine = make_io_engine(kind);
    CAPTURE(engine->name());
    HostIo read;
    read.fd = file.get();
    read.segments = {{at(9 << 20), kPageSize}};
    engine->queue(read);
    engine->kick();
    while (engine->reap() == nullptr) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(read.error_number == 0);
    CHECK(rig.capture() == Pages{page_of(9 << 20)});
    rig.tracker.keep();
  }
}

TEST_CASE("where the kernel tells nothing, everything that is there counts as written, always") {
  Rig rig(false);
  CHECK_FALSE(rig.tracker.knows());
  for (int round = 0; round < 3; ++round) {
    CHECK(rig.capture().size() == page_of(kGuestMemory / 2));
    round == 1 ? rig.tracker.give_back() : rig.tracker.keep();
  }
}

TEST_CASE("no write of any thread is lost, however it falls between two questions") {
  if (!unwilling_kernel().empty()) SKIP_TEST(unwilling_kernel());
  Rig rig;
  rig.capture();
  rig.tracker.keep();
  std::vector<std::byte> copy(kGuestMemory / 2);
  REQUIRE(rig.memory.read(Gpa(0), copy));
  std::atomic<bool> stop = false;
  std::vector<std::thread> writers;
  for (unsigned number = 0; number < 2; ++number) {
    writers.emplace_back([&, number] {
      std::mt19937_64 random(number);
      while (!stop) {
        const Gpa at(random() % (kGuestMemory / 32) * 16 + number * 8);  // each has words of its own
        static_cast<void>(rig.memory.store<std::uint64_t>(at, random()));
      }
    });
  }
  const auto copy_chunk = [&](std::size_t chunk) {
    const Chunk& place = rig.tracker.chunks()[chunk];
    copy_pages(rig.tracker.claimed(), place,
               std::span(copy).subspan(place.first_page * kPageSize, place.pages * kPageSize));
  };
  for (int round = 0; round < 100; ++round) {
    rig.tracker.begin(false, rig.keeper);
    while (const auto chunk = rig.tracker.claim_written()) copy_chunk(*chunk);
    rig.tracker.keep();
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  rig.tracker.begin(false, rig.keeper);
  rig.tracker.freeze(false);
  while (const auto chunk = rig.tracker.claim_held()) copy_chunk(*chunk);
  rig.tracker.keep();
  CHECK(std::memcmp(copy.data(), rig.memory.regions()[0].host, copy.size()) == 0);
}

}  // namespace tintype
