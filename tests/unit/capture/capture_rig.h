// SPDX-License-Identifier: Apache-2.0
#pragma once

// Memory that is captured without a guest: threads of this process write to it meanwhile.

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "checkpoint/capture/engine.h"
#include "tests/support/skip.h"
#include "vmm/base/thread_sanitizer.h"

namespace tintype {

#ifdef TINTYPE_THREAD_SANITIZER  // which makes every copy many times as long
inline constexpr std::uint64_t kMemory = 16 << 20;
#else
inline constexpr std::uint64_t kMemory = 64 << 20;
#endif

/// Keeps what a capture puts, as it was when it was put. It takes its time to write, as a destination does: up to four
/// puts are on their way, and must hold still until they have been written.
class KeptPages final : public PageSink {
 public:
  explicit KeptPages(const GuestMemory& memory) : contents(memory.size()) {}
  void expect(std::uint64_t) override {}
  Ticket put(std::vector<Run> runs, std::shared_ptr<const void> owner) override {
    REQUIRE(owner);
    Ticket ticket = std::make_shared<Ticket::element_type>();
    for (const Run& run : runs) {
      for (std::uint64_t page = run.first_page; page < run.first_page + run.bytes.size() / kPageSize; ++page) {
        CHECK(put_.insert(page).second);  // else two versions of a page would be in one checkpoint
        ticket->push_back({.written_blocks = 1, .ticket = {page, 1}});
      }
      put_bytes += run.bytes.size();
      std::copy(run.bytes.begin(), run.bytes.end(),
                contents.begin() + static_cast<std::ptrdiff_t>(run.first_page * kPageSize));
      under_way_.push_back({run, {run.bytes.begin(), run.bytes.end()}, owner});
      if (while_writing) while_writing();
    }
    while (under_way_.size() > 4) write_one();
    return ticket;
  }
  void drop(const Ticket& ticket) override {
    REQUIRE(ticket);
    ++drops;
    for (const BlockSink::Appended& page : *ticket) {
      CHECK(put_.erase(page.ticket.first_extent) == 1);
      put_bytes -= kPageSize;
    }
  }
  void done(std::uint64_t pages) override { pages_done += pages; }
  /// All that was put has been written when it returns. Before the capture ends.
  void finish() {
    while (!under_way_.empty()) write_one();
  }

  std::function<void()> while_writing;  ///< what happens between checksum and write
  std::vector<std::byte> contents;
  std::uint64_t pages_done = 0, put_bytes = 0;
  int drops = 0;

 private:
  struct UnderWay {
    Run run;
    std::vector<std::byte> before;
    std::shared_ptr<const void> owner;
  };
  void write_one() {
    const UnderWay& one = under_way_.front();
    CHECK(std::equal(one.before.begin(), one.before.end(), one.run.bytes.begin()));  // else checksum and data disagree
    under_way_.pop_front();
  }

  std::set<std::uint64_t> put_;
  std::deque<UnderWay> under_way_;
};

/// What keeps this process from write-protecting memory; empty where it may.
inline std::string no_write_protection() {
  const UserfaultSupport support = probe_userfault();
  return support.write_protect ? std::string() : support.problem;
}

/// Whole pages.
inline void fill(GuestMemory& memory, std::uint64_t from, std::uint64_t bytes, unsigned seed) {
  std::mt19937_64 random(seed);
  std::array<std::uint64_t, kPageSize / sizeof(std::uint64_t)> page;
  for (std::uint64_t at = from; at < from + bytes; at += kPageSize) {
    std::generate(page.begin(), page.end(), std::ref(random));
    REQUIRE(memory.write(Gpa(at), std::as_bytes(std::span(page))));
  }
}

inline std::vector<std::byte> copy_of(const GuestMemory& memory) {
  std::vector<std::byte> copy(memory.size());
  REQUIRE(memory.read(Gpa(0), copy));
  return copy;
}

/// Threads that scribble over all of memory until told to stop, touched pages and absent ones; each has words of its
/// own in every page.
class Scribblers {
 public:
  explicit Scribblers(GuestMemory& memory, unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([=, this, &memory] { run(memory, i, threads); });
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
  void run(GuestMemory& memory, unsigned number, unsigned threads) {
    std::mt19937_64 random(number);
    const std::uint64_t words_each = memory.size() / 8 / threads;
    while (!stop_) {
      const Gpa word((random() % words_each * threads + number) * 8);
      static_cast<void>(memory.store<std::uint64_t>(word, random()));
      ++writes_;
    }
  }
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> writes_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace tintype
