// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "checkpoint/restore/following_memory.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/machine.h"

namespace tintype {

/// A machine that waits for its hour: built, its memory as the newest checkpoint of a repository has it, nothing of it
/// running. What is left to do when it is taken does not grow with its memory. Any thread, but for take().
class WarmShell {
 public:
  /// `how`: what restore_machine() would be given.
  explicit WarmShell(RestoreOptions how);
  ~WarmShell();
  WarmShell(const WarmShell&) = delete;
  WarmShell& operator=(const WarmShell&) = delete;

  /// This one is whole: memory becomes as it has it, on a thread of the shell's.
  void came(std::uint64_t id);

  struct Status {
    std::uint64_t ready = 0;   ///< the checkpoint that memory is as; 0: none
    bool loads_whole = false;  ///< what it will follow from there should stay
    std::string problem;       ///< why it is not as the last one that came
  };
  Status status() const;

  /// The machine, restored from that checkpoint; nothing runs yet. Where the shell is not ready it is restored as
  /// restore_machine() does. Nothing comes any more. Where it throws it may be tried again.
  std::unique_ptr<Machine> take(std::uint64_t id);

 private:
  void work() noexcept;
  void prepare(std::uint64_t id);
  void make_machine(const Manifest& manifest);
  void open_ahead(std::uint64_t id) noexcept;
  void forget_machine() noexcept;
  void end_work() noexcept;
  void throw_if_ending() const;
  std::unique_ptr<Machine> take_warm(std::uint64_t id);

  RestoreOptions how_;

  mutable std::mutex mutex_;  // guards the next
  std::condition_variable changed_;
  std::uint64_t wanted_ = 0;
  Status status_;
  bool ending_ = false;

  // The thread's own, until it has ended.
  MachineDescription like_;
  std::unique_ptr<Lifecycle> machine_;
  std::optional<FollowingMemory> memory_;               // the machine's
  std::shared_ptr<const CheckpointReader> checkpoint_;  // what memory is as, where nothing has come for a while

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace tintype
