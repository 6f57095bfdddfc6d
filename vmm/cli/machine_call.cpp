// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/machine_call.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "vmm/control/runtime_directory.h"

namespace tintype {

ControlClient connect_to_machine(const std::string& name) { return ControlClient(runtime_directory(), name); }

}  // namespace tintype
