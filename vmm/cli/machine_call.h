// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the verbs that talk to a running machine share.

#include <chrono>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "vmm/control/client.h"

namespace tintype {

/// A connection to the named machine in this user's runtime directory.
ControlClient connect_to_machine(const std::string& name);

/// One call to it that is answered soon.
nlohmann::json call_machine(const std::string& name, const std::string& method, const nlohmann::json& params);

inline constexpr std::chrono::milliseconds kAnswerTime = std::chrono::seconds(30);

/// "1h 02m 03s", "4m 05s", "6.7 s".
std::string duration_text(std::uint64_t ms);

}  // namespace tintype
