// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/tintype_guest.h"

namespace tintype::test {

namespace {

constexpr const char* kName = "bench";
constexpr auto kPatience = std::chrono::minutes(5);

CaptureReport read_report(const nlohmann::json& json) {
  const nlohmann::json& pause = json["pause_us"];
  CaptureReport report;
  report.pause_us = pause["total"];
  report.copy_ms = json["copy_ms"].get<double>() + pause.value("copy", 0.0) / 1000;
  report.durable_ms = json["total_ms"];
  report.faults = json["memory"]["faults"];
  report.bytes = json["memory"]["bytes_written"];
  for (const char* part : kPauseParts) report.parts_us.push_back(pause.value(part, 0.0));
  return report;
}

}  // namespace

TintypeGuest::TintypeGuest(const Workload& workload, Capture how) : how_(std::move(how)) {
  Arguments run{"run",
                "--name",
                kName,
                "--kernel",
                guest_image(workload.image),
                "--memory",
                workload.memory,
                "--append",
                workload.options,
                "--cpus",
                std::to_string(workload.cpus)};
  for (const auto& image : how_.disks) run.insert(run.end(), {"--disk", image.string()});
  process_ = std::make_unique<MachineProcess>(run);
  wait_for_work(*this);
  client_ = std::make_unique<ControlClient>(directory_ / "runtime", kName);
}

TintypeGuest::~TintypeGuest() = default;

CaptureReport TintypeGuest::capture(const std::filesystem::path& destination) {
  const nlohmann::json request = {{"repository", destination.string()},
                                  {"strategy", how_.strategy},
                                  {"full", how_.full},
                                  {"compression", how_.compression}};
  return read_report(client_->call("checkpoint", request, kPatience));
}

}  // namespace tintype::test
