// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "devices/block/recovery.h"
#include "devices/block/virtual_disk.h"
#include "tests/support/scripted_engine.h"
#include "tests/unit/block/disk_driver.h"
#include "tests/unit/block/temp_dir.h"
#include "vmm/base/error.h"

namespace tintype {

inline DiskOptions options_for(const std::filesystem::path& image, bool read_only = false) {
  DiskOptions options;
  options.id = "disk0";
  options.image = image;
  options.read_only = read_only;
  return options;
}

inline std::string open_error(const DiskOptions& options) {
  try {
    const VirtualDisk disk(options);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

inline bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// A disk, and something that drives it.
class TestDisk {
 public:
  explicit TestDisk(const std::filesystem::path& image, const std::filesystem::path& log_directory = {})
      : TestDisk([&] {
          DiskOptions options = options_for(image);
          options.log_directory = log_directory;
          return options;
        }()) {}
  explicit TestDisk(const DiskOptions& options)
      : disk(std::make_unique<VirtualDisk>(options)), driver(std::make_unique<DiskDriver>(*disk)) {}

  std::unique_ptr<FrozenDisk> freeze() {
    disk->prepare_switch();
    auto frozen = disk->switch_to_fresh_log();
    frozen->wait_for_old_io(10'000);
    return frozen;
  }
  /// Commits and returns what went wrong.
  std::string commit() {
    auto outcome = std::make_shared<std::promise<std::string>>();
    auto future = outcome->get_future();
    disk->start_commit([outcome](const std::string& error) { outcome->set_value(error); });
    if (future.wait_for(std::chrono::seconds(60)) != std::future_status::ready) return "committing does not end";
    return future.get();
  }
  /// As kill -9 would leave it.
  void abandon() {
    driver.reset();
    disk.reset();
  }

  std::unique_ptr<VirtualDisk> disk;
  std::unique_ptr<DiskDriver> driver;
};

/// A disk whose host I/O the test directs.
class ScriptedDisk {
 public:
  explicit ScriptedDisk(const std::filesystem::path& image) : ScriptedDisk(options_for(image)) {}
  explicit ScriptedDisk(const DiskOptions& options) {
    DiskTuning tuning;
    tuning.make_engine = [this] {
      auto engine = std::make_unique<ScriptedEngine>();
      io = engine.get();
      return engine;
    };
    disk = std::make_unique<VirtualDisk>(options, tuning);
    driver = std::make_unique<DiskDriver>(*disk);
  }
  ~ScriptedDisk() { io->release_all(); }

  std::unique_ptr<FrozenDisk> freeze() {
    disk->prepare_switch();
    return disk->switch_to_fresh_log();
  }
  /// Keeps host I/O in flight from now on.
  void hold_all() {
    io->hold = [](const HostIo&) { return true; };
  }
  /// Keeps host writes in flight from now on.
  void hold_writes() {
    io->hold = [](const HostIo& host_io) { return host_io.kind == HostIo::Kind::kWrite; };
  }

  ScriptedEngine* io = nullptr;  ///< the disk's
  std::unique_ptr<VirtualDisk> disk;
  std::unique_ptr<DiskDriver> driver;
};

/// True where the frozen disk holds nothing but `value` in the range.
inline bool frozen_holds(FrozenDisk& frozen, std::uint64_t offset, std::size_t length, std::uint8_t value) {
  std::vector<std::byte> data(length, std::byte{0xee});
  frozen.read(offset, data);
  return data == std::vector<std::byte>(length, std::byte{value});
}

/// The redo logs in a directory.
inline std::vector<std::filesystem::path> logs_in(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> logs;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".redo") logs.push_back(entry.path());
  }
  std::sort(logs.begin(), logs.end());
  return logs;
}

}  // namespace tintype
