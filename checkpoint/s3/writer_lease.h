// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "checkpoint/s3/client.h"

namespace tintype {

/// Says who writes a checkpoint, so that others can tell his work from what a dead one left.
///
/// A store has no locks that end with their process. So a writer puts down who he is, and says again and again that he
/// is at it. He is dead where he ran on this computer and his process is gone, or where he has not been heard of for so
/// long that no request of his can be under way: a signature holds for 15 minutes. One whose last words were that he is
/// sealing is only dead then: his seal may come still.
struct WriterMark {
  std::string computer;  ///< of its boot and its process namespace
  std::uint64_t process = 0, started = 0;
  std::uint64_t parent = 0;   ///< what he builds on; 0: nothing
  std::uint64_t sealing = 0;  ///< the id that he is taking; 0: not yet
  std::string replaces;       ///< the folder whose place his takes, where he merges; else empty

  static WriterMark of_this_process();
  static WriterMark parse(const std::string& text);
  std::string text() const;
  /// Of a mark that the store has had for so long.
  bool is_dead(std::chrono::seconds silent_for) const;
  /// He ran on this computer, and does no more.
  bool is_gone() const;
};

/// The mark of one writer, kept fresh. Any thread.
class WriterLease {
 public:
  static constexpr std::chrono::minutes kRenewed{1}, kDeadAfter{20}, kLongestSilence{10};

  /// Puts the mark down.
  WriterLease(S3Client& client, std::string name, WriterMark mark);
  /// Where it has been a while. Throws what writing throws; and where it has been too long, so that others may think
  /// that he is dead.
  void renew_if_due();
  /// Says that he is taking this id, at once.
  void note_sealing(std::uint64_t id);
  const std::string& name() const noexcept { return name_; }

 private:
  void put();

  S3Client& client_;
  const std::string name_;
  std::mutex mutex_;  // guards the rest
  WriterMark mark_;
  std::chrono::seconds renewed_{};  ///< by the clock that goes on while the computer sleeps
};

}  // namespace tintype
