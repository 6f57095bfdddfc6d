// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include <nlohmann/json_fwd.hpp>

namespace tintype {

/// Throws UsageError, which names the option, where that is no http(s)://HOST:PORT.
void check_witness_url(const std::string& url, const std::string& option);

/// Who may run a machine, as an etcd says: a key that one holder at a time has, with a lease that runs out by itself
/// (its JSON gateway, by libcurl). One thread at a time.
class Witness {
 public:
  /// `url`: http(s)://HOST:2379. Asks nobody yet.
  Witness(std::string url, const std::string& machine);

  static constexpr std::chrono::milliseconds kLease = std::chrono::seconds(6);

  /// What it is taken for: to run a machine here; to run one that another one ran, who must have had its right from
  /// this very witness; to run on, where this process had it before, and nobody else since.
  enum class Taking : std::uint8_t { kToRun, kFromAnother, kAgain };
  /// Takes the right for kLease from the moment of the call. Returns why not; nothing where it is had. Throws
  /// tintype::Error where nobody can be asked within the patience.
  std::string acquire(Taking taking, std::chrono::milliseconds patience);
  /// For kLease from the moment of the call. False where it is lost.
  bool renew(std::chrono::milliseconds patience);
  /// Others need not wait for it to run out.
  void release() noexcept;
  const std::string& url() const noexcept { return url_; }
  /// When it could not be had last: somebody else was the last who had it.
  bool another_had_it() const noexcept { return another_had_it_; }
  /// Which one it is, by whatever URL it is reached: a key that whoever asks first leaves there. (The ID of its cluster
  /// would not do: that of any two etcds with the default settings is the same.) Throws tintype::Error where it cannot
  /// be asked within the patience.
  std::string identity(std::chrono::milliseconds patience) const;

 private:
  void revoke(const std::string& lease) const noexcept;
  nlohmann::json post(const std::string& path, const nlohmann::json& body, std::chrono::milliseconds patience) const;

  const std::string url_, machine_, holder_, lock_key_, last_key_;
  std::string lease_;  ///< its id; empty: none
  bool another_had_it_ = false;
};

/// Keeps the right to run a machine from its making to its end, on a thread of its own, be the machine there already or
/// not. Where it cannot be renewed the machine is told to stand still before it runs out, and to go on where it is had
/// again and nobody else had it meanwhile.
class LeaseKeeper {
 public:
  struct Machine {
    std::function<void(const std::string& why)> stand_still;
    std::function<void()> go_on;
  };
  /// Has it when it returns. Throws tintype::Error where it cannot be had, or nobody can be asked.
  LeaseKeeper(const std::string& url, const std::string& machine, Witness::Taking taking);
  /// Lets go of it.
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;
  const std::string& url() const noexcept { return witness_.url(); }
  const std::string& machine() const noexcept { return machine_name_; }
  /// Who is told, at once where it should stand still just now: before that it must not run. Once.
  void guard(Machine machine);
  /// It has not run out, as far as is known here.
  bool is_had() const noexcept { return !standing_; }
  /// Another one has had it since: this one will never have it again.
  bool is_lost() const noexcept { return is_lost_; }

 private:
  using Clock = std::chrono::steady_clock;
  void run() noexcept;
  std::string try_to_have();

  const std::string machine_name_;
  Witness witness_;
  Clock::time_point until_{};
  std::atomic<bool> standing_ = false, is_lost_ = false;  ///< the thread's to change
  std::mutex mutex_;                                      // guards the next
  Machine machine_;
  std::string why_;  ///< the machine has to stand still
  bool ending_ = false;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace tintype
