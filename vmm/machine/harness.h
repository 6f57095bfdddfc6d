// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "tools/harness/tintype_harness.h"
#include "vmm/base/mapping.h"
#include "vmm/machine/machine.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// The area that a program on the host shares with the machine. What the program writes there is looked at once.
class HarnessArea {
 public:
  /// Throws tintype::Error where the file is none.
  explicit HarnessArea(const std::filesystem::path& file);

  std::chrono::milliseconds timeout() const noexcept;
  /// The program's turn: this came of its last input.
  void tell(std::uint64_t result, const ResetReport& reset, std::uint64_t nanoseconds) noexcept;
  /// Waits for the machine's turn, some milliseconds at most; false where it has not come.
  bool wait() noexcept;
  std::span<const std::byte> input() const noexcept;

 private:
  Mapping mapping_;
  tintype_area& area_;
};

/// Marks and resets that a guest asks for itself, on a thread of its own, with inputs that a program gives.
class Harness {
 public:
  /// What of the machine it works on. `then` is done while the machine stands still, at its mark.
  struct Work {
    std::function<MarkReport(const std::function<void()>& then)> mark;
    std::function<ResetReport(const std::function<void()>& then)> reset;
  };
  Harness(GuestMemory& memory, Work work);
  /// Where the machine has ended: whoever waits is told so.
  ~Harness();
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  /// A guest's request is at this address. On its vCPU's thread; never blocks.
  void post(std::uint32_t address) noexcept;
  /// From now on inputs come from there.
  void attach(const std::filesystem::path& file);
  void stop() noexcept;

 private:
  void main() noexcept;
  std::optional<std::uint32_t> next(bool& late);
  void serve(std::uint32_t address);
  void mark(std::uint32_t address, const tintype_request& request);
  void reset(std::uint64_t result);
  bool await_input();
  void hand_over() noexcept;
  std::shared_ptr<HarnessArea> area();
  bool stopping();

  GuestMemory& memory_;
  const Work work_;
  std::optional<std::uint32_t> marked_;  ///< the request that stands at the mark; the thread's, as is the next
  tintype_request request_{};
  bool runs_input_ = false;
  ResetReport last_;
  std::uint64_t last_ns_ = 0;

  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::optional<std::uint32_t> posted_;
  std::shared_ptr<HarnessArea> area_;
  bool stopping_ = false;
  std::thread thread_;  ///< made when it is first needed
};

}  // namespace tintype
