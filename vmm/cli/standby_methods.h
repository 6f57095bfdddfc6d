// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>

#include <nlohmann/json.hpp>

#include "checkpoint/standby/standby.h"
#include "vmm/control/rpc.h"
#include "vmm/control/server.h"
#include "vmm/machine/warm_shell.h"

namespace tintype {

/// What a standby answers before it is a machine: `promote`, `status` and `stop`. Any thread.
class StandbyMethods final : public ControlService {
 public:
  struct Means {
    std::string name, witness;                              ///< its URL; empty: it asks none
    std::optional<std::filesystem::path> disk_directory{};  ///< where the machine's disks will go
  };
  /// Both must outlive it, or be closed to it.
  StandbyMethods(Standby& standby, const WarmShell& shell, Means means)
      : standby_(standby), shell_(shell), means_(std::move(means)) {}

  nlohmann::json call(const std::string& method, const nlohmann::json& parameters, const ProgressSink&) override;

  bool stopped() const;
  /// It was promoted, and cannot run the machine yet.
  void note_failure(const std::string& why);
  /// The machine is there. False where it was stopped before that: then nobody may run it.
  bool note_machine(std::uint64_t checkpoint);
  /// Nothing will come of it any more. Returns when nobody asks the standby or the shell any longer.
  void close() noexcept;

 private:
  nlohmann::json promote();
  nlohmann::json stop();
  nlohmann::json status() const;
  std::string problem(const StandbyStatus& now, const WarmShell::Status& shell) const;

  enum class Fate : std::uint8_t { kOpen, kStopped, kMachine };
  Standby& standby_;
  const WarmShell& shell_;
  const Means means_;
  std::shared_mutex calls_;   ///< shared by those that are under way
  bool closed_ = false;       ///< guarded by it
  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable decided_;
  Fate fate_ = Fate::kOpen;
  std::uint64_t checkpoint_ = 0;
  std::string failure_;
};

}  // namespace tintype
