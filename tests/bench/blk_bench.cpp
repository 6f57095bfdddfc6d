// SPDX-License-Identifier: Apache-2.0
// What the virtual disk does, with QEMU beside it: the same guest on the same image file, in turns. README.md says what
// each figure is.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/bench/goals.h"
#include "tests/bench/place.h"
#include "tests/bench/qemu_guest.h"
#include "tests/bench/statistics.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype::test {
namespace {

namespace fs = std::filesystem;

struct Options {
  int rounds = 5;
  unsigned seconds = 3;
  std::uint64_t mib = 1024;
  std::string to = ".", json;
};

struct Workload {
  std::string name, options;
  bool small = false;   ///< requests count; else bytes do
  bool polled = false;  ///< the guest wants no interrupts: what is left is the disk
};

Workload polled(const std::string& name, const std::string& options, bool small) {
  return {name, options + " completion=poll", small, true};
}

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all = {
      {"4K randread, depth 1", "op=randread bs=4K depth=1", true},
      {"4K randread, depth 32", "op=randread bs=4K depth=32", true},
      {"4K randwrite, depth 1", "op=randwrite bs=4K depth=1", true},
      {"4K randwrite, depth 32", "op=randwrite bs=4K depth=32", true},
      {"1M read, depth 4", "op=read bs=1M depth=4"},
      {"1M write, depth 4", "op=write bs=1M depth=4"},
      polled("4K randread, depth 1, polled", "op=randread bs=4K depth=1", true),
      polled("4K randread, depth 32, polled", "op=randread bs=4K depth=32", true),
      polled("4K randwrite, depth 1, polled", "op=randwrite bs=4K depth=1", true),
      polled("4K randwrite, depth 32, polled", "op=randwrite bs=4K depth=32", true),
      polled("1M read, depth 4, polled", "op=read bs=1M depth=4", false),
      polled("1M write, depth 4, polled", "op=write bs=1M depth=4", false)};
  return all;
}

/// Of what the guest is told.
std::string option_in(const Workload& workload, const std::string& key) {
  const auto at = (" " + workload.options).find(" " + key + "=");
  const auto value = workload.options.substr(at + key.size() + 1);
  return value.substr(0, value.find(' '));
}

/// What one run of the guest, or of fio, said of itself.
struct Figures {
  double per_second = 0, mib_per_second = 0, p50_us = 0, p99_us = 0;
};

Figures figures_in(const std::string& line) {
  const auto number = [&](const std::string& key) {
    const auto at = line.find(" " + key + "=");
    if (at == line.npos) throw std::runtime_error("blkbench says nothing of " + key + ": " + line);
    return std::stod(line.substr(at + key.size() + 2));
  };
  return {number("iops"), number("kib_s") / 1024, number("p50_ns") / 1000, number("p99_ns") / 1000};
}

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), place_(options.to), image_(place_.unused()) {
    fill_image();
  }

  Arguments tintype_arguments(const Workload& workload, const std::string& disk_options) const {
    return {"run",
            "--kernel",
            guest_image("blkbench"),
            "--memory",
            "256M",
            "--disk",
            image_.string() + "," + disk_options,
            "--append",
            guest_options(workload)};
  }
  Figures tintype(const Workload& workload, const std::string& disk_options) const {
    settle(disk_options);
    MachineProcess machine(tintype_arguments(workload, disk_options));
    return result_of(machine);
  }
  Figures qemu(const Workload& workload, const std::string& cache) const {
    settle("cache=" + cache);
    Arguments arguments =
        qemu_arguments("blkbench", guest_options(workload) + " virtio_mmio.device=512@0xfeb00e00:12", "256M");
    const std::string drive =
        fmt::format("id=d,file={},format=raw,if=none,aio=io_uring,cache={}", image_.string(), cache);
    arguments.insert(arguments.end(), {"-global", "virtio-mmio.force-legacy=false", "-object", "iothread,id=io",
                                       "-drive", drive, "-device", "virtio-blk-device,drive=d,iothread=io"});
    MachineProcess machine("qemu-system-x86_64", arguments);
    return result_of(machine);
  }
  /// Disks are copied out one after the other all the time.
  Figures tintype_checkpointed(const Workload& workload) {
    settle("cache=writeback");
    const TestDirectory runtime;
    Arguments arguments = tintype_arguments(workload, "cache=writeback");
    arguments.insert(arguments.end(), {"--name", "bench"});
    MachineProcess machine(arguments);
    if (!machine.wait_for("BLK sectors=")) throw std::runtime_error("blkbench does not start");
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options_.seconds);
    while (std::chrono::steady_clock::now() < end) {
      const fs::path repository = place_.unused();
      test::tintype({"checkpoint", "bench", "--to", repository.string(), "--full"}, std::chrono::seconds(600));
      fs::remove_all(repository);
    }
    return result_of(machine);
  }
  /// Through a redo log: with records, and durable where the guest flushes.
  Figures tintype_logged(const Workload& workload) const {
    const Figures figures = tintype(workload, "cache=writeback,mode=undoable");
    const CommandResult result = test::tintype({"disk", "discard", image_.string()}, std::chrono::seconds(600));
    if (result.exit_code != 0) throw std::runtime_error("disk discard: " + result.err);
    return figures;
  }
  /// The host alone, on the same file: what the guest does, by fio.
  Figures fio(const Workload& workload, const std::string& cache) const {
    settle("cache=" + cache);
    const std::string operation = option_in(workload, "op");
    MachineProcess process(
        "fio", {"--name=host", "--filename=" + image_.string(), "--rw=" + operation,
                "--bs=" + option_in(workload, "bs"), "--iodepth=" + option_in(workload, "depth"), "--ioengine=io_uring",
                cache == "none" ? "--direct=1" : "--direct=0", fmt::format("--size={}M", options_.mib), "--time_based",
                fmt::format("--runtime={}", options_.seconds), "--invalidate=0", "--norandommap",
                "--allow_file_create=0", "--output-format=json"});
    const bool ran = process.wait(std::chrono::seconds(options_.seconds + 60)) == 0;
    const std::string& text = process.transcript();
    const std::size_t begin = text.find('{');
    if (!ran || begin == text.npos)
      throw std::runtime_error("fio does not do its work (`tools/setup bench` installs it): " + text);
    const auto job = nlohmann::json::parse(text.substr(begin)).at("jobs").at(0);
    const auto& done = job.at(operation.ends_with("read") ? "read" : "write");
    const auto& percentile = done.at("clat_ns").at("percentile");
    return {done.at("iops"), done.at("bw_bytes").get<double>() / 1048576,
            percentile.at("50.000000").get<double>() / 1000, percentile.at("99.000000").get<double>() / 1000};
  }
  /// MiB a second at which the updates of an undoable run go into the image, and those of a plain write that lasts.
  double commit() const {
    tintype(polled("", "op=write bs=1M depth=4", false), "mode=undoable");
    settle("cache=writeback");
    const auto start = std::chrono::steady_clock::now();
    const CommandResult result =
        test::tintype({"disk", "commit", image_.string(), "--json"}, std::chrono::seconds(600));
    const double ms = milliseconds_since(start);
    if (result.exit_code != 0) throw std::runtime_error("disk commit: " + result.err);
    const auto committed = nlohmann::json::parse(result.out);
    return committed.value("bytes", 0.0) / 1048576 * 1000 / ms;
  }
  double plain_write() const {
    settle("cache=writeback");
    const auto start = std::chrono::steady_clock::now();
    fill_image();
    return static_cast<double>(options_.mib) * 1000 / milliseconds_since(start);
  }

 private:
  std::string guest_options(const Workload& workload) const {
    return fmt::format("{} seconds={}", workload.options, options_.seconds);
  }
  Figures result_of(MachineProcess& machine) const {
    const auto line = machine.wait_for("BLK op=", std::chrono::seconds(options_.seconds + 60));
    if (!line) throw std::runtime_error("blkbench does not end: " + machine.transcript());
    const Figures figures = figures_in(*line);
    machine.wait();
    return figures;
  }
  /// So that each contender finds the same, whoever was before it: nothing left to write down, and of the image all
  /// in the page cache, or nothing where it is gone past. A write past the page cache throws out what lies there, and
  /// one that meets it dirty writes that down first: without this whoever came first paid for it.
  void settle(const std::string& disk_options) const {
    ::sync();
    const UniqueFd file = open_file(image_, O_RDONLY);
    if (disk_options.find("cache=none") != std::string::npos) {
      check(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED) == 0, "posix_fadvise knows DONTNEED");
      return;
    }
    std::vector<std::byte> buffer(1 << 20);
    for (std::uint64_t mib = 0; mib < options_.mib; ++mib) read_exactly(file.get(), buffer, mib << 20, image_.string());
  }
  void fill_image() const {
    const UniqueFd file = open_file(image_, O_RDWR | O_CREAT);
    const std::vector<std::byte> buffer(1 << 20, std::byte{0xa5});
    for (std::uint64_t mib = 0; mib < options_.mib; ++mib)
      write_exactly(file.get(), buffer, mib << 20, image_.string());
    sync_file(file.get(), image_.string());
  }

  const Options options_;
  Place place_;
  const fs::path image_;
};

/// Values by row and contender, in the order in which they came.
using Table = std::map<std::string, std::map<std::string, std::vector<double>>>;

void measure_round(Bench& bench, Table& table) {
  for (const Workload& workload : workloads()) {
    const auto note = [&](const std::string& who, const Figures& figures) {
      const double value = workload.small ? figures.per_second : figures.mib_per_second;
      table[workload.name][who].push_back(value);
      fmt::print("{:<31} {:<18} {:>10.0f} {:<6} p50 {:>9.1f} us  p99 {:>9.1f} us\n", workload.name, who, value,
                 workload.small ? "IOPS" : "MiB/s", figures.p50_us, figures.p99_us);
      std::fflush(stdout);
    };
    for (const std::string cache : {"writeback", "none"}) {
      note("tintype " + cache, bench.tintype(workload, "cache=" + cache));
      note("QEMU " + cache, bench.qemu(workload, cache));
      note("fio " + cache, bench.fio(workload, cache));
    }
    if (workload.polled || workload.name.find("write") == std::string::npos) continue;
    note("tintype log", bench.tintype_logged(workload));
    note("tintype copied out", bench.tintype_checkpointed(workload));
  }
  table["host"]["commit"].push_back(bench.commit());
  table["host"]["write, durable"].push_back(bench.plain_write());
}

std::vector<Goal> judge_disks(const Table& table) {
  std::vector<Goal> goals;
  const auto of = [&](const std::string& row, const std::string& who) { return median(table.at(row).at(who)); };
  const auto add = [&](const std::string& what, double value, double against, double limit) {
    goals.push_back({what, against == 0 ? 0 : value / against, limit, "x", true});
  };
  for (const Workload& workload : workloads()) {
    for (const std::string cache : {"writeback", "none"}) {
      add(workload.name + " / QEMU, " + cache, of(workload.name, "tintype " + cache),
          of(workload.name, "QEMU " + cache), workload.small ? 1.3 : 1.1);
    }
    const bool writes = workload.name.find("write") != std::string::npos;
    const double direct = of(workload.name, "tintype writeback");
    if (!workload.small) add(workload.name + " / fio on the host", direct, of(workload.name, "fio writeback"), 0.9);
    if (!writes || workload.polled) continue;
    add(workload.name + ", through a log / direct", of(workload.name, "tintype log"), direct, 0.9);
    add(workload.name + ", copied out / undisturbed", of(workload.name, "tintype copied out"), direct, 0.7);
  }
  add("committing / a durable write", of("host", "commit"), of("host", "write, durable"), 0.5);
  return goals;
}

int run(const Options& options) {
  Bench bench(options);
  Table table;
  for (int round = 0; round < options.rounds; ++round) {
    fmt::print("round {} of {}\n", round + 1, options.rounds);
    measure_round(bench, table);
  }
  fmt::print("\n");
  const std::vector<Goal> goals = judge_disks(table);
  print_goals(goals);
  if (options.json.empty()) return 0;
  nlohmann::ordered_json json{{"values", table}};
  for (const Goal& goal : goals)
    json["goals"].push_back({{"what", goal.what}, {"value", goal.value}, {"limit", goal.limit}, {"met", goal.met()}});
  const std::string text = json.dump(2) + "\n";
  write_exactly(open_file(options.json, O_WRONLY | O_CREAT | O_TRUNC).get(), std::as_bytes(std::span(text)), 0,
                options.json);
  return 0;
}

}  // namespace
}  // namespace tintype::test

int main(int argc, char** argv) {
  CLI::App app("What a virtual disk does, Tintype and QEMU in turns on the same image. Let nothing else run.");
  tintype::test::Options options;
  app.add_option("--rounds", options.rounds, "How often each contender has its turn (5)")->check(CLI::PositiveNumber);
  app.add_option("--seconds", options.seconds, "How long each turn counts (3)")->check(CLI::PositiveNumber);
  app.add_option("--size", options.mib, "Of the image, in MiB (1024)")->check(CLI::Range(64, 1 << 20));
  app.add_option("--to", options.to, "Where the image lies: a directory on the medium to measure")
      ->check(CLI::ExistingDirectory);
  app.add_option("--json", options.json, "Writes every value to this file");
  CLI11_PARSE(app, argc, argv);
  try {
    return tintype::test::run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "blk_bench: %s\n", error.what());
    return 1;
  }
}
