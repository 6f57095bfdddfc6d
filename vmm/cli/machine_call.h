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

inline constexpr std::chrono::milliseconds kAnswerTime = std::chrono::seconds(30);

}  // namespace tintype
