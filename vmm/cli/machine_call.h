// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the verbs that talk to a running machine share.

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "vmm/base/error.h"
#include "vmm/control/client.h"
#include "vmm/control/end_record.h"

namespace tintype {

/// There is no such machine any more, and how it ended is known.
class MachineEnded : public Error {
 public:
  explicit MachineEnded(const EndRecord& record);
  const EndRecord& record() const noexcept { return record_; }
  /// What --json prints of it.
  nlohmann::json result() const;

 private:
  EndRecord record_;
};

/// How a machine of this name ended that runs no more, or that it was killed; nothing where that is not known.
std::optional<EndRecord> find_end_record(const std::string& name);
/// Of one that runs no more and was not killed: it could still say what it had to.
std::optional<EndRecord> find_orderly_end(const std::string& name);
/// What its guest printed last; empty where that is not known.
std::string find_kept_console(const std::string& name);

/// A connection to the named machine, wherever this user's machines may be. MachineEnded, or Error where there never
/// was one.
ControlClient connect_to_machine(const std::string& name);

inline constexpr std::chrono::milliseconds kAnswerTime = std::chrono::seconds(30);

/// The living machines in all directories of this user, by directory and name. Returns why the runtime directory could
/// not be read, where that is so: an error where nothing is found elsewhere.
std::optional<Error> for_each_machine(
    const std::function<void(const std::filesystem::path& directory, const std::string& name)>& meet);

}  // namespace tintype
