// SPDX-License-Identifier: Apache-2.0
// A restore fails at each of its steps: nothing of it is left, the checkpoint is as it was, and the next one succeeds.
#include <fcntl.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <set>

#include <doctest/doctest.h>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/format/part_reader.h"
#include "checkpoint/state/vcpu_state_v1.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/open_checkpoint.h"
#include "checkpoint/tracking/userfault.h"
#include "tests/support/skip.h"
#include "tests/support/small_file_system.h"
#include "tests/support/tintype_process.h"
#include "vmm/base/checksum.h"
#include "vmm/base/io.h"
#include "vmm/machine/clones.h"
#include "vmm/machine/machine.h"

namespace tintype::test {

namespace {

namespace fs = std::filesystem;

/// Every file below a directory with the checksum of what is in it, hidden ones too.
std::map<std::string, std::uint64_t> contents(const fs::path& directory) {
  std::map<std::string, std::uint64_t> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const bool regular = entry.is_regular_file();
    const std::string text = regular ? read_text_file(entry.path(), 1 << 30) : std::string();
    files[entry.path().string()] = checksum_of(std::as_bytes(std::span(text)));
  }
  return files;
}

/// A checkpoint of a guest that writes to two disks, and a directory for the disks that come out of it.
struct Fixture {
  Fixture() {
    fs::create_directory(disks);
    MachineProcess machine({"run", "--name", "ledger", "--kernel", guest_image("ledger"), "--memory", "64M", "--append",
                            "mb=2", "--disk", directory.blank_image("a.img", 2 << 20), "--disk",
                            directory.blank_image("b.img", 2 << 20)});
    REQUIRE(machine.wait_for("LEDGER RUN"));
    REQUIRE(tintype({"checkpoint", "ledger", "--to", repository}).exit_code == 0);
    machine.kill();
  }

  std::unique_ptr<Machine> restore(const ProgressSink& progress = {}) const {
    RestoreOptions options;
    options.repository = repository;
    options.disk_directory = disks;
    options.memory_load = memory_load;
    options.serial = {SerialKind::kFile, serial};
    return restore_machine(options, progress);
  }

  std::vector<std::string> images() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(disks)) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }

  MemoryLoad memory_load = MemoryLoad::kEager;
  TestDirectory directory;
  fs::path repository = directory / "repository", checkpoint = repository / "00000001", disks = directory / "disks",
           serial = directory / "serial.log";
};

const std::vector<std::string> kPlainNames = {"ledger-disk0.img", "ledger-disk1.img"};

/// The restore is refused with `word` in the sentence, and both directories are as they were.
void check_leaves_nothing(const Fixture& fixture, const std::string& word, const ProgressSink& progress = {}) {
  const auto disks = contents(fixture.disks), repository = contents(fixture.repository);
  CHECK_THROWS_WITH_AS(fixture.restore(progress), doctest::Contains(word.c_str()), Error);
  CHECK(contents(fixture.disks) == disks);
  CHECK_FALSE(fs::exists(fixture.serial));
  CHECK(contents(fixture.repository) == repository);
}

/// Goes on as a machine, from the plain names, all the way to what the guest says of its disks.
void check_next_succeeds(const Fixture& fixture) {
  MachineProcess machine({"restore", fixture.repository, "--disk-dir", fixture.disks});
  machine.type("q");
  CHECK(machine.wait_for("LEDGER OK"));
  machine.wait();
  CHECK(fixture.images() == kPlainNames);
}

/// Throws at the announcement with this number, from 1 on, and notes what was announced.
class FailingAt {
 public:
  explicit FailingAt(unsigned number) : left_(number) {}
  void operator()(const Progress& progress) {
    phases.push_back(progress.phase);
    if (--left_ == 0) throw Error("the restore ends here");
  }
  std::vector<std::string> phases;

 private:
  unsigned left_;
};

/// Changes the saved states in a way that every checksum agrees with.
void change_states(const Fixture& fixture, const std::function<void(std::vector<NamedState>&)>& change) {
  Manifest manifest = read_manifest(fixture.checkpoint, 1);
  std::vector<NamedState> states = read_states(fixture.checkpoint, manifest);
  change(states);
  const auto bytes = encode_states(states);
  const auto part = std::ranges::find(manifest.parts, checkpoint_files::kStateName, &PartDescription::name);
  part->summary.file_bytes = bytes.size();
  part->summary.checksum = checksum_of(bytes);
  std::ofstream(fixture.checkpoint / part->file, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  std::ofstream(fixture.checkpoint / checkpoint_files::kManifest, std::ios::binary) << encode_manifest(manifest);
}

/// Leaf 7's edx has bits that no processor ever set: a guest that saw all of them cannot go on anywhere.
void demand_every_feature(std::vector<NamedState>& states) {
  const auto vcpu = std::ranges::find(states, "vcpu0", &NamedState::name);
  auto saved = from_record<VcpuStateV1>(vcpu->record);
  for (CpuidLeafV1& leaf : saved.cpuid) {
    if (leaf.function == 7 && leaf.index == 0) leaf.edx = 0xffffffff;
  }
  vcpu->record = to_record(saved);
}

/// Damages the data of a disk, which is read only when it is written out.
void damage_data(const fs::path& path) {
  const PartReader part(path);
  const auto extent = std::ranges::find(part.extents(), false, &Extent::zero);
  REQUIRE(extent != part.extents().end());
  const UniqueFd fd = open_file(path, O_RDWR);
  std::byte byte{};
  read_exactly(fd.get(), std::span(&byte, 1), extent->offset, path.string());
  byte ^= std::byte{1};
  write_exactly(fd.get(), std::span(&byte, 1), extent->offset, path.string());
}

void check_each_step_may_fail(MemoryLoad memory_load) {
  Fixture fixture;
  fixture.memory_load = memory_load;
  const auto repository = contents(fixture.repository);
  std::set<std::string> failed_in;
  std::unique_ptr<Machine> machine;
  for (unsigned number = 1; number < 1000; ++number) {
    CAPTURE(number);
    FailingAt fails(number);
    try {
      machine = fixture.restore(std::ref(fails));
      break;  // it has fewer steps than that
    } catch (const Error& error) {
      CHECK(std::string(error.what()) == "the restore ends here");
    }
    CAPTURE(fails.phases.back());
    failed_in.insert(fails.phases.back());
    CHECK(fixture.images().empty());
    CHECK_FALSE(fs::exists(fixture.serial));
    CHECK(contents(fixture.repository) == repository);
  }
  CHECK(failed_in == std::set<std::string>{"check", "disk0", "disk1", "memory", "state", "disks"});
  CHECK(fixture.images() == kPlainNames);
  machine.reset();  // it never started
  CHECK(fixture.images().empty());
}

}  // namespace

TEST_CASE("a restore that ends at any one of its steps leaves nothing, and the next one has the plain names") {
  check_each_step_may_fail(MemoryLoad::kEager);
}

TEST_CASE("so does a lazy one") {
  if (!probe_userfault().missing_pages) SKIP_TEST("this host cannot bring pages as they are touched");
  check_each_step_may_fail(MemoryLoad::kLazy);
}

TEST_CASE("a restore that failed can be tried again, and the guest finds all that it wrote") {
  const Fixture fixture;
  for (const char* phase : {"disk1", "memory", "disks"}) {
    check_leaves_nothing(fixture, "enough", [&](const Progress& progress) {
      if (progress.phase == phase) throw Error("enough");
    });
  }
  check_next_succeeds(fixture);
}

TEST_CASE("a CPU feature that the host lacks is refused before anything is written") {
  const Fixture fixture;
  change_states(fixture, demand_every_feature);
  std::vector<std::string> phases;
  check_leaves_nothing(fixture, "cpuid 0x7.0 edx bit", [&](const Progress& progress) {
    phases.push_back(progress.phase);
    CHECK(fixture.images().empty());
  });
  CHECK(phases == std::vector<std::string>{"check"});
}

TEST_CASE("for machines side by side, directory and CPU are looked at before memory is read and anything is made") {
  const Fixture fixture;
  damage_data(fixture.checkpoint / "memory.part");
  RestoreOptions options;
  options.repository = fixture.repository;
  std::vector<std::string> phases;
  const auto is_refused = [&](const fs::path& directory, const char* word) {
    options.disk_directory = directory;
    phases.clear();
    const ProgressSink note = [&](const Progress& progress) { phases.push_back(progress.phase); };
    CHECK_THROWS_WITH_AS(CloneSource(options, note), doctest::Contains(word), Error);
    CHECK(fixture.images().empty());
  };
  is_refused(fixture.disks, "damaged");
  CHECK(phases.front() == "check");
  is_refused(fixture.directory / "nowhere", "--disk-dir");
  CHECK(phases.empty());
  change_states(fixture, demand_every_feature);
  is_refused(fixture.disks, "cpuid 0x7.0 edx bit");
  CHECK(phases == std::vector<std::string>{"check"});
}

TEST_CASE("a state too few, one too many, and one that cannot be are refused before anything is written") {
  const auto refused = [](const char* word, const std::function<void(std::vector<NamedState>&)>& change) {
    const Fixture fixture;
    change_states(fixture, change);
    std::vector<std::string> phases;
    check_leaves_nothing(fixture, word, [&](const Progress& progress) { phases.push_back(progress.phase); });
    CHECK(phases == std::vector<std::string>{"check"});
  };
  refused("no state of rng",
          [](auto& states) { std::erase_if(states, [](auto& state) { return state.name == "rng"; }); });
  refused("uart9", [](auto& states) { states.push_back({"uart9", states.front().record}); });
  refused("", [](auto& states) { std::ranges::find(states, "disk1", &NamedState::name)->record.version = 99; });
}

TEST_CASE("damage in the second disk, or in memory, leaves no first disk") {
  for (const char* file : {"disk1.part", "memory.part"}) {
    CAPTURE(file);
    const Fixture fixture;
    damage_data(fixture.checkpoint / file);
    check_leaves_nothing(fixture, file);
    damage_data(fixture.checkpoint / file);  // the same bit again: mended
    check_next_succeeds(fixture);
  }
}

TEST_CASE("a name that is taken is left alone, and what is there may be anything") {
  const Fixture fixture;
  std::ofstream(fixture.disks / "ledger-disk0.img") << "precious";
  fs::create_directory(fixture.disks / "ledger-disk1.img");
  fs::create_symlink("/nowhere/at/all", fixture.disks / "ledger-disk1-2.img");
  check_leaves_nothing(fixture, "enough", [&](const Progress& progress) {
    if (progress.phase == "disks") throw Error("enough");
  });
  const auto machine = fixture.restore();
  REQUIRE(machine);
  CHECK(read_text_file(fixture.disks / "ledger-disk0.img") == "precious");
  CHECK(fs::is_regular_file(fixture.disks / "ledger-disk0-2.img"));
  CHECK(fs::is_regular_file(fixture.disks / "ledger-disk1-3.img"));
  CHECK(fs::read_symlink(fixture.disks / "ledger-disk1-2.img") == "/nowhere/at/all");
}

TEST_CASE("a directory for the disks that takes no files, or not as many") {
  const Fixture fixture;
  const auto refused = [&](const std::string& size, unsigned long flags, const char* word) {
    const SmallFileSystem small(fixture.disks, size, flags);
    if (!small.mounted()) return false;
    std::vector<std::string> phases;
    check_leaves_nothing(fixture, word, [&](const Progress& progress) { phases.push_back(progress.phase); });
    CHECK(phases.empty());
    return true;
  };
  if (!refused("64m", MS_RDONLY, "--disk-dir")) SKIP_TEST("mounting a small file system needs root");
  refused("1m", 0, "room");
}

TEST_CASE("a file system that fills up while the second disk is written") {
  const Fixture fixture;
  const SmallFileSystem small(fixture.disks, "8m");
  if (!small.mounted()) SKIP_TEST("mounting a small file system needs root");
  const UniqueFd other = open_file(fixture.directory / "disks/other", O_RDWR | O_CREAT);
  REQUIRE(::unlink((fixture.disks / "other").c_str()) == 0);
  check_leaves_nothing(fixture, "room", [&](const Progress& progress) {
    if (progress.phase == "disk1") REQUIRE(::fallocate(other.get(), 0, 0, 6 << 20) == 0);
  });
}

TEST_CASE("where a manifest says that images lay is never written to") {
  const Fixture fixture;
  const fs::path elsewhere = fixture.directory / "elsewhere";
  std::ofstream(elsewhere) << "precious";
  Manifest manifest = read_manifest(fixture.checkpoint, 1);
  manifest.machine.disks[0].image = elsewhere;
  manifest.machine.disks[1].image = fixture.directory / "not-there";
  std::ofstream(fixture.checkpoint / checkpoint_files::kManifest, std::ios::binary) << encode_manifest(manifest);
  const auto machine = fixture.restore();
  REQUIRE(machine);
  CHECK(fixture.images() == kPlainNames);
  CHECK(read_text_file(elsewhere) == "precious");
  CHECK_FALSE(fs::exists(fixture.directory / "not-there"));
}

TEST_CASE("a number of CPUs that no machine has is refused in a sentence, before anything is written") {
  const Fixture fixture;
  for (const unsigned cpus : {0U, 65U, UINT32_MAX}) {
    CAPTURE(cpus);
    Manifest manifest = read_manifest(fixture.checkpoint, 1);
    manifest.machine.cpus = cpus;
    std::ofstream(fixture.checkpoint / checkpoint_files::kManifest, std::ios::binary) << encode_manifest(manifest);
    check_leaves_nothing(fixture, "CPUs");
  }
}

TEST_CASE("an image that cannot be opened once it has its name is taken away again, and so is the other") {
  const Fixture fixture;
  std::ofstream(fixture.disks / "ledger-disk1.img.0001.redo") << "of another disk that had this name";
  check_leaves_nothing(fixture, "redo");
}

}  // namespace tintype::test
