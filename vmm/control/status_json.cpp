// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/status_json.h"

#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/control/names.h"

namespace tintype {

using nlohmann::json;

namespace {

std::string serial_text(const SerialConfig& serial) {
  switch (serial.kind) {
    case SerialKind::kStdio:
      return "stdio";
    case SerialKind::kNull:
      return "null";
    case SerialKind::kFile:
      return "file:" + serial.path.string();
    case SerialKind::kUnix:
      return "unix:" + serial.path.string();
  }
  return "unknown";
}

json disk_configs_to_json(const std::vector<DiskConfig>& disks) {
  json list = json::array();
  for (std::size_t i = 0; i < disks.size(); ++i) {
    list.push_back({{"id", fmt::format("disk{}", i)},
                    {"image", disks[i].image.string()},
                    {"mode", name_of(disks[i].mode)},
                    {"read_only", disks[i].read_only}});
  }
  return list;
}

}  // namespace

json status_to_json(const MachineConfig& config, const MachineStatus& status, int pid) {
  return {{"name", config.name},
          {"pid", pid},
          {"state", name_of(status.state)},
          {"checkpoint_running", status.checkpoint_running},
          {"uptime_ms", status.uptime_ms},
          {"exits", status.exits},
          {"restored_from", status.restored_from == 0 ? json(nullptr) : json(status.restored_from)},
          {"memory", config.memory},
          {"cpus", config.cpus},
          {"kernel", config.kernel.string()},
          {"serial", serial_text(config.serial)},
          {"disks", disk_configs_to_json(config.disks)}};
}

json progress_to_json(const Progress& progress) {
  return {{"phase", progress.phase}, {"done", progress.done}, {"total", progress.total}};
}

Progress progress_from_json(const json& object) {
  return {object.value("phase", ""), object.value("done", std::uint64_t{0}), object.value("total", std::uint64_t{0})};
}

}  // namespace tintype
