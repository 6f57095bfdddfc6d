// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/status_json.h"

#include <nlohmann/json.hpp>

#include "checkpoint/format/json_fields.h"
#include "vmm/base/error.h"

namespace tintype {

using json_fields::Same;
using nlohmann::json;

void fields(auto& archive, Same<DiskStatus> auto& disk) {
  archive("id", disk.id);
  archive("image", disk.image);
  archive("mode", disk.mode);
  archive("read_only", disk.read_only);
  archive("waits_for_room", disk.waits_for_room);
  archive("problem", disk.problem);
  archive("reads", disk.reads);
  archive("writes", disk.writes);
  archive("bytes_read", disk.bytes_read);
  archive("bytes_written", disk.bytes_written);
}

void fields(auto& archive, Same<ExitCount> auto& exits) {
  archive("name", exits.name);
  archive("count", exits.count);
}

void fields(auto& archive, Same<LoadReport> auto& load) {
  archive("bytes_left", load.bytes_left);
  archive("bytes_total", load.bytes_total);
  archive("problem", load.problem);
}

void fields(auto& archive, Same<BackupStatus> auto& backup) {
  archive("to", backup.to);
  archive("state", backup.state);
  archive("every_ms", backup.every_ms);
  archive("keep", backup.keep);
  archive("verify_ms", backup.verify_ms);
  archive("drill_ms", backup.drill_ms);
  archive("taken", backup.taken);
  archive("skipped", backup.skipped);
  archive("failures", backup.failures);
  archive("latest", backup.latest);
  archive("latest_time", backup.latest_time);
  archive("note", backup.note);
  archive("problem", backup.problem);
  archive("next_ms", backup.next_ms);
  archive("verified", backup.verified);
  archive("drilled", backup.drilled);
}

void fields(auto& archive, Same<BackupReport> auto& report) {
  archive("name", report.name);
  archive("backups", report.backups);
  archive("no_longer", report.no_longer);
}

void fields(auto& archive, Same<StatusReport> auto& status) {
  archive("name", status.name);
  archive("pid", status.pid);
  archive("state", status.state);
  archive("checkpoint_running", status.checkpoint_running);
  archive("uptime_ms", status.uptime_ms);
  archive("exits", status.exits);
  archive("exits_by_reason", status.exits_by_reason);
  archive("exits_by_device", status.exits_by_device);
  archive("interrupts", status.interrupts);
  archive("page_faults", status.page_faults);
  archive("restored_from", status.restored_from);
  archive("memory", status.memory);
  archive("load", status.load);
  archive("cpus", status.cpus);
  archive("kernel", status.kernel);
  archive("serial", status.serial);
  archive("disks", status.disks);
  archive("backups", status.backups);
  archive("stands_still", status.stands_still);
  archive("in_debugger", status.in_debugger);
}

void fields(auto& archive, Same<Progress> auto& progress) {
  archive("phase", progress.phase);
  archive("done", progress.done);
  archive("total", progress.total);
}

namespace {

template <typename T>
json to_json(const T& value) {
  json_fields::Writer writer;
  fields(writer, value);
  return writer.take();
}

template <typename T>
T from_json(const json& object, const char* what) {
  T value;
  const json_fields::Json ordered = object;
  json_fields::Reader reader(ordered, what);
  fields(reader, value);
  return value;
}

/// As `--disk` had it: the image of a directory's files has lost its name.
std::string image_text(const DiskConfig& disk) {
  return disk.made_of.empty() ? disk.image.string() : "dir:" + disk.made_of.string();
}

void add_traffic(DiskStatus& disk, const DiskTraffic& traffic) {
  disk.reads = traffic.reads;
  disk.writes = traffic.writes;
  disk.bytes_read = traffic.bytes_read;
  disk.bytes_written = traffic.bytes_written;
}

}  // namespace

StatusReport status_report(const MachineConfig& config, const MachineStatus& status, int pid) {
  StatusReport report;
  report.name = config.name;
  report.pid = static_cast<std::uint32_t>(pid);
  report.state = status.state;
  report.checkpoint_running = status.checkpoint_running;
  report.uptime_ms = status.uptime_ms;
  report.exits = status.exits;
  report.exits_by_reason = status.exits_by_reason;
  report.exits_by_device = status.exits_by_device;
  report.interrupts = status.interrupts;
  report.page_faults = status.page_faults;
  if (status.restored_from != 0) report.restored_from = status.restored_from;
  report.memory = config.memory;
  if (status.load) report.load = LoadReport{status.load->bytes_left, status.load->bytes_total, status.load->problem};
  report.cpus = config.cpus;
  report.kernel = config.kernel.string();
  report.serial =
      std::string(name_of(config.serial.kind)) + (config.serial.path.empty() ? "" : ":" + config.serial.path.string());
  for (const DiskConfig& disk : config.disks)
    report.disks.push_back(
        {fmt::format("disk{}", report.disks.size()), image_text(disk), disk.mode, disk.read_only, false, {}});
  for (std::size_t i = 0; i < status.disk_images.size(); ++i) {  // of a restored machine the configuration names none
    if (std::string& image = report.disks.at(i).image; image.empty()) image = status.disk_images[i].string();
  }
  for (std::size_t i = 0; i < status.disk_traffic.size(); ++i) add_traffic(report.disks.at(i), status.disk_traffic[i]);
  report.backups = status.backups;
  report.stands_still = status.stands_still;
  report.in_debugger = status.in_debugger;
  for (const std::size_t number : status.disks_without_room) report.disks.at(number).waits_for_room = true;
  for (const auto& [number, problem] : status.disk_problems) report.disks.at(number).problem = problem;
  return report;
}

json status_to_json(const StatusReport& status) { return to_json(status); }
StatusReport status_from_json(const json& object) { return from_json<StatusReport>(object, "the machine's status"); }
json backups_to_json(const BackupReport& report) { return to_json(report); }
BackupReport backups_from_json(const json& object) { return from_json<BackupReport>(object, "the backups"); }

json path_to_json(const std::filesystem::path& path) { return json_fields::text_to_json(path.string()); }

std::filesystem::path path_from_json(const json& value, const std::string& what) {
  return json_fields::text_from_json(value, what);
}

json progress_to_json(const Progress& progress) { return to_json(progress); }
Progress progress_from_json(const json& object) { return from_json<Progress>(object, "the progress"); }

}  // namespace tintype
