// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/backup/housekeeper.h"
#include "checkpoint/standby/callers.h"
#include "checkpoint/standby/secure_channel.h"
#include "checkpoint/standby/silence.h"
#include "checkpoint/standby/tcp.h"

namespace tintype {

struct StandbyOptions {
  TcpAddress listen;
  std::filesystem::path repository;
  std::vector<std::byte> key;
  Retention keep;
  /// The first one counts as lost when nothing was heard of it for so long, of the time in which this one listened;
  /// nothing: never, somebody has to say so.
  std::optional<std::chrono::milliseconds> promote_after;
  /// The witness. Asked before each promotion, whoever wants it, for the machine that would run: why it may not, or
  /// nothing where it may. It may take a while.
  std::function<std::string(const std::string& vm)> why_not_promote;
  /// Which one that is (Witness::identity): the first computer has to ask the same. Empty where it does not say now.
  std::function<std::string()> witness;
  /// Once it was promoted: whether it has the right to run still. Only then is the first one told that it was replaced.
  std::function<bool()> is_rightful = [] { return true; };
  /// Told of each checkpoint when it is whole, and was acknowledged: on a thread that should be back soon.
  std::function<void(std::uint64_t id)> on_checkpoint;
  /// Asked before old ones are deleted; false: not now.
  std::function<bool()> may_prune;
};

struct StandbyStatus {
  std::string vm;            ///< whose checkpoints come, or are there; empty: nobody has called yet
  std::uint64_t latest = 0;  ///< id of the newest whole one; 0: none
  std::uint64_t received = 0;
  bool connected = false, promoted = false;
  std::uint64_t silent_ms = 0;  ///< since something was heard of the first one; 0: nobody has called yet
  std::string problem;  ///< why the last one that came was not taken in, who called in vain, why it does not run
};

/// The second computer: takes in a machine's checkpoints as they are made, and knows whether the first one lives. When
/// it is lost, or on demand, no more is taken in, and the newest whole checkpoint is the one to run. From then on the
/// first one is told that it was replaced, as long as this lives.
class Standby {
 public:
  /// Listens. Throws tintype::Error.
  explicit Standby(StandbyOptions options);
  ~Standby();
  Standby(const Standby&) = delete;
  Standby& operator=(const Standby&) = delete;

  std::uint16_t port() const { return port_of(listener_.get()); }
  StandbyStatus status() const;
  /// By hand. Throws tintype::Error where nothing whole has come, or it may not be.
  void promote();
  /// From now on it is not.
  void refuse_promotion() noexcept { no_more_ = true; }
  /// False where it was not promoted in that time.
  bool wait_until_promoted(std::chrono::milliseconds patience);
  /// The checkpoint to run, once it was promoted.
  std::uint64_t checkpoint() const { return newest(); }

 private:
  using Clock = std::chrono::steady_clock;
  class Busy;

  void listen() noexcept;
  void serve(UniqueFd socket, std::atomic<bool>& has_key) noexcept;
  bool is_first_stranger_for_long();
  void talk(SecureChannel& channel);
  std::string why_not_with(std::string_view witness) const;
  bool answer(SecureChannel& channel, const std::string& line);
  void take_in(SecureChannel& channel, Busy& busy);
  void turn_away(SecureChannel& channel, const std::string& vm, const std::string& why);
  void note_problem(const std::string& what);
  void refuse(SecureChannel& channel, const std::string& why) const;
  void refuse_if_heard(SecureChannel& channel, const std::string& why) const noexcept;
  void send_replaced(SecureChannel& channel) const;
  void tell_replaced(SecureChannel& channel) const;
  std::string begin_session(SecureChannel& channel, const std::string& vm, const std::string& kept);
  void end_session(SecureChannel& channel) noexcept;
  void heard();
  void look_for_loss();
  enum class Farewell : std::uint8_t { kNone, kTellTheFirst };
  std::string try_to_promote(Farewell farewell);
  void part(Farewell farewell);
  void require_repository() const;
  std::uint64_t newest() const;
  std::shared_ptr<const Manifest> newest_manifest() const;
  std::string vm_of_newest() const noexcept;

  const StandbyOptions options_;
  const UniqueFd claim_;  ///< of the repository: two that run what is in it would run it twice
  const UniqueFd listener_;
  const std::shared_ptr<KnownManifests> known_ = std::make_shared<KnownManifests>();
  std::mutex importing_;  ///< one at a time; a promotion waits until it is over
  std::mutex promoting_;
  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::string vm_, problem_;
  std::uint64_t received_ = 0;
  SecureChannel* current_ = nullptr;
  std::optional<Clock::time_point> heard_;  ///< nothing: nobody has called, or they have taken their leave
  Silence silence_;
  std::optional<Clock::time_point> stranger_noted_;
  unsigned busy_ = 0;  ///< sessions that do what they were told, and do not listen
  std::atomic<bool> promoted_ = false, ending_ = false, no_more_ = false;
  Housekeeper housekeeper_;
  // The listening thread's:
  Callers callers_{[this](UniqueFd socket, std::atomic<bool>& has_key) { serve(std::move(socket), has_key); }};
  std::string why_not_promoted_;         ///< what was said last
  Clock::time_point not_promoted_at_{};  ///< when it was last tried
  std::thread thread_;                   ///< last: it uses all of the above
};

}  // namespace tintype
