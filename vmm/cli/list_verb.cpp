// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/cli/machine_call.h"
#include "vmm/cli/output.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/runtime_directory.h"

namespace tintype {

using nlohmann::json;

namespace {

/// A machine that hangs must not hide the others.
constexpr auto kPatience = std::chrono::seconds(2);

/// Nothing where it has ended meanwhile.
std::optional<json> status_of(const std::filesystem::path& directory, const std::string& name) {
  try {
    return ControlClient(directory, name).call("status", json::object(), kPatience);
  } catch (const Error& failure) {
    if (directory_of_machine(name) != directory) return std::nullopt;
    std::error_code unknown;
    const bool listens = std::filesystem::exists(control_socket_path(directory, name), unknown);
    return json{{"name", name},
                {"pid", pid_of_name_holder(directory, name)},
                {"state", listens ? "not answering" : "starting"},
                {"error", failure.what()}};
  }
}

void print_row(const json& machine, Output& output) {
  const bool answers = machine.contains("memory");  // what hangs does not, nor has a standby any of that
  const int pid = machine.value("pid", 0);          // 0: its lock belongs to a process that we cannot see
  output.line("{:<24} {:>8}  {:<13} {:>9} {:>5}  {}", machine.value("name", ""), pid == 0 ? "?" : std::to_string(pid),
              machine.value("state", ""), answers ? format_size(machine.value("memory", std::uint64_t{0})) : "",
              answers ? std::to_string(machine.value("cpus", 0)) : "",
              answers ? format_duration(machine.value("uptime_ms", std::uint64_t{0})) : "");
}

/// Those in all directories of this user. One that may not be read is an error where nothing is found elsewhere.
json all_machines() {
  json machines = json::array();
  const auto unreadable = for_each_machine([&](const auto& directory, const std::string& name) {
    if (auto machine = status_of(directory, name)) machines.push_back(std::move(*machine));
  });
  if (unreadable && machines.empty()) throw *unreadable;
  std::sort(machines.begin(), machines.end(),
            [](const json& a, const json& b) { return a.value("name", "") < b.value("name", ""); });
  return machines;
}

class ListVerb final : public Verb {
 public:
  void declare(VerbOptions&) override {}

  int run(Output& output) override {
    const json machines = all_machines();
    if (!machines.empty())
      output.line("{:<24} {:>8}  {:<13} {:>9} {:>5}  {}", "NAME", "PROCESS", "STATE", "MEMORY", "CPUS", "RUNS FOR");
    for (const json& machine : machines) print_row(machine, output);
    if (machines.empty()) output.line("No machine is running.");
    output.result({{"machines", machines}});
    return 0;
  }
};

}  // namespace

std::unique_ptr<Verb> make_list_verb() { return std::make_unique<ListVerb>(); }

}  // namespace tintype
