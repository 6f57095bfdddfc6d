// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the control socket carries, as JSON; `--json` prints the same. (A checkpoint's report:
// checkpoint/image/manifest.h.)

#include <nlohmann/json_fwd.hpp>

#include "checkpoint/report.h"
#include "vmm/machine/machine.h"

namespace tintype {

nlohmann::json status_to_json(const MachineConfig& config, const MachineStatus& status, int pid);

nlohmann::json progress_to_json(const Progress& progress);
Progress progress_from_json(const nlohmann::json& object);

}  // namespace tintype
