// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "vmm/base/error.h"
#include "vmm/base/progress.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

/// The machine says nothing. Its process may hang, or be stopped.
class MachineSilent : public Error {
 public:
  using Error::Error;
};

/// A connection to the control socket of a machine. Not thread-safe: one call at a time.
class ControlClient {
 public:
  /// tintype::Error where no machine of this name lives.
  ControlClient(const std::filesystem::path& directory, const std::string& name);

  /// Calls and waits for the answer, as long as the machine is silent for less than `patience`; its progress goes to
  /// `progress`. Throws MachineSilent; what the machine refuses is thrown as UsageError (wrong parameters) or
  /// tintype::Error, in the machine's words.
  nlohmann::json call(const std::string& method, const nlohmann::json& params, std::chrono::milliseconds patience,
                      const ProgressSink& progress = {});

  /// Follows what this method tells of: next() gives its notifications. Calls on this connection would lose some.
  void follow(const std::string& method, const nlohmann::json& params);
  /// Parameters of the next notification; nothing where none comes in time, or the machine has hung up.
  std::optional<nlohmann::json> next(std::chrono::milliseconds patience);
  bool hung_up() const noexcept { return ended_; }
  /// Whose socket it is; 0 where the kernel does not say.
  int process() const noexcept;
  /// Readable where next() may have something that it has not read yet.
  int fd() const noexcept { return socket_.get(); }

  /// Waits until the machine hangs up, which it does when it has ended and its disks are closed. False where it has not
  /// by then.
  bool wait_for_end(std::chrono::milliseconds patience);

 private:
  void send_line(const std::string& line);
  std::string receive_line(std::chrono::milliseconds patience);
  std::optional<std::string> take_line();
  /// False where nothing came in time; an empty input_ afterwards means that the machine has hung up.
  bool receive_some(std::chrono::milliseconds patience);

  std::string name_;
  UniqueFd socket_;
  std::string input_;
  bool ended_ = false;
  std::uint64_t last_id_ = 0;
};

}  // namespace tintype
