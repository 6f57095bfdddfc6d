// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/report_json.h"

#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/control/names.h"

namespace tintype {

using nlohmann::json;

namespace {

json pause_to_json(const PauseTimes& pause) {
  return {{"total", pause.total}, {"kick", pause.kick},       {"devices", pause.devices}, {"disks", pause.disks},
          {"state", pause.state}, {"protect", pause.protect}, {"resume", pause.resume}};
}

PauseTimes pause_from_json(const json& object) {
  return {object.at("total"), object.at("kick"),    object.at("devices"), object.at("disks"),
          object.at("state"), object.at("protect"), object.at("resume")};
}

json memory_to_json(const MemoryReport& memory) {
  return {{"pages_total", memory.pages_total},
          {"pages_written", memory.pages_written},
          {"pages_zero", memory.pages_zero},
          {"bytes_written", memory.bytes_written},
          {"faults", memory.faults},
          {"fault_us", {{"p50", memory.fault_us.p50}, {"p99", memory.fault_us.p99}, {"max", memory.fault_us.max}}},
          {"capture_area_peak_bytes", memory.capture_area_peak_bytes},
          {"capture_area_waits", memory.capture_area_waits},
          {"rounds", memory.rounds}};
}

MemoryReport memory_from_json(const json& object) {
  MemoryReport memory;
  memory.pages_total = object.at("pages_total");
  memory.pages_written = object.at("pages_written");
  memory.pages_zero = object.at("pages_zero");
  memory.bytes_written = object.at("bytes_written");
  memory.faults = object.at("faults");
  const json& fault = object.at("fault_us");
  memory.fault_us = {fault.at("p50"), fault.at("p99"), fault.at("max")};
  memory.capture_area_peak_bytes = object.at("capture_area_peak_bytes");
  memory.capture_area_waits = object.at("capture_area_waits");
  memory.rounds = object.at("rounds");
  return memory;
}

json disks_to_json(const std::vector<DiskReport>& disks) {
  json list = json::array();
  for (const DiskReport& disk : disks) list.push_back({{"id", disk.id}, {"bytes_written", disk.bytes_written}});
  return list;
}

std::string serial_text(const SerialConfig& serial) {
  switch (serial.kind) {
    case SerialKind::kStdio: return "stdio";
    case SerialKind::kNull: return "null";
    case SerialKind::kFile: return "file:" + serial.path.string();
    case SerialKind::kUnix: return "unix:" + serial.path.string();
  }
  return "unknown";
}

json disk_configs_to_json(const std::vector<DiskConfig>& disks) {
  json list = json::array();
  for (std::size_t i = 0; i < disks.size(); ++i) {
    list.push_back({{"id", fmt::format("disk{}", i)},
                    {"image", disks[i].image.string()},
                    {"mode", to_text(disks[i].mode)},
                    {"read_only", disks[i].read_only}});
  }
  return list;
}

}  // namespace

json report_to_json(const CheckpointReport& report) {
  return {{"id", report.id},
          {"repository", report.repository},
          {"vm", report.vm},
          {"strategy", to_text(report.strategy)},
          {"parent", report.parent == 0 ? json(nullptr) : json(report.parent)},
          {"pause_us", pause_to_json(report.pause_us)},
          {"memory", memory_to_json(report.memory)},
          {"disks", disks_to_json(report.disks)},
          {"copy_ms", report.copy_ms},
          {"seal_ms", report.seal_ms},
          {"total_ms", report.total_ms}};
}

CheckpointReport report_from_json(const json& object) {
  try {
    CheckpointReport report;
    report.id = object.at("id");
    report.repository = object.at("repository");
    report.vm = object.at("vm");
    report.strategy = strategy_from_text(object.at("strategy").get<std::string>(), "strategy");
    report.parent = object.at("parent").is_null() ? 0 : object.at("parent").get<std::uint64_t>();
    report.pause_us = pause_from_json(object.at("pause_us"));
    report.memory = memory_from_json(object.at("memory"));
    for (const json& disk : object.at("disks")) report.disks.push_back({disk.at("id"), disk.at("bytes_written")});
    report.copy_ms = object.at("copy_ms");
    report.seal_ms = object.at("seal_ms");
    report.total_ms = object.at("total_ms");
    return report;
  } catch (const json::exception& failure) {
    throw Error("The machine's report on the checkpoint cannot be understood ({}): is it another version of Tintype?", failure.what());
  }
}

json status_to_json(const MachineConfig& config, const MachineStatus& status, int pid) {
  return {{"name", config.name},
          {"pid", pid},
          {"state", to_text(status.state)},
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
