// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/runtime/acpi.h"

namespace tintype::guest {

// A CPU other than the first. It writes numbered lines to pages of its own, and notes in each how many records it saw
// the first one begin; the first one looks at how many lines there are. So each of the two remembers, in its registers
// and its memory, how far the other had come: a picture in which one of them is older than the other is torn.
class Witness {
 public:
  static constexpr std::uint64_t kLines = 64;
  static constexpr std::uint64_t kBytes = kLines * 4096;

  // All lines are empty.
  void place(std::uint64_t nonce, std::uint8_t* pages);

  // Its own CPU: writes this line over the one that was written kLines before. False where that is not as it was left.
  bool write(std::uint64_t number, std::uint64_t records);

  // The first CPU.
  std::uint64_t lines() const { return lines_; }
  std::uint64_t records_seen() const { return records_seen_; }
  bool is_torn() const { return torn_; }
  // What should have been there, and what was.
  std::uint64_t expected() const { return expected_; }
  std::uint64_t found() const { return found_; }

 private:
  struct Line {
    std::uint64_t number;
    std::uint64_t records;
    std::uint64_t checksum;
  };
  Line& line(std::uint64_t number) const;
  std::uint64_t checksum(const Line& line) const;

  std::uint64_t nonce_ = 0;
  std::uint8_t* pages_ = nullptr;
  std::uint64_t expected_ = 0, found_ = 0;
  volatile std::uint64_t records_seen_ = 0;
  volatile std::uint64_t lines_ = 0;  // after all else of a line
  volatile bool torn_ = false;
};

// All of them, as the first CPU sees them.
class Witnesses {
 public:
  // So much memory they need.
  static std::uint64_t bytes(const CpuList& cpus) { return (cpus.count - 1) * Witness::kBytes; }

  // Starts the CPUs. False where one does not come.
  bool start(const CpuList& cpus, std::uint64_t nonce, std::uint8_t* pages);

  // So many records were begun. Wakes those who have written since they were woken last. False, and a line that says
  // so, where something is torn.
  bool tell(std::uint64_t records);

  // From now on each is to look at all of its lines, after which everybody has.
  void ask();
  bool have_looked();
  // The first that was woken and has not written; 0: there is none.
  std::uint32_t silent() const;

 private:
  struct Heard {
    std::uint64_t lines = 0;    // that there were at the last look
    std::uint64_t at_wake = 0;  // when it was woken
    std::uint64_t at_asking = 0;
  };
  bool is_torn(std::uint32_t cpu, std::uint64_t records);

  CpuList cpus_;
  bool asked_ = false;
  Heard heard_[MAX_CPUS];
};

}  // namespace tintype::guest
