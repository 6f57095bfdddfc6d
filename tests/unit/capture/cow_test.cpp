// SPDX-License-Identifier: Apache-2.0
// Copy on write without a guest: threads of this process write to memory while it is captured.
#include "checkpoint/capture/cow.h"

#include <stdlib.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "checkpoint/capture/stop.h"
#include "checkpoint/image/part_reader.h"
#include "tests/support/skip.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMemory = 64 << 20;

class TemporaryFile {
 public:
  TemporaryFile() {
    std::string pattern = (fs::temp_directory_path() / "tintype-cow-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFile() { fs::remove_all(directory_); }
  fs::path path() const { return directory_ / "memory.part"; }

 private:
  fs::path directory_;
};

/// What keeps this process from write-protecting memory; empty where it may.
std::string no_write_protection() {
  const UserfaultSupport support = probe_userfault();
  return support.write_protect ? std::string() : support.problem;
}

void fill(GuestMemory& memory, std::uint64_t from, std::uint64_t bytes, unsigned seed) {
  std::mt19937_64 random(seed);
  for (std::uint64_t at = from; at < from + bytes; at += 8) REQUIRE(memory.store<std::uint64_t>(Gpa(at), random()));
}

std::vector<std::byte> copy_of(const GuestMemory& memory) {
  std::vector<std::byte> copy(memory.size());
  REQUIRE(memory.read(Gpa(0), copy));
  return copy;
}

std::vector<std::byte> contents(const fs::path& part) {
  const PartReader reader(part);
  std::vector<std::byte> bytes(reader.content_bytes());
  reader.read_blocks(0, bytes);
  return bytes;
}

/// Threads that scribble over all of memory until told to stop, touched pages and absent ones.
class Scribblers {
 public:
  explicit Scribblers(GuestMemory& memory, unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this, &memory, i] { run(memory, i); });
  }
  ~Scribblers() { stop(); }
  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  std::uint64_t writes() const { return writes_; }

 private:
  void run(GuestMemory& memory, unsigned seed) {
    std::mt19937_64 random(seed);
    while (!stop_) {
      static_cast<void>(memory.store<std::uint64_t>(Gpa(random() % (memory.size() / 8) * 8), random()));
      ++writes_;
    }
  }
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> writes_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("memory written to by several threads during the copy is captured as it was at the instant") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  for (const std::uint64_t area : {2ULL << 20, 8ULL << 20, 64ULL << 20}) {
    const TemporaryFile file;
    GuestMemory memory(kMemory);
    fill(memory, 0, kMemory / 2, 1);  // the upper half is absent
    CowCapture capture(memory, area);
    capture.prepare();
    const std::vector<std::byte> instant =
        copy_of(memory);  // (reading absent pages maps the zero page, which must not matter)
    capture.protect();
    MemoryReport report;
    {
      Scribblers scribblers(memory, 3);
      PartWriter part(file.path(), {PartKind::kMemory, kMemory, Compression::kNone});
      capture.copy_out(part, {});
      capture.release();
      report = capture.report();
      part.finish();
      const std::uint64_t before = scribblers.writes();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      CHECK(scribblers.writes() > before);  // nobody was left waiting
    }
    CHECK(contents(file.path()) == instant);
    CHECK(report.faults > 0);
    CHECK(report.pages_total == memory.pages());
    CHECK(report.capture_area_peak_bytes <= area);
  }
}

TEST_CASE("a capture that is given up lets every writer go") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  GuestMemory memory(kMemory);
  fill(memory, 0, kMemory, 1);
  CowCapture capture(memory, 2 << 20);
  capture.prepare();
  capture.protect();
  Scribblers scribblers(memory, 3);  // soon all wait: the area is full and nobody empties it
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  capture.release();
  const std::uint64_t before = scribblers.writes();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(scribblers.writes() > before);
}

TEST_CASE("one capture after the other, on the same memory") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  GuestMemory memory(16 << 20);
  fill(memory, 0, memory.size(), 3);
  for (int round = 0; round < 5; ++round) {
    const TemporaryFile file;
    CowCapture capture(memory, 4 << 20);
    capture.prepare();
    const auto instant = copy_of(memory);
    capture.protect();
    Scribblers scribblers(memory, 2);
    PartWriter part(file.path(), {PartKind::kMemory, memory.size(), Compression::kNone});
    capture.copy_out(part, {});
    part.finish();
    scribblers.stop();
    CHECK(contents(file.path()) == instant);
  }
}

TEST_CASE("the stop strategy writes what is there") {
  const TemporaryFile file;
  GuestMemory memory(16 << 20);
  fill(memory, 5 << 20, 3 << 20, 4);
  StopCapture capture(memory);
  capture.prepare();
  capture.protect();
  PartWriter part(file.path(), {PartKind::kMemory, memory.size(), Compression::kNone});
  capture.copy_out(part, {});
  part.finish();
  CHECK(contents(file.path()) == copy_of(memory));
  CHECK(capture.report().pages_written == 768);
}

}  // namespace tintype
