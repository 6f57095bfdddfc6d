// SPDX-License-Identifier: Apache-2.0
// A guest that asks to be marked and reset, and a program that feeds it by shared memory.
#include <fcntl.h>
#include <unistd.h>

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include <doctest/doctest.h>

#include "tests/support/rounds.h"
#include "tests/support/tintype_process.h"
#include "tools/harness/tintype_harness.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/mapping.h"
#include "vmm/machine/machine.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// The program's side, without the library.
class Program {
 public:
  explicit Program(int seals = F_SEAL_SHRINK) : fd_(::memfd_create("harness", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
    REQUIRE(::ftruncate(fd_.get(), sizeof(tintype_area)) == 0);
    REQUIRE(::fcntl(fd_.get(), F_ADD_SEALS, seals) == 0);
    mapping_ = Mapping::of_fd(fd_.get(), sizeof(tintype_area));
    area().magic = TINTYPE_AREA_MAGIC;
  }
  fs::path file() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }
  tintype_area& area() const { return *reinterpret_cast<tintype_area*>(mapping_.data()); }

  bool wait() const {
    for (int i = 0; i < 3000 && turn() != TINTYPE_TURN_PROGRAM; ++i) {
      const timespec moment{0, 10'000'000};
      ::syscall(SYS_futex, &area().turn, FUTEX_WAIT, TINTYPE_TURN_MACHINE, &moment, nullptr, 0);
    }
    return turn() == TINTYPE_TURN_PROGRAM;
  }
  void give(const std::string& input) const {
    input.copy(reinterpret_cast<char*>(area().input), sizeof area().input);
    area().length = input.size();
    std::atomic_ref(area().turn).store(TINTYPE_TURN_MACHINE);
    ::syscall(SYS_futex, &area().turn, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  }
  std::uint64_t result_of(const std::string& input) const {
    give(input);
    REQUIRE(wait());
    return area().result;
  }

 private:
  std::uint32_t turn() const { return std::atomic_ref(area().turn).load(); }
  UniqueFd fd_;
  Mapping mapping_;
};

struct Target {
  explicit Target(unsigned disks = 0, const std::string& image = "target") {
    MachineConfig config;
    config.name = "target";
    config.kernel = guest_image(image);
    config.append = "pages=64";
    config.memory = 16 << 20;
    config.serial = {SerialKind::kFile, directory / "serial.log"};
    for (unsigned disk = 0; disk < disks; ++disk) {
      config.disks.emplace_back();
      config.disks.back().image = directory.blank_image("disk" + std::to_string(disk), 1 << 20);
    }
    machine = boot_machine(config);
    machine->attach_harness(program.file());
    machine->start();
    REQUIRE(program.wait());
  }
  ~Target() {
    machine->stop(true);
    machine->wait();
  }
  std::string memory(int id) const {
    CheckpointOptions options;
    options.repository = directory / "repository";
    options.full = true;
    machine->checkpoint(options, {});
    const auto file = directory / ("memory-" + std::to_string(id));
    REQUIRE(tintype({"export", options.repository, "--memory", file}).exit_code == 0);
    return read_text_file(file, 1 << 30);
  }

  TestDirectory directory;
  Program program;
  std::unique_ptr<Machine> machine;
};

const std::string kClean = std::string("TT\x01") + "N\x02" + "ab", kDivision = std::string("TT\x01") + "D\x02Z" + '\0',
                  kOverflow = std::string("TT\x01") + "L\x01\x02" + "N\x09" + "123456789",
                  kHang = std::string("TT\x01") + "L\x01" + '\0';

/// Kilobytes that this process has in memory.
long resident_kib() {
  std::ifstream statm("/proc/self/statm");
  long total = 0, resident = 0;
  statm >> total >> resident;
  return resident * 4;
}

unsigned resets() { return rounds_of("TINTYPE_RESETS", 2000); }

}  // namespace

TEST_CASE("each input finds the guest at its mark, whatever the one before did to it") {
  const Target target;
  for (int round = 0; round < 3; ++round) {
    CHECK((target.program.result_of(kClean) & 0xff) == 0);
    CHECK((target.program.result_of(kDivision) & 0xff) == 2);
    CHECK((target.program.result_of(kOverflow) & 0xff) == 1);
    CHECK((target.program.result_of("") & 0xff) == 0);
    CHECK((target.program.result_of(std::string(5000, 'T')) & 0xff) == 0);  // more than it has room for
  }
  CHECK(target.program.area().pages > 60);
}

TEST_CASE("a guest that hangs is reset when its time is over") {
  const Target target;
  target.program.area().timeout_ms = 300;
  CHECK(target.program.result_of(kHang) == TINTYPE_RESULT_TIMEOUT);
  CHECK((target.program.result_of(kDivision) & 0xff) == 2);
}

TEST_CASE("many resets leave memory as it was, and the process no larger") {
  const Target target(2);
  for (int i = 0; i < 100; ++i) target.program.result_of(kOverflow);
  target.program.result_of(kClean);
  const std::string before = target.memory(1);
  for (int i = 0; i < 100; ++i) target.program.result_of(kDivision);
  const long resident = resident_kib();
  for (unsigned i = 0; i < resets(); ++i) target.program.result_of(i % 2 == 0 ? kOverflow : kDivision);
  CHECK(resident_kib() - resident < 1024);
  target.program.result_of(kClean);
  CHECK(target.memory(2) == before);
}

TEST_CASE("a machine that is reset has no translation that was made from page tables which it does not have any more") {
  const Target remap(0, "remap");
  constexpr std::uint64_t kLook = 1 * 16 + 3, kMap = 2 * 16 + 4;
  for (int round = 0; round < 3; ++round) {
    CHECK(remap.program.result_of("L") == kLook);
    CHECK(remap.program.result_of("M") == kMap);
    CHECK(remap.program.result_of("L") == kLook);
    CHECK(remap.program.result_of("M") == kMap);
  }
}

TEST_CASE("a program that goes, or never comes again, keeps nobody from ending the machine") {
  auto target = std::make_unique<Target>();
  CHECK(target->machine->status().state == RunState::kRunning);
  target->machine->pause();
  target->machine->resume();
  target->machine->stop(true);
  target->machine->wait();
  CHECK(target->program.wait());
  CHECK(target->program.area().result == TINTYPE_RESULT_ENDED);
}

TEST_CASE("what is no area is refused") {
  const Target target;
  CHECK_THROWS_AS(target.machine->attach_harness("/dev/null"), Error);
  CHECK_THROWS_AS(target.machine->attach_harness(guest_image("hello")), Error);
  const Program unsealed(F_SEAL_GROW);
  CHECK_THROWS_AS(target.machine->attach_harness(unsealed.file()), Error);
}

TEST_CASE("the fuzzer finds all planted bugs within a minute") {
  const TestDirectory directory;
  MachineProcess machine({"run", "--name", "target", "--kernel", guest_image("target"), "--memory", "16M"});
  REQUIRE(machine.wait_for("TARGET"));
  MachineProcess fuzzer(build_directory() / "tools" / "harness" / "tintype-fuzz",
                        {build_directory() / "tintype", "target", "60"});
  CHECK(fuzzer.wait(90s) == 0);
  INFO(fuzzer.transcript());
  CHECK(fuzzer.transcript().find("3 of 3 bugs") != std::string::npos);
}

}  // namespace tintype::test
