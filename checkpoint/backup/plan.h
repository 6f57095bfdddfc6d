// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/backup/retention.h"
#include "vmm/base/words.h"

namespace tintype {

/// Backups of one machine to one place, again and again.
struct BackupPlan {
  std::string to;  ///< a repository, absolute or s3://BUCKET/PREFIX; or tcp://HOST:PORT, where a standby listens
  std::uint64_t every_ms = 0;
  std::optional<Retention> keep;              ///< nothing: all stay
  std::uint64_t verify_ms = 0, drill_ms = 0;  ///< how often the place is verified, and drilled; 0: never
  std::string key;                            ///< the file of the key that a standby shares
  std::string witness;                        ///< of who may run the machine: the address of an etcd; or nobody
};

/// UsageError, in the words of the options, for a plan that cannot be.
void check_plan(const BackupPlan& plan);

/// What the one before had and this one, which takes its place, has not: in the words of the options; empty: nothing.
/// (A witness stays: the machine has it until it ends.)
std::string no_longer(const BackupPlan& before, const BackupPlan& now);

/// Whether that is a standby's address, and not a repository.
bool is_standby(const std::string& place);

enum class BackupState : std::uint8_t { kWaiting, kWorking, kFailing };
template <>
inline constexpr auto kWords<BackupState> = std::to_array<Word<BackupState>>({{BackupState::kWaiting, "waiting"},
                                                                              {BackupState::kWorking, "working"},
                                                                              {BackupState::kFailing, "failing"}});

/// How the backups to one place are getting on.
struct BackupStatus {
  std::string to;
  BackupState state = BackupState::kWaiting;
  std::uint64_t every_ms = 0;
  std::string keep;                           ///< as it was asked for; empty: all
  std::uint64_t verify_ms = 0, drill_ms = 0;  ///< how often; 0: never
  std::uint64_t taken = 0;                    ///< by this process, since it was asked to
  std::uint64_t skipped = 0;                  ///< beats at which the one before was not finished
  std::uint64_t failures = 0;                 ///< since the last that worked
  std::uint64_t latest = 0;                   ///< its id at that place; 0: none yet
  std::string latest_time;                    ///< UTC
  std::string note;                           ///< what is to be said of the latest: all was read
  std::string problem;                        ///< of the last that failed; empty where the last one worked
  std::uint64_t next_ms = 0;                  ///< until the next one is tried
  std::string verified, drilled;              ///< what came of the last; empty: there was none yet
};

}  // namespace tintype
