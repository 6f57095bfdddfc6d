// SPDX-License-Identifier: Apache-2.0
// What a live checkpoint costs: the pause, and the work that the guest did not do, with QEMU beside us on the same
// guest file.
#include <fcntl.h>

#include <cstdio>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/bench/guest_work.h"
#include "tests/bench/qemu.h"
#include "vmm/base/io.h"

namespace tintype::test {
namespace {

constexpr int kRounds = 3;  // Tintype and QEMU take turns
constexpr int kCheckpointsPerRound = 7;
constexpr int kLargeCheckpoints = 20;

struct Samples {
  std::vector<double> pause_us, lost_ms, gap_us, copy_ms, synced_ms, faults;
  std::vector<double> plain_ms, plain_synced_ms;  // a plain write of as many bytes, after each checkpoint
  std::vector<std::vector<double>> parts = std::vector<std::vector<double>>(6);
};

constexpr const char* kPauseParts[] = {"kick", "devices", "disks", "state", "protect", "resume"};

nlohmann::json checkpoint(const std::string& name, const std::filesystem::path& repository,
                          const std::string& strategy) {
  const CommandResult result =
      tintype({"checkpoint", name, "--to", repository, "--strategy", strategy, "--json"}, std::chrono::seconds(120));
  if (result.exit_code != 0) throw std::runtime_error("checkpoint: " + result.err);
  return nlohmann::json::parse(result.out);
}

void add_report(Samples& samples, const nlohmann::json& report) {
  samples.pause_us.push_back(report["pause_us"]["total"]);
  for (std::size_t i = 0; i < samples.parts.size(); ++i) samples.parts[i].push_back(report["pause_us"][kPauseParts[i]]);
  samples.copy_ms.push_back(report["copy_ms"]);
  samples.synced_ms.push_back(report["copy_ms"].get<double>() + report["seal_ms"].get<double>());
  samples.faults.push_back(report["memory"]["faults"]);
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// A plain write of as many bytes to the same file system, beside the same running guest: what copying is measured
/// against. A checkpoint copies first and syncs when it is sealed, so the time is taken before and after the sync.
void measure_plain_write(Samples& samples, const std::filesystem::path& path, std::uint64_t bytes) {
  const std::vector<std::byte> buffer(8 << 20, std::byte{1});
  const UniqueFd fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t at = 0; at < bytes; at += buffer.size()) write_exactly(fd.get(), buffer, at, "plain");
  samples.plain_ms.push_back(milliseconds_since(start));
  sync_file(fd.get(), "plain");
  samples.plain_synced_ms.push_back(milliseconds_since(start));
  std::filesystem::remove(path);
}

void measure_tintype(Samples& samples, const std::string& memory, int checkpoints, const std::string& strategy) {
  const TestDirectory directory;
  MachineProcess machine(
      {"run", "--name", "stairs", "--kernel", guest_image("staircase"), "--memory", memory, "--append", "mb=512"});
  if (!machine.wait_for("WORK")) throw std::runtime_error("staircase does not run:\n" + machine.transcript());
  WorkMeter meter(machine);
  for (int i = 0; i < checkpoints; ++i) {
    nlohmann::json report;
    const GuestCost cost = meter.measure([&] { report = checkpoint("stairs", directory / "repository", strategy); });
    add_report(samples, report);
    samples.lost_ms.push_back(cost.lost_ms);
    samples.gap_us.push_back(cost.longest_gap_us);
    std::filesystem::remove_all(directory / "repository");
    measure_plain_write(samples, directory / "plain", report["memory"]["bytes_written"]);
  }
}

void measure_qemu(Samples& samples) {
  const TestDirectory directory;
  Qemu qemu(directory / "", guest_image("staircase"), "mb=512", "1G");
  if (!qemu.guest().wait_for("WORK"))
    throw std::runtime_error("staircase does not run under QEMU:\n" + qemu.guest().transcript());
  WorkMeter meter(qemu.guest());
  const GuestCost cost = meter.measure([&] { qemu.background_snapshot(directory / "snapshot"); });
  samples.lost_ms.push_back(cost.lost_ms);
  samples.gap_us.push_back(cost.longest_gap_us);
}

void print_samples(const char* label, const Samples& samples) {
  fmt::print(
      "{:<26} pause {:6.0f} us median ({:.0f} at most), lost work {:6.0f} ms median, longest gap {:.1f} ms, copy "
      "{:.0f} ms, {:.0f} faults\n",
      label, median(samples.pause_us), highest(samples.pause_us), median(samples.lost_ms),
      highest(samples.gap_us) / 1000, median(samples.copy_ms), median(samples.faults));
  fmt::print("{:<26} ", "");
  for (std::size_t i = 0; i < samples.parts.size(); ++i)
    fmt::print("{} {:.0f}  ", kPauseParts[i], median(samples.parts[i]));
  fmt::print("us (medians)\n");
}

void print_copying(const Samples& samples) {
  const double copy = median(samples.copy_ms), synced = median(samples.synced_ms);
  const double plain = median(samples.plain_ms), plain_synced = median(samples.plain_synced_ms);
  fmt::print(
      "{:<26} {:.0f} ms, {:.0f} ms until synced and sealed; a plain write of as many bytes beside the same guest ",
      "copying memory out", copy, synced);
  fmt::print("{:.0f} ms, {:.0f} ms synced: {:.2f} and {:.2f} times as long (medians)\n\n", plain, plain_synced,
             copy / plain, synced / plain_synced);
}

void verdict(const char* what, double value, double limit, const char* unit) {
  fmt::print("{:<58} {:9.2f} {} (goal: at most {}) {}\n", what, value, unit, limit, value <= limit ? "met" : "MISSED");
}

int run(const std::string& strategy) {
  Samples ours, qemu, large;
  for (int round = 0; round < kRounds; ++round) {
    measure_tintype(ours, "1G", kCheckpointsPerRound, strategy);
    measure_qemu(qemu);
  }
  measure_tintype(large, "8G", kLargeCheckpoints, strategy);
  print_samples(fmt::format("tintype {}, 1 GiB", strategy).c_str(), ours);
  print_samples(fmt::format("tintype {}, 8 GiB", strategy).c_str(), large);
  fmt::print("{:<26} lost work {:6.0f} ms median, longest gap {:.1f} ms\n", "QEMU background-snapshot",
             median(qemu.lost_ms), highest(qemu.gap_us) / 1000);
  print_copying(ours);
  verdict("pause, 1 GiB, 512 MiB swept, median", median(ours.pause_us) / 1000, 2, "ms");
  verdict("pause, 8 GiB, 512 MiB swept, median", median(large.pause_us) / 1000, 3, "ms");
  verdict("lost work, as a share of QEMU's", median(ours.lost_ms) / median(qemu.lost_ms), 0.2, "");
  return 0;
}

}  // namespace
}  // namespace tintype::test

int main(int argc, char** argv) {
  try {
    return tintype::test::run(argc > 1 ? argv[1] : "cow");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "checkpoint_bench: %s\n", error.what());
    return 1;
  }
}
