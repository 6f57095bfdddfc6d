// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "vmm/control/client.h"
#include "vmm/control/status_json.h"

namespace tintype {

/// What a machine's guest prints, as it comes.
class ConsoleReader {
 public:
  /// Begins with at most `past` bytes of what it has printed.
  ConsoleReader(ControlClient machine, std::uint64_t past) : machine_(std::move(machine)) {
    machine_.follow("console", {{"past", past}});
  }

  /// Nothing where none comes in time, or the machine has ended.
  std::optional<std::string> next(std::chrono::milliseconds patience) {
    const auto piece = machine_.next(patience);
    if (!piece || !piece->contains("text")) return std::nullopt;
    missed_ += piece->value("missed", std::uint64_t{0});
    return path_from_json((*piece)["text"], "the console").string();
  }
  bool ended() const noexcept { return machine_.hung_up(); }
  int fd() const noexcept { return machine_.fd(); }
  /// Bytes that came faster than they were read here.
  std::uint64_t missed() const noexcept { return missed_; }

 private:
  ControlClient machine_;
  std::uint64_t missed_ = 0;
};

inline constexpr std::uint64_t kAllOfThePast = UINT64_MAX;

}  // namespace tintype
