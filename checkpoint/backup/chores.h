// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tintype {

/// Runs `tintype ARGUMENTS...` in a process of its own, until it has ended or `stop` is set. Returns what there is to
/// say of it: "good", or what is wrong.
using RunTintype = std::function<std::string(const std::vector<std::string>& arguments, const std::atomic<bool>& stop)>;

/// Told what nobody would see who does not ask for the status: on any thread.
using Warn = std::function<void(const std::string& what)>;

/// What RunTintype says where nothing is wrong.
inline constexpr const char* kGood = "good";

/// Something that is done with a repository now and then, beside the backups, on a thread of its own.
class Chore {
 public:
  /// `run` and `warn` must outlive it.
  Chore(std::vector<std::string> arguments, std::chrono::milliseconds every, const RunTintype& run, const Warn& warn)
      : arguments_(std::move(arguments)), every_(every), run_(run), warn_(warn) {}
  /// Ends it where it is at work.
  ~Chore();
  Chore(const Chore&) = delete;
  Chore& operator=(const Chore&) = delete;

  /// Begins it where it is time.
  void begin_if_due();
  /// Also where it is done now and then only, or never.
  void begin();
  /// Since this was asked last.
  bool has_found_something() noexcept { return has_found_something_.exchange(false); }
  /// What came of the last time; empty where there was none yet.
  std::string outcome() const;

 private:
  using Clock = std::chrono::steady_clock;
  void work() noexcept;

  const std::vector<std::string> arguments_;
  const std::chrono::milliseconds every_;  ///< 0: never
  const RunTintype& run_;
  const Warn& warn_;
  Clock::time_point due_{};
  std::atomic<bool> stop_ = false, busy_ = false, has_found_something_ = false;
  mutable std::mutex mutex_;  // guards the next
  std::string outcome_;
  std::thread thread_;
};

}  // namespace tintype
