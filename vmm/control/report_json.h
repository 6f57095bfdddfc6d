// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reports as JSON, in one place: what the control socket carries is what `--json` prints.

#include <nlohmann/json_fwd.hpp>

#include "checkpoint/report.h"
#include "vmm/machine/machine.h"

namespace tintype {

/// Keys as the command line promises them; "parent" is null where there is none. More keys may come.
nlohmann::json report_to_json(const CheckpointReport& report);
/// The way back, for the client. tintype::Error where a key is missing or of the wrong kind.
CheckpointReport report_from_json(const nlohmann::json& object);

nlohmann::json status_to_json(const MachineConfig& config, const MachineStatus& status, int pid);

nlohmann::json progress_to_json(const Progress& progress);
Progress progress_from_json(const nlohmann::json& object);

}  // namespace tintype
