// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/machine_call.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "vmm/control/runtime_directory.h"

namespace tintype {

ControlClient connect_to_machine(const std::string& name) { return ControlClient(runtime_directory(), name); }

nlohmann::json call_machine(const std::string& name, const std::string& method, const nlohmann::json& params) {
  return connect_to_machine(name).call(method, params, kAnswerTime);
}

std::string duration_text(std::uint64_t ms) {
  const std::uint64_t seconds = ms / 1000;
  if (seconds < 60) return fmt::format("{}.{} s", seconds, ms % 1000 / 100);
  if (seconds < 3600) return fmt::format("{}m {:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h {:02}m {:02}s", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

}  // namespace tintype
