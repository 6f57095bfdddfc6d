// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "vmm/control/feed.h"
#include "vmm/machine/machine.h"

namespace tintype {

/// `events` and `console`; null for any other name. UsageError for parameters that cannot be.
std::unique_ptr<Feed> open_machine_feed(Machine& machine, std::string_view method, const nlohmann::json& params);

/// An event, as the socket carries it and `tintype events` prints it.
nlohmann::json event_to_json(const std::string& machine, const MachineEvent& event);

}  // namespace tintype
