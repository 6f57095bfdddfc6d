// SPDX-License-Identifier: Apache-2.0
// A machine that runs before its memory has been read: from a slow source, from one that fails, and photographed before
// all of it is there.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/format/part_reader.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/working_set.h"
#include "checkpoint/tracking/userfault.h"
#include "tests/kvm/ledger_verdict.h"
#include "tests/support/skip.h"
#include "tests/support/slow_source.h"
#include "tests/support/tintype_process.h"
#include "vmm/base/io.h"
#include "vmm/boot/generation_id.h"
#include "vmm/machine/machine.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

#define NEEDS_LAZY_RESTORE() \
  if (!probe_userfault().missing_pages) SKIP_TEST("userfaultfd is not permitted to us here")

/// A checkpoint of a guest that writes to two disks and all of its memory's ledger.
struct Fixture {
  explicit Fixture(const std::string& compression = "none") {
    fs::create_directory(directory / "disks");
    MachineProcess machine({"run", "--name", "ledger", "--kernel", guest_image("ledger"), "--memory", "32M", "--append",
                            "mb=2", "--cpus", "2", "--disk", directory.blank_image("a.img", 2 << 20), "--disk",
                            directory.blank_image("b.img", 2 << 20)});
    REQUIRE(machine.wait_for("LEDGER RUN"));
    REQUIRE(tintype({"checkpoint", "ledger", "--to", repository, "--compress", compression}).exit_code == 0);
    machine.kill();
  }

  /// The restore itself reads and writes in the first 2 MiB, where the guest's generation stands: they come at once.
  std::unique_ptr<Machine> restore(std::chrono::milliseconds delay, std::chrono::milliseconds of_disks = 0ms) const {
    RestoreOptions options;
    options.repository = repository;
    options.disk_directory = directory / "disks";
    options.serial = {SerialKind::kFile, directory / "serial.log"};
    options.memory_load = MemoryLoad::kLazy;
    options.wrap_memory = [delay](std::shared_ptr<const BlockSource> source) {
      return std::make_shared<SlowSource>(std::move(source), delay, 512);
    };
    options.wrap_disk = [of_disks](std::shared_ptr<const BlockSource> source) {
      return std::make_shared<SlowSource>(std::move(source), of_disks);
    };
    return restore_machine(options, {});
  }

  void take(Machine& machine, const fs::path& to) const {
    CheckpointOptions options;
    options.repository = to;
    machine.checkpoint(options, {});
  }

  TestDirectory directory;
  fs::path repository = directory / "repository", memory = repository / "00000001" / "memory.part";
};

void end(Machine& machine) {
  machine.stop(true);
  machine.wait();
}

bool wait_until(const std::function<bool()>& holds) {
  for (int i = 0; i < 20'000 && !holds(); ++i) std::this_thread::sleep_for(1ms);
  return holds();
}

bool stands_still(const Machine& machine) {
  const MachineStatus status = machine.status();
  return status.load && !status.load->problem.empty() && status.state == RunState::kPaused;
}

/// The file ends where its data begins, for as long as this lives.
class CutShort {
 public:
  explicit CutShort(const fs::path& path) : path_(path), content_(read_text_file(path, 1 << 30)) {
    REQUIRE(::truncate(path.c_str(), 4096) == 0);
  }
  ~CutShort() {
    const UniqueFd fd = open_file(path_, O_WRONLY);  // the same file, that somebody has open
    write_exactly(fd.get(), std::as_bytes(std::span(content_)), 0, path_.string());
  }
  CutShort(const CutShort&) = delete;
  CutShort& operator=(const CutShort&) = delete;

 private:
  const fs::path path_;
  const std::string content_;
};

}  // namespace

TEST_CASE("a slow source: the machine runs, pauses and goes on meanwhile, and its next checkpoint has all") {
  NEEDS_LAZY_RESTORE();
  const Fixture fixture;
  const auto machine = fixture.restore(1000ms);
  machine->start();
  CHECK(machine->status().load);
  machine->pause();
  CHECK(machine->status().state == RunState::kPaused);
  machine->resume();
  fixture.take(*machine, fixture.repository);
  CHECK_FALSE(machine->status().load);
  end(*machine);
  const CheckpointReader second(fixture.repository, 2);
  CHECK(second.manifest().parent == 1);
  CHECK(ledger_verdict(fixture.directory, fixture.repository, 1).substr(0, 9) == "LEDGER OK");
}

TEST_CASE(
    "what the guest wrote before anybody watched it is in the next checkpoint, which builds on the restored one") {
  NEEDS_LAZY_RESTORE();
  const Fixture fixture;
  const auto machine = fixture.restore(50ms);
  machine->start();
  REQUIRE(wait_until([&] { return !machine->status().load; }));
  std::this_thread::sleep_for(100ms);
  machine->pause();  // from here on it writes nothing, so nothing else tells of it
  fixture.take(*machine, fixture.repository);
  end(*machine);
  CHECK(CheckpointReader(fixture.repository, 2).manifest().parent == 1);
  CHECK(ledger_verdict(fixture.directory, fixture.repository, 1).substr(0, 9) == "LEDGER OK");
}

TEST_CASE(
    "what a machine waited for is kept beside its checkpoint, which is whole with it, and whatever becomes of it") {
  NEEDS_LAZY_RESTORE();
  const Fixture fixture;
  const fs::path remark = fixture.repository / "00000001" / "working-set.json";
  const auto restore_and_load = [&] {
    const auto machine = fixture.restore(20ms);
    machine->start();
    CHECK(wait_until([&] { return !machine->status().load; }));
    end(*machine);
  };
  restore_and_load();
  CHECK_FALSE(read_working_set(remark.parent_path()).empty());
  CHECK(tintype({"verify", fixture.repository}).exit_code == 0);
  for (const char* text : {"{\"pages\": [1, 18446744073709551615, 1, -7, 1e300, 4611686018427387904]}",
                           "{\"pages\": [18446744073709551615, 511, 512]}", "[[[", ""}) {
    CAPTURE(text);
    std::ofstream(remark) << text;
    restore_and_load();
  }
  CHECK(ledger_verdict(fixture.directory, fixture.repository, 1).substr(0, 9) == "LEDGER OK");
}

TEST_CASE("memory and disks come compressed as they come plain") {
  NEEDS_LAZY_RESTORE();
  for (const std::string compression : {"lz4", "zstd"}) {
    CAPTURE(compression);
    const Fixture fixture(compression);
    const PartReader part(fixture.memory);
    const auto is_compressed = [](const Extent& extent) { return extent.codec != Compression::kNone; };
    CHECK(std::ranges::any_of(part.extents(), is_compressed));
    const auto machine = fixture.restore(100ms);
    machine->start();
    CHECK(machine->status().load);
    fixture.take(*machine, fixture.repository);
    end(*machine);
    CHECK(CheckpointReader(fixture.repository, 2).manifest().parent == 1);
    CHECK(ledger_verdict(fixture.directory, fixture.repository, 2).substr(0, 9) == "LEDGER OK");
  }
}

TEST_CASE("a mark that is set before all is there waits for it, and can be gone back to") {
  NEEDS_LAZY_RESTORE();
  const Fixture fixture;
  const auto machine = fixture.restore(500ms);
  machine->start();
  CHECK(machine->status().load);
  machine->mark();
  CHECK_FALSE(machine->status().load);
  std::this_thread::sleep_for(50ms);
  CHECK(machine->reset().pages > 0);
  fixture.take(*machine, fixture.repository);
  end(*machine);
  CHECK(ledger_verdict(fixture.directory, fixture.repository, 2).substr(0, 9) == "LEDGER OK");
}

TEST_CASE("suspended before memory and disks are there, it goes on with all of them") {
  NEEDS_LAZY_RESTORE();
  const Fixture fixture;
  const auto machine = fixture.restore(500ms, 300ms);
  machine->start();
  CHECK(machine->status().load);
  machine->suspend(fixture.directory / "saved", {});
  CHECK(machine->wait().reason == kSuspendedReason);
  MachineProcess again({"resume", fixture.directory / "saved"});
  again.type("q");
  auto line = again.wait_for("LEDGER ");
  while (line && (line->find("LEDGER RUN") != std::string::npos || line->find("LEDGER FLUSH") != std::string::npos))
    line = again.wait_for("LEDGER ");
  CHECK(line.value_or("nothing").find("LEDGER OK") != std::string::npos);
}

TEST_CASE("a source that is cut short in the middle: the machine pauses and says why, and goes on when it is mended") {
  NEEDS_LAZY_RESTORE();
  const Fixture fixture;
  const auto machine = fixture.restore(200ms);
  machine->start();
  {
    const CutShort cut(fixture.memory);
    REQUIRE(wait_until([&] { return stands_still(*machine); }));
    CHECK(machine->status().state == RunState::kPaused);
    CHECK(machine->status().load->problem.find("memory.part") != std::string::npos);
    CHECK_THROWS_WITH_AS(machine->resume(), doctest::Contains("still cannot be read"), Error);
    CHECK_THROWS_WITH_AS(fixture.take(*machine, fixture.repository), doctest::Contains("memory is not all there"),
                         Error);
    machine->pause();
    CHECK_THROWS_AS(machine->resume(), Error);
  }
  machine->resume();
  CHECK(machine->status().state == RunState::kRunning);
  fixture.take(*machine, fixture.repository);
  end(*machine);
  CHECK(ledger_verdict(fixture.directory, fixture.repository, 1).substr(0, 9) == "LEDGER OK");
}

TEST_CASE("a source that is cut short in the middle: the machine is given up, whoever waits in it") {
  NEEDS_LAZY_RESTORE();
  const Fixture fixture;
  const auto machine = fixture.restore(200ms);
  machine->start();
  const CutShort cut(fixture.memory);
  REQUIRE(wait_until([&] { return stands_still(*machine); }));
  machine->stop(false);
  CHECK(machine->wait().reason == "cut off: its memory could not be read");
}

TEST_CASE("stopped, or photographed and stopped, before it is fully loaded") {
  NEEDS_LAZY_RESTORE();
  const Fixture fixture;
  const auto machine = fixture.restore(500ms);
  machine->start();
  SUBCASE("stopped") {}
  SUBCASE("while a checkpoint waits for memory") {
    std::thread checkpoint([&] { CHECK_THROWS_AS(fixture.take(*machine, fixture.repository), Error); });
    CHECK(wait_until([&] { return machine->status().checkpoint_running; }));
    machine->stop(true);
    checkpoint.join();
  }
  end(*machine);
  CHECK(machine->status().load);
  CHECK(CheckpointReader(fixture.repository, std::nullopt).manifest().id == 1);
}

TEST_CASE("the checkpoint is deleted under a machine that still loads from it") {
  NEEDS_LAZY_RESTORE();
  const Fixture fixture;
  const auto machine = fixture.restore(200ms);
  machine->start();
  REQUIRE(tintype({"delete", fixture.repository, "--id", "1"}).exit_code == 0);
  CHECK(machine->status().load);
  fixture.take(*machine, fixture.repository);
  end(*machine);
  CHECK(CheckpointReader(fixture.repository, std::nullopt).manifest().parent == 0);
  CHECK(ledger_verdict(fixture.directory, fixture.repository, 1).substr(0, 9) == "LEDGER OK");
}

TEST_CASE("a checkpoint taken at once after a lazy restore equals the one restored, by every strategy") {
  NEEDS_LAZY_RESTORE();
  const TestDirectory directory;
  const auto repository = directory / "repository";
  {
    MachineProcess machine(
        {"run", "--name", "silent", "--kernel", guest_image("silent"), "--memory", "64M", "--append", "mode=halt-off"});
    REQUIRE(machine.wait_for("SILENT"));
    std::this_thread::sleep_for(100ms);
    REQUIRE(tintype({"checkpoint", "silent", "--to", repository}).exit_code == 0);
    machine.kill();
  }
  REQUIRE(tintype({"export", repository, "--id", "1", "--memory", directory / "first"}).exit_code == 0);
  const std::string first = read_text_file(directory / "first", 1 << 30);
  int id = 1;
  for (const std::string strategy : {"cow", "hybrid", "stop", "fork", "precopy"}) {
    for (const bool full : {false, true}) {
      CAPTURE(strategy);
      CAPTURE(full);
      MachineProcess machine({"restore", repository, "--id", "1", "--name", "silent", "--memory-load", "lazy"});
      REQUIRE(wait_until([] { return tintype({"status", "silent"}).exit_code == 0; }));
      Arguments take{"checkpoint", "silent", "--to", repository, "--strategy", strategy};
      if (full) take.push_back("--full");
      const CommandResult taken = tintype(take);
      INFO(taken.err);
      REQUIRE(taken.exit_code == 0);
      machine.kill();
      REQUIRE(tintype({"export", repository, "--id", std::to_string(++id), "--memory", directory / "next"}).exit_code ==
              0);
      std::string next = read_text_file(directory / "next", 1 << 30);
      CHECK(next.compare(kGenerationAddress, sizeof(GenerationId), first, kGenerationAddress, sizeof(GenerationId)) !=
            0);
      next.replace(kGenerationAddress, sizeof(GenerationId), first, kGenerationAddress, sizeof(GenerationId));
      CHECK(next == first);
      const CheckpointReader reader(repository, id);
      CHECK((reader.manifest().parent == 0) == full);
      if (!full) CHECK(reader.manifest().report.memory.pages_written <= 512);  // the chunk that has the generation ID
    }
  }
}

}  // namespace tintype::test
