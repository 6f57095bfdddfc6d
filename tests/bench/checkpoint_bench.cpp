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
  std::vector<double> pause_us, lost_ms, gap_us, copy_ms, total_ms, faults;
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
  samples.total_ms.push_back(report["total_ms"]);
  samples.faults.push_back(report["memory"]["faults"]);
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

/// A plain write of as many bytes, synced, in the same place.
double plain_write_ms(std::uint64_t bytes) {
  const TestDirectory directory;
  const UniqueFd fd = open_file(directory / "plain", O_WRONLY | O_CREAT, 0600);
  const std::vector<std::byte> buffer(8 << 20, std::byte{1});
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t at = 0; at < bytes; at += buffer.size()) write_exactly(fd.get(), buffer, at, "plain");
  sync_file(fd.get(), "plain");
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
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

void verdict(const char* what, double value, double limit, const char* unit) {
  fmt::print("{:<58} {:9.2f} {} (goal: at most {}) {}\n", what, value, unit, limit, value <= limit ? "met" : "MISSED");
}

int run(const std::string& strategy) {
  Samples ours, qemu, large;
  std::vector<double> plain;
  for (int round = 0; round < kRounds; ++round) {
    measure_tintype(ours, "1G", kCheckpointsPerRound, strategy);
    plain.push_back(plain_write_ms(512 << 20));
    measure_qemu(qemu);
  }
  measure_tintype(large, "8G", kLargeCheckpoints, strategy);
  print_samples(fmt::format("tintype {}, 1 GiB", strategy).c_str(), ours);
  print_samples(fmt::format("tintype {}, 8 GiB", strategy).c_str(), large);
  fmt::print("{:<26} lost work {:6.0f} ms median, longest gap {:.1f} ms\n", "QEMU background-snapshot",
             median(qemu.lost_ms), highest(qemu.gap_us) / 1000);
  fmt::print("{:<26} {:.0f} ms; our copy takes {:.2f} times as long\n\n", "plain write of 512 MiB", median(plain),
             median(ours.copy_ms) / median(plain));
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
