// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>

#include <nlohmann/json_fwd.hpp>

namespace tintype {

/// What a client follows: a log that the machine keeps anyway, and how far this client has read it. It is read no
/// faster than the client takes it, so that one that sleeps costs nothing, and finds out what it has missed. On the
/// server's thread.
class Feed {
 public:
  using Clock = std::chrono::steady_clock;

  virtual ~Feed() = default;
  /// Name of its notifications.
  virtual const char* method() const noexcept = 0;
  /// The parameters of the next one; nothing where there is none now. Then the bell rings when there is, or
  virtual std::optional<nlohmann::json> next() = 0;
  /// it is worth to ask again at this time.
  virtual std::optional<Clock::time_point> due() const noexcept { return std::nullopt; }
};

}  // namespace tintype
