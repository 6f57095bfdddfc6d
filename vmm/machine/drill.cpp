// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/drill.h"

#include <fcntl.h>
#include <stdlib.h>

#include <sys/file.h>

#include <thread>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/printable.h"
#include "vmm/base/unique_fd.h"
#include "vmm/machine/machine.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// A guest that runs so long without a crash, and has been seen at work so often, lives.
constexpr milliseconds kLongEnough = std::chrono::seconds(1);
constexpr std::uint64_t kSigns = 3;
constexpr milliseconds kGlance{20};
constexpr std::size_t kMostConsole = 1 << 20, kShownConsole = 2000;

constexpr const char* kStageName = "tintype-drill-";

/// A place for what the machine writes, which goes with the drill. It is locked while that lasts: what a killed one
/// left, the next one removes.
class Stage {
 public:
  Stage() {
    const char* wanted = ::getenv("TMPDIR");
    const fs::path place = wanted != nullptr ? wanted : "/var/tmp";
    remove_dead(place);
    do {
      std::string pattern = (place / kStageName).string() + "XXXXXX";
      if (::mkdtemp(pattern.data()) == nullptr) throw_errno("mkdtemp {}", pattern);
      path_ = pattern;
      lock_ = locked(path_);
    } while (!lock_ || !fs::exists(path_));  // else somebody took it for a dead one's in between
  }
  ~Stage() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  const fs::path& path() const noexcept { return path_; }

 private:
  static UniqueFd locked(const fs::path& stage) {
    UniqueFd fd(::open(stage.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) fd.reset();
    return fd;
  }
  static void remove_dead(const fs::path& place) noexcept {
    std::error_code error;
    std::vector<fs::path> all;
    for (fs::directory_iterator entry(place, error), end; !error && entry != end; entry.increment(error))
      if (entry->path().filename().native().starts_with(kStageName)) all.push_back(entry->path());
    for (const fs::path& stage : all)
      if (locked(stage)) fs::remove_all(stage, error);
  }

  fs::path path_;
  UniqueFd lock_;
};

std::string signs_text(const MachineStatus& status) {
  return status.interrupts ? fmt::format("took {} interrupts", *status.interrupts)
                           : fmt::format("made {} exits", status.exits);
}

class Drill {
 public:
  Drill(const DrillOptions& options, const ProgressSink& progress) : options_(options) {
    RestoreOptions restore;
    restore.repository = options.repository;
    restore.id = options.id;
    restore.name = "drill";
    restore.disk_directory = stage_.path();
    restore.memory_load = MemoryLoad::kEager;  // a drill that reads half of it proves half
    restore.serial = {SerialKind::kFile, stage_.path() / "console"};
    machine_ = restore_machine(restore, [&](const Progress& so_far) {
      meanwhile();
      if (progress) progress(so_far);
    });
  }

  DrillResult run() {
    const auto start = Clock::now();
    machine_->start();
    const auto elapsed = [start] { return std::chrono::duration_cast<milliseconds>(Clock::now() - start); };
    try {
      while (!is_decided(elapsed())) {
        std::this_thread::sleep_for(kGlance);
        meanwhile();
      }
    } catch (...) {
      end_machine();
      throw;
    }
    result_.ran_ms = static_cast<std::uint64_t>(elapsed().count());
    end_machine();
    const std::string console = console_text();
    result_.console = console.size() > kShownConsole ? console.substr(console.size() - kShownConsole) : console;
    return result_;
  }

 private:
  void meanwhile() const {
    if (options_.meanwhile) options_.meanwhile();
  }
  void end_machine() {
    machine_->stop(true);
    machine_->wait();
  }

  std::string console_text() const {
    std::error_code missing;
    const auto size = fs::file_size(stage_.path() / "console", missing);
    if (missing || size == 0) return {};
    const UniqueFd file = open_file(stage_.path() / "console", O_RDONLY);
    const std::uint64_t from = size > kMostConsole ? size - kMostConsole : 0;
    std::string text(size - from, '\0');
    read_exactly(file.get(), std::as_writable_bytes(std::span(text)), from, "the console");
    return text;
  }

  bool decide(bool lives, std::string said) {
    result_.lives = lives;
    result_.said = std::move(said);
    return true;
  }

  bool is_decided(milliseconds elapsed) {
    const MachineStatus status = machine_->status();
    result_.interrupts = status.interrupts;
    if (!options_.expect.empty() && console_text().find(options_.expect) != std::string::npos)
      return decide(true, fmt::format("it printed \"{}\"", printable(options_.expect)));
    if (status.state == RunState::kStopped) return has_ended();
    if (elapsed >= options_.within) return decide(false, lack());
    const bool asked = !options_.expect.empty() || options_.expect_exit;
    if (asked || elapsed < kLongEnough || status.interrupts.value_or(0) + status.exits < kSigns) return false;
    return decide(true, fmt::format("it ran {:.1f} s, {}, and did not crash",
                                    static_cast<double>(elapsed.count()) / 1000, signs_text(status)));
  }

  bool has_ended() {
    const MachineEnd end = machine_->wait();
    if (end.reason == "crash" || end.reason == kResetReason)
      return decide(false, fmt::format("the guest ended with a {}", end.reason));
    if (options_.expect_exit)
      return decide(end.exit_code == *options_.expect_exit,
                    fmt::format("it ended with exit code {} ({})", end.exit_code, end.reason));
    if (!options_.expect.empty())
      return decide(false,
                    fmt::format("it ended ({}) and never printed \"{}\"", end.reason, printable(options_.expect)));
    return decide(true, fmt::format("it ended by itself ({})", end.reason));
  }

  std::string lack() const {
    const double seconds = static_cast<double>(options_.within.count()) / 1000;
    if (!options_.expect.empty())
      return fmt::format("within {:.1f} s it did not print \"{}\"", seconds, printable(options_.expect));
    if (options_.expect_exit)
      return fmt::format("within {:.1f} s it did not end with exit code {}", seconds, *options_.expect_exit);
    return fmt::format("its clock did not tick within {:.1f} s, and it did nothing else that could be seen", seconds);
  }

  const DrillOptions& options_;
  const Stage stage_;  // outlives the machine
  std::unique_ptr<Machine> machine_;
  DrillResult result_;
};

}  // namespace

DrillResult drill_checkpoint(const DrillOptions& options, const ProgressSink& progress) {
  return Drill(options, progress).run();
}

}  // namespace tintype
