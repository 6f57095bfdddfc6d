// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/lazy_load.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include <doctest/doctest.h>

#include "tests/support/skip.h"
#include "tests/unit/restore/scripted_source.h"
#include "vmm/base/unnamed_file.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMemory = 16 << 20;
constexpr std::uint64_t kPagesOfChunk = kHugePageSize / kPageSize;

/// A chunk with holes, a whole one, a page that stands alone, two chunks by one extent; the second and the last chunk
/// hold nothing.
std::shared_ptr<ScriptedSource> scattered_source() {
  return std::make_shared<ScriptedSource>(kMemory,
                                          std::vector<ScriptedSource::Stretch>{{3, 2},
                                                                               {100, 300},
                                                                               {2 * kPagesOfChunk, kPagesOfChunk},
                                                                               {3 * kPagesOfChunk + 7, 1},
                                                                               {4 * kPagesOfChunk, 2 * kPagesOfChunk}});
}

bool host_cannot() { return !probe_userfault().missing_pages; }
#define NEEDS_MISSING_PAGES()                                                \
  do {                                                                       \
    if (host_cannot()) SKIP_TEST("userfaultfd is not permitted to us here"); \
  } while (false)

/// What a page must hold.
bool page_is_right(const ScriptedSource& source, std::uint64_t page, std::span<const std::byte> is) {
  std::array<std::byte, kPageSize> wanted{};
  const auto run = source.next_run(page);
  if (run && run->first_block <= page) ScriptedSource::fill(page, wanted);
  return std::memcmp(wanted.data(), is.data(), kPageSize) == 0;
}

std::uint64_t wrong_pages(const ScriptedSource& source, const GuestMemory& memory) {
  std::uint64_t wrong = 0;
  for (std::uint64_t page = 0; page < memory.pages(); ++page)
    wrong += page_is_right(source, page, {memory.page_host(page), kPageSize}) ? 0 : 1;
  return wrong;
}

constexpr LazyLoad::Crew kAlone{0, 1};

/// What the load tells.
struct Told {
  std::promise<std::string> failure;
  std::atomic<int> failures = 0;
  LazyLoad::Events events() {
    return {[this](const std::string& why) {
      if (failures++ == 0) failure.set_value(why);
    }};
  }
};

}  // namespace

TEST_CASE("memory comes as the source has it, whoever touches it first: this program, the kernel, or nobody") {
  NEEDS_MISSING_PAGES();
  const auto source = scattered_source();
  source->delay = 5ms;
  GuestMemory memory(kMemory);
  Told told;
  LazyLoad load(source, memory, told.events());
  load.machine_runs();
  SUBCASE("a plain access, as a CPU's") { CHECK(wrong_pages(*source, memory) == 0); }
  SUBCASE("a checked access") {
    std::array<std::byte, kPageSize> page;
    for (std::uint64_t number = memory.pages(); number-- > 0;) {
      REQUIRE(memory.read(memory.page_address(number), page));
      REQUIRE(page_is_right(*source, number, page));
    }
  }
  SUBCASE("a system call, which the kernel makes for us") {
    const UniqueFd file(::memfd_create("tintype-test", MFD_CLOEXEC));
    const std::uint64_t page = 5 * kPagesOfChunk + 3;
    REQUIRE(::write(file.get(), memory.page_host(page), kPageSize) == kPageSize);
    std::array<std::byte, kPageSize> written;
    REQUIRE(::pread(file.get(), written.data(), kPageSize, 0) == kPageSize);
    CHECK(page_is_right(*source, page, written));
  }
  SUBCASE("nobody") {}
  load.wait({});
  CHECK(load.finished());
  CHECK(load.bytes_left() == 0);
  CHECK(load.bytes_total() == 5 * kHugePageSize);
  CHECK(wrong_pages(*source, memory) == 0);
  CHECK(told.failures == 0);
}

TEST_CASE("what was written to memory that came is not brought in again, and does not count as saved") {
  NEEDS_MISSING_PAGES();
  const auto source = scattered_source();
  GuestMemory memory(kMemory);
  LazyLoad load(source, memory, {});
  load.machine_runs();
  REQUIRE(memory.store<std::uint64_t>(Gpa(3 * kPageSize + 8), 77));
  std::memset(memory.page_host(kPagesOfChunk), 1, 8);  // of a chunk that the source has nothing of
  load.wait({});
  CHECK(memory.load<std::uint64_t>(Gpa(3 * kPageSize + 8)) == 77);
  CHECK(wrong_pages(*source, memory) == 2);
  PageSet all(memory.pages());
  all.add(0, memory.pages());
  for (std::size_t chunk = 0; chunk < 8; ++chunk) CHECK(load.as_saved(chunk, all) == (chunk > 1));
}

TEST_CASE("what somebody waits for comes before what nobody asked for") {
  NEEDS_MISSING_PAGES();
  std::vector<ScriptedSource::Stretch> stretches;
  for (std::uint64_t chunk = 0; chunk < 32; ++chunk) stretches.push_back({chunk * kPagesOfChunk, 1});
  const auto source = std::make_shared<ScriptedSource>(32 * kHugePageSize, stretches);
  source->delay = 10ms;
  GuestMemory memory(32 * kHugePageSize);
  LazyLoad load(source, memory, {}, LazyLoad::make_missing_userfault, kAlone);
  load.machine_runs();
  REQUIRE(memory.load<std::uint64_t>(Gpa(31 * kHugePageSize)));
  const auto order = source->order();
  CHECK(order.back() == 31);
  CHECK(order.size() < 16);
}

TEST_CASE("what is known to be wanted comes first, and what else was waited for is learnt, whatever was said before") {
  NEEDS_MISSING_PAGES();
  std::vector<ScriptedSource::Stretch> stretches;
  for (std::uint64_t chunk = 0; chunk < 32; ++chunk) stretches.push_back({chunk * kPagesOfChunk, 1});
  const auto source = std::make_shared<ScriptedSource>(32 * kHugePageSize, stretches);
  source->delay = 20ms;
  GuestMemory memory(32 * kHugePageSize);
  std::vector<std::uint64_t> learnt;
  LazyLoad::Events events;
  events.on_learnt = [&](std::span<const std::uint64_t> pages) { learnt.assign(pages.begin(), pages.end()); };
  LazyLoad load(source, memory, events, LazyLoad::make_missing_userfault, kAlone,
                {20 * kPagesOfChunk + 5, ~std::uint64_t{0}, 32 * kPagesOfChunk, 7 * kPagesOfChunk, 20 * kPagesOfChunk});
  load.machine_runs();
  SUBCASE("nobody waits") {
    load.wait({});
    const auto order = source->order();
    CHECK(std::vector(order.begin(), order.begin() + 4) == std::vector<std::size_t>{20, 7, 0, 1});
    CHECK(learnt.empty());
  }
  SUBCASE("somebody does") {
    REQUIRE(memory.load<std::uint64_t>(Gpa(31 * kHugePageSize)));
    load.wait({});
    CHECK(learnt == std::vector<std::uint64_t>{20 * kPagesOfChunk, 7 * kPagesOfChunk, 31 * kPagesOfChunk});
  }
  CHECK(source->order().size() == 32);
}

TEST_CASE("before the machine runs only that is loaded which is wanted") {
  NEEDS_MISSING_PAGES();
  const auto source = scattered_source();
  GuestMemory memory(kMemory);
  LazyLoad load(source, memory, {}, LazyLoad::make_missing_userfault, LazyLoad::crew_for_this_host(),
                {5 * kPagesOfChunk});
  REQUIRE(memory.load<std::uint64_t>(Gpa(3 * kHugePageSize)));
  REQUIRE(memory.load<std::uint64_t>(Gpa(5 * kHugePageSize)));
  std::this_thread::sleep_for(10ms);
  CHECK(load.bytes_left() == load.bytes_total() - 2 * kHugePageSize);
  CHECK(source->order().size() == 2);
  load.machine_runs();
  load.wait({});
  CHECK(wrong_pages(*source, memory) == 0);
}

TEST_CASE("a read that fails stops the load and loses nothing: who waits goes on when it is tried again") {
  NEEDS_MISSING_PAGES();
  const auto source = scattered_source();
  source->fails = 3;
  source->delay = 20ms;
  GuestMemory memory(kMemory);
  Told told;
  LazyLoad load(source, memory, told.events());
  load.machine_runs();
  std::atomic<std::uint32_t> who = 0;
  auto touched = std::async(std::launch::async, [&] {
    who = static_cast<std::uint32_t>(::gettid());
    return *reinterpret_cast<volatile std::uint64_t*>(memory.page_host(3 * kPagesOfChunk + 7));
  });
  auto read = std::async(std::launch::async,
                         [&] { return memory.load<std::uint64_t>(memory.page_address(3 * kPagesOfChunk + 7)); });
  auto failure = told.failure.get_future();
  REQUIRE(failure.wait_for(20s) == std::future_status::ready);
  CHECK(failure.get() == "extent 3 is damaged");
  CHECK(load.problem() == "extent 3 is damaged");
  CHECK_FALSE(load.finished());
  CHECK_THROWS_WITH_AS(load.wait({}), doctest::Contains("extent 3 is damaged"), Error);
  for (int i = 0; i < 1000 && !load.is_waited_for_by(who); ++i) std::this_thread::sleep_for(1ms);
  CHECK(load.is_waited_for_by(who));
  CHECK_THROWS_WITH_AS(load.retry(), "extent 3 is damaged", ImageError);
  CHECK(touched.wait_for(0s) == std::future_status::timeout);
  CHECK(read.wait_for(0s) == std::future_status::timeout);

  source->fails = -1;
  load.retry();
  std::array<std::byte, kPageSize> wanted;
  ScriptedSource::fill(3 * kPagesOfChunk + 7, wanted);
  CHECK(std::memcmp(wanted.data(), memory.page_host(3 * kPagesOfChunk + 7), kPageSize) == 0);
  touched.get();
  CHECK(read.get());
  load.wait({});
  CHECK(wrong_pages(*source, memory) == 0);
  CHECK_FALSE(load.is_waited_for_by(who));
  CHECK(told.failures == 1);
}

TEST_CASE("another read that fails after the first was tried again is told of too") {
  NEEDS_MISSING_PAGES();
  const auto source = scattered_source();
  source->fails = 2;
  source->delay = 5ms;
  GuestMemory memory(kMemory);
  Told told;
  LazyLoad load(source, memory, told.events(), LazyLoad::make_missing_userfault, kAlone);
  load.machine_runs();
  told.failure.get_future().wait();
  source->fails = 4;
  load.retry();
  for (int i = 0; i < 5000 && told.failures < 2; ++i) std::this_thread::sleep_for(1ms);
  CHECK(told.failures == 2);
  source->fails = -1;
  load.retry();
  load.wait({});
  CHECK(wrong_pages(*source, memory) == 0);
}

TEST_CASE("a read that fails before the machine runs leaves nobody waiting") {
  NEEDS_MISSING_PAGES();
  const auto source = scattered_source();
  source->fails = 2;
  GuestMemory memory(kMemory);
  Told told;
  LazyLoad load(source, memory, told.events());
  static_cast<void>(*reinterpret_cast<volatile std::uint64_t*>(memory.page_host(2 * kPagesOfChunk)));
  CHECK_FALSE(memory.load<std::uint64_t>(Gpa(2 * kHugePageSize)));
  CHECK_THROWS_WITH_AS(load.machine_runs(), "extent 2 is damaged", ImageError);
  CHECK(told.failures == 0);
}

TEST_CASE("a load that is given up: who waits in this program may not use memory, and the kernel waits no more") {
  NEEDS_MISSING_PAGES();
  const auto source = scattered_source();
  source->fails = 2;
  source->delay = 20ms;
  GuestMemory memory(kMemory);
  Told told;
  LazyLoad load(source, memory, told.events());
  REQUIRE(load.bytes_left() > 0);
  load.machine_runs();
  told.failure.get_future().wait();
  auto read = std::async(std::launch::async, [&] { return memory.load<std::uint64_t>(Gpa(2 * kHugePageSize)); });
  auto touched = std::async(std::launch::async, [&] {
    return *reinterpret_cast<volatile std::uint64_t*>(memory.page_host(2 * kPagesOfChunk));
  });
  std::this_thread::sleep_for(10ms);
  load.give_up();
  CHECK_FALSE(read.get());
  CHECK_FALSE(memory.write(Gpa(2 * kHugePageSize), std::as_bytes(std::span("lost"))));
  load.let_go();
  CHECK(touched.get() == 0);
  CHECK_THROWS_AS(load.wait({}), Error);
}

TEST_CASE("one that waits for all of it can be called away, and goes on later") {
  NEEDS_MISSING_PAGES();
  const auto source = scattered_source();
  source->delay = 50ms;
  GuestMemory memory(kMemory);
  LazyLoad load(source, memory, {});
  load.machine_runs();
  CHECK_THROWS_WITH_AS(load.wait([](const Progress&) { throw Error("enough"); }), "enough", Error);
  load.wait({});
  CHECK(wrong_pages(*source, memory) == 0);
}

TEST_CASE("memory that came is in huge pages, where memory that was there from the beginning is") {
  NEEDS_MISSING_PAGES();
  const auto huge_bytes = [](const GuestMemory& memory) {
    std::FILE* maps = std::fopen("/proc/self/smaps", "re");
    REQUIRE(maps != nullptr);
    const auto start = reinterpret_cast<std::uintptr_t>(memory.regions()[0].host);
    std::array<char, 4096> line;
    unsigned long from = 0, to = 0, kilobytes = 0, sum = 0;
    bool inside = false;
    while (std::fgets(line.data(), line.size(), maps) != nullptr) {
      if (std::sscanf(line.data(), "%lx-%lx ", &from, &to) == 2) inside = from >= start && to <= start + memory.size();
      if (inside && std::sscanf(line.data(), "AnonHugePages: %lu kB", &kilobytes) == 1) sum += kilobytes << 10;
    }
    std::fclose(maps);
    return sum;
  };
  GuestMemory plain(kMemory);
  std::memset(plain.regions()[0].host, 1, kMemory);
  if (huge_bytes(plain) < kMemory) SKIP_TEST("this host has no huge pages to give");
  GuestMemory memory(kMemory);
  LazyLoad load(scattered_source(), memory, {});
  load.machine_runs();
  load.wait({});
  CHECK(huge_bytes(memory) >= 5 * kHugePageSize);
}

}  // namespace tintype::test
