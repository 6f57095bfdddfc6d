// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/result_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "checkpoint/format/manifest.h"
#include "vmm/cli/report_text.h"
#include "vmm/cli/values.h"
#include "vmm/control/status_json.h"

namespace tintype {

using nlohmann::json;

namespace {

std::string load_text(const std::string& name, const LoadReport& load) {
  if (load.problem.empty()) return fmt::format("{} of it still to be read", format_size(load.bytes_left));
  return fmt::format("{} of it cannot be read ({}): mend that and `tintype continue {}`, or `tintype stop {}`",
                     format_size(load.bytes_left), load.problem, name, name);
}

/// `outcome`: "TIME: good", or what was wrong; empty: it was not done yet.
std::string chore_text(const char* what, const std::string& outcome) {
  if (outcome.empty()) return {};
  return fmt::format("; {} {}", what, outcome.ends_with(": good") ? outcome : "FAILED " + outcome);
}

std::string backup_text(const BackupStatus& backup) {
  std::string text = "every " + format_period(backup.every_ms);
  if (!backup.keep.empty()) text += ", keeps " + backup.keep;
  if (backup.verify_ms != 0) text += fmt::format(", verifies every {}", format_period(backup.verify_ms));
  if (backup.drill_ms != 0) text += fmt::format(", drills every {}", format_period(backup.drill_ms));
  text += backup.latest == 0 ? "; none yet"
                             : fmt::format("; {} taken, {} skipped, the latest is {} of {}", backup.taken,
                                           counted(backup.skipped, "beat"), backup.latest, backup.latest_time);
  if (!backup.note.empty()) text += fmt::format(" ({})", backup.note);
  if (!backup.problem.empty())
    text += fmt::format("; FAILING, {} in a row, tried again in {}: {}", backup.failures,
                        format_duration(backup.next_ms), backup.problem);
  text += chore_text("verify", backup.verified) + chore_text("drill", backup.drilled);
  return text;
}

/// ": com1 120, disk0 7"; nothing where there are none.
std::string counts_text(const std::vector<ExitCount>& counts) {
  std::string text;
  for (const auto& [name, count] : counts) text += fmt::format("{}{} {}", text.empty() ? ": " : ", ", name, count);
  return text;
}

std::string backups_text(const BackupReport& report) {
  if (report.backups.empty()) return fmt::format("No backups of {} are being taken.", report.name);
  std::string text;
  for (const BackupStatus& backup : report.backups)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "\n", backup.to, backup_text(backup));
  if (!report.no_longer.empty()) text += fmt::format("\nNo longer, for this says all of it anew: {}", report.no_longer);
  return text;
}

std::string status_text(const StatusReport& status) {
  std::string text;
  const auto line = [&text](const char* name, const std::string& value) {
    text += fmt::format("{}{:<14} {}", text.empty() ? "" : "\n", name, value);
  };
  line("name", status.name);
  line("state",
       std::string(name_of(status.state)) + (status.checkpoint_running ? ", a checkpoint is being taken" : ""));
  if (!status.stands_still.empty()) line("stands still", status.stands_still);
  if (status.in_debugger) line("", "it stands still in a debugger");
  line("process", std::to_string(status.pid));
  line("runs for", format_duration(status.uptime_ms));
  line("memory", format_size(status.memory));
  if (status.load) line("", load_text(status.name, *status.load));
  line("CPUs", std::to_string(status.cpus));
  line("exits", fmt::format("{}{}", status.exits, counts_text(status.exits_by_reason)));
  if (!status.exits_by_device.empty()) line("", "by device" + counts_text(status.exits_by_device));
  line("kernel", status.kernel);
  line("serial", status.serial);
  if (status.restored_from) line("restored from", fmt::format("checkpoint {}", *status.restored_from));
  for (const DiskStatus& disk : status.disks) {
    std::string trouble;
    if (disk.waits_for_room) trouble = ": its redo log's file system is full; writes wait until you make room";
    if (!disk.problem.empty()) {
      trouble = fmt::format(": the host cannot read or write it ({}); mend that and `tintype continue {}`",
                            disk.problem, status.name);
    }
    line(disk.id.c_str(),
         fmt::format("{} ({}{}){}", disk.image, name_of(disk.mode), disk.read_only ? ", read-only" : "", trouble));
  }
  for (const BackupStatus& backup : status.backups)
    line("backup", fmt::format("to {}, {}", backup.to, backup_text(backup)));
  return text;
}

std::string first_one_text(const json& standby) {
  const bool connected = standby.value("connected", false);
  const auto silent = standby.value("silent_ms", std::uint64_t{0});
  if (!connected && silent == 0) return "nobody has called yet";
  return fmt::format("{}, last heard of {} ago", connected ? "connected" : "not connected", format_duration(silent));
}

std::string standby_checkpoint_text(std::uint64_t latest, std::uint64_t ready) {
  if (latest == 0) return "none has come yet";
  if (ready == latest) return fmt::format("{} is ready to run", latest);
  return ready == 0 ? fmt::format("{} has come, and is made ready", latest)
                    : fmt::format("{} has come, {} is ready to run", latest, ready);
}

/// It is no machine yet, and has nothing of one.
std::string standby_text(const json& status) {
  const json& standby = status.at("standby");
  const std::string vm = standby.value("vm", ""), problem = standby.value("problem", "");
  std::string text = fmt::format("{:<14} {}\n{:<14} standby{}\n", "name", status.value("name", ""), "state",
                                 vm.empty() ? "" : " for " + vm);
  text +=
      fmt::format("{:<14} {}\n{:<14} {}\n", "process", status.value("pid", 0), "first one", first_one_text(standby));
  if (const std::string witness = standby.value("witness", ""); !witness.empty())
    text += fmt::format("{:<14} {}\n", "witness", witness);
  text += fmt::format(
      "{:<14} {}", "checkpoint",
      standby_checkpoint_text(standby.value("latest", std::uint64_t{0}), standby.value("ready", std::uint64_t{0})));
  return problem.empty() ? text : text + fmt::format("\n{:<14} {}", "problem", problem);
}

/// A guest that was cut off may have lost what it had not written yet: that must not look like a clean end.
std::string end_text(const std::string& name, const std::string& reason) {
  if (reason == "stopped") return fmt::format("{} has ended.", name);
  if (reason == "power-off") return fmt::format("{} has powered off.", name);
  if (reason.starts_with("cut off")) return fmt::format("{} was {}.", name, reason);
  return fmt::format("{} has ended: {}.", name, reason);
}

std::string reset_text(const json& result) {
  const auto id = result.value("id", std::uint64_t{0});
  const std::string where = id == 0 ? "its mark" : fmt::format("checkpoint {}", id);
  return fmt::format("{} is back at {}: {} pages{}, in {}.", result.value("name", ""), where,
                     result.value("pages", std::uint64_t{0}), result.value("disks", false) ? ", and its disks" : "",
                     format_microseconds(result.value("pause_us", std::uint64_t{0})));
}

std::string series_text(const json& series) {
  const auto number = [&](const char* name) { return series.value(name, std::uint64_t{0}); };
  const json pause = series.value("pause_us", json::object());
  const double seconds = static_cast<double>(number("elapsed_ms")) / 1000;
  std::string text =
      fmt::format("series      {} in {:.1f} s, {} skipped, {} deleted\n", counted(number("taken"), "checkpoint"),
                  seconds, counted(number("skipped"), "beat"), number("deleted"));
  if (number("not_deleted") != 0)
    text += fmt::format("left over   {} that should be deleted: tintype prune does it\n", number("not_deleted"));
  const auto time = [&](const char* name) { return format_microseconds(pause.value(name, std::uint64_t{0})); };
  text += fmt::format("pause       half within {}, 99% within {}, longest {}\n", time("p50"), time("p99"), time("max"));
  text += fmt::format("written     {}\n", format_size(number("bytes_written")));
  return text + report_text(report_from_json(series.at("latest").dump()));
}

}  // namespace

std::string result_text(std::string_view method, const json& result) {
  if (method == "backup") return backups_text(backups_from_json(result));
  if (method == "status" && result.contains("standby")) return standby_text(result);
  if (method == "status") return status_text(status_from_json(result));
  if (result.value("cancelled", false))
    return fmt::format("The {} of {} is cancelled.", method, result.value("name", ""));
  if (result.contains("taken")) return series_text(result);
  if (method == "checkpoint") return report_text(report_from_json(result.dump()));
  if (method == "mark")
    return fmt::format("{} is marked (it stood still for {}).", result.value("name", ""),
                       format_microseconds(result.value("pause_us", std::uint64_t{0})));
  if (method == "reset") return reset_text(result);
  if (method == "suspend")
    return fmt::format("{} is suspended: `tintype resume {}` goes on with it.", result.value("name", ""),
                       result.value("suspended", ""));
  if (method == "stop") return end_text(result.value("name", ""), result.value("reason", ""));
  return fmt::format("{} is {}.", result.value("name", ""), result.value("state", ""));
}

}  // namespace tintype
