// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/report_text.h"

#include <iterator>

#include <fmt/format.h>

#include "vmm/cli/values.h"

namespace tintype {

namespace {

std::string pause_line(const PauseTimes& pause) {
  const auto time = [](std::uint64_t us) { return fmt::format("{}.{:03}", us / 1000, us % 1000); };  // in ms
  const std::string copy = pause.copy == 0 ? "" : fmt::format(" copy {},", time(pause.copy));
  return fmt::format("pause       {}: kick {}, devices {}, disks {}, state {}, protect {},{} resume {} ms",
                     format_microseconds(pause.total), time(pause.kick), time(pause.devices), time(pause.disks),
                     time(pause.state), time(pause.protect), copy, time(pause.resume));
}

std::string memory_line(const MemoryReport& memory) {
  return fmt::format("memory      {} written: {} of {} pages, {} zero", format_size(memory.bytes_written),
                     memory.pages_written, memory.pages_total, memory.pages_zero);
}

std::string fault_line(const MemoryReport& memory) {
  return fmt::format("faults      {}: half within {}, 99% within {}, longest {}; capture area {} at most, {}",
                     memory.faults, format_microseconds(memory.fault_us.p50), format_microseconds(memory.fault_us.p99),
                     format_microseconds(memory.fault_us.max), format_size(memory.capture_area_peak_bytes),
                     counted(memory.capture_area_waits, "wait"));
}

/// Disks are switched, whatever the strategy for memory would have been.
std::string how_taken(const CheckpointReport& report) {
  if (report.holds == Portion::kDisks) return "disks only";
  return fmt::format("{}{}", name_of(report.strategy), report.holds == Portion::kMemory ? ", memory only" : "");
}

std::string text_without_times(const CheckpointReport& report) {
  const std::string parent = report.parent == 0 ? "" : fmt::format(", parent {}", report.parent);
  std::string text = fmt::format("checkpoint  {} of {} in {} ({}{})\n", report.id, report.vm, report.repository,
                                 how_taken(report), parent);
  if (!report.chosen_because.empty())
    text += fmt::format("strategy    {}: {}\n", name_of(report.strategy), report.chosen_because);
  text += pause_line(report.pause_us) + "\n";
  if (report.holds != Portion::kDisks) text += memory_line(report.memory) + "\n";
  if (report.memory.faults != 0) text += fault_line(report.memory) + "\n";
  for (const DiskReport& disk : report.disks)
    text += fmt::format("{:<11} {} written\n", disk.id, format_size(disk.bytes_written));
  return text;
}

}  // namespace

std::string report_text(const CheckpointReport& report) {
  return text_without_times(report) + fmt::format("time        {} ms: prepare {}, pause {}, copy {}, seal {}",
                                                  report.total_ms, report.prepare_ms, report.pause_us.total / 1000,
                                                  report.copy_ms, report.seal_ms);
}

std::string stored_report_text(const CheckpointReport& report) {
  const std::uint64_t pause_ms = report.pause_us.total / 1000;
  return text_without_times(report) +
         fmt::format("time        {} ms before it was sealed: prepare {}, pause {}, copy {}",
                     report.prepare_ms + pause_ms + report.copy_ms, report.prepare_ms, pause_ms, report.copy_ms);
}

}  // namespace tintype
