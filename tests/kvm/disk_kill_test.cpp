// SPDX-License-Identifier: Apache-2.0
// kill -9 at any instant, while the ledger writes and flushes and checkpoints come one after the other, so that disks
// switch and commit all the time: every record that the guest was told of is on both disks, and nothing is wrong with
// their logs. TINTYPE_KILL_ROUNDS sets how many rounds each mode has (4).
#include <fcntl.h>

#include <random>
#include <regex>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "guest-images/ledger/layout.h"
#include "guest-images/ledger/record.h"
#include "tests/support/rounds.h"
#include "tests/support/tintype_process.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::uint64_t kDisk = 4 << 20;

unsigned kill_rounds() { return rounds_of("TINTYPE_KILL_ROUNDS", 4); }

/// What a killed ledger had said of itself.
struct LastWords {
  std::uint64_t nonce = 0, sectors = 0;
  std::uint64_t records = 0;  ///< all of them to this one are written
};

LastWords last_words(const std::string& transcript) {
  LastWords words;
  std::smatch found;
  if (!std::regex_search(transcript, found, std::regex("LEDGER ([0-9a-f]{16}) slots=[0-9]+ sectors=([0-9]+) ")))
    throw Error("the ledger did not begin: {}", transcript);
  words.nonce = std::stoull(found[1], nullptr, 16);
  words.sectors = std::stoull(found[2]);
  const std::regex run("LEDGER RUN ([0-9]+) flushed=[0-9]+\r?\n");
  for (std::sregex_iterator line(transcript.begin(), transcript.end(), run), end; line != end; ++line)
    words.records = std::stoull((*line)[1]);
  return words;
}

/// What is wrong with a disk: the first sector that holds less than it must.
std::string judge(const std::string& disk, guest::Medium medium, const LastWords& words) {
  const guest::Layout layout(words.sectors);
  for (std::uint64_t slot = 0; slot < layout.slots(); ++slot) {
    const std::uint64_t record = layout.last_record_in(slot, words.records);
    if (record == 0) continue;
    for (std::uint32_t index = 0; index < layout.size_in_sectors(slot); ++index) {
      const std::uint64_t sector = layout.first_sector(slot) + index;
      const guest::SectorIdentity expected{words.nonce, record, guest::SectorIdentity::place_of(medium, index, sector)};
      const auto seen = guest::inspect_sector(disk.data() + sector * guest::kSectorSize, expected);
      if (seen.finding == guest::Finding::kRight || seen.finding == guest::Finding::kAhead) continue;
      return fmt::format("sector {} should hold record {} and holds {}: {}", sector, record, seen.found,
                         guest::name_of(seen.finding).data);
    }
  }
  return {};
}

class KilledMachine {
 public:
  explicit KilledMachine(std::string mode) : mode_(std::move(mode)) {
    for (const char* name : {"a.img", "b.img"}) images_.push_back(directory_.blank_image(name, kDisk));
  }

  /// Runs and dies.
  LastWords live(std::chrono::microseconds time) {
    MachineProcess machine({"run", "--kernel", guest_image("ledger"), "--append", "mb=2 report_ms=10", "--memory",
                            "32M", "--name", "victim", "--disk", disk(0), "--disk", disk(1)});
    REQUIRE(machine.wait_for("LEDGER RUN", 60s));
    MachineProcess film({"checkpoint", "victim", "--to", directory_ / "repository", "--only", "disks", "--every",
                         "20ms", "--count", "100000", "--keep", "2"});
    std::this_thread::sleep_for(time);
    machine.kill();
    film.wait(60s);
    (void)machine.wait_for("until the end of its output", 10s);
    fs::remove_all(directory_ / "repository");
    return last_words(machine.transcript());
  }

  std::string wrong_with_logs() {
    for (const fs::path& image : images_) {
      const CommandResult checked = tintype({"disk", "check", image});
      if (checked.exit_code != 0) return checked.out + checked.err;
    }
    return {};
  }
  /// As the next machine would see it.
  std::string contents(std::size_t number) {
    const fs::path out = directory_ / "exported.img";
    fs::remove(out);
    const CommandResult exported = tintype({"disk", "export", images_[number], out});
    if (exported.exit_code != 0) throw Error("{}", exported.err);
    return read_text_file(out, 2 * kDisk);
  }
  std::string image(std::size_t number) const { return read_text_file(images_[number], 2 * kDisk); }

 private:
  std::string disk(std::size_t number) const { return images_[number].string() + ",mode=" + mode_; }

  TestDirectory directory_;
  const std::string mode_;
  std::vector<fs::path> images_;
};

/// What the guest said of all its records holds for each disk, on which the next round goes on.
void kill_and_look(const std::string& mode, unsigned seed) {
  KilledMachine machine(mode);
  std::mt19937 random(seed);
  std::uint64_t records = 0;
  for (unsigned round = 0; round < kill_rounds(); ++round) {
    CAPTURE(round);
    const LastWords words = machine.live(std::chrono::microseconds(random() % 700'000));
    records += words.records;
    REQUIRE(machine.wrong_with_logs() == "");
    REQUIRE(judge(machine.contents(0), guest::Medium::kDisk0, words) == "");
    REQUIRE(judge(machine.contents(1), guest::Medium::kDisk1, words) == "");
  }
  CHECK(records > 0);
}

}  // namespace

TEST_CASE("killed at any instant, persistent disks hold every record that the guest was told of") {
  kill_and_look("persistent", 1);
}

TEST_CASE("killed at any instant, undoable disks hold every record that the guest was told of") {
  kill_and_look("undoable", 2);
}

TEST_CASE("killed at any instant, nonpersistent disks have left their images alone, and no log behind") {
  KilledMachine machine("nonpersistent");
  std::mt19937 random(3);
  const std::string blank(kDisk, '\0');
  for (unsigned round = 0; round < kill_rounds(); ++round) {
    CAPTURE(round);
    machine.live(std::chrono::microseconds(random() % 500'000));
    REQUIRE(machine.wrong_with_logs() == "");
    for (const std::size_t disk : {0, 1}) {
      CHECK(machine.image(disk) == blank);
      CHECK(machine.contents(disk) == blank);
    }
  }
}

}  // namespace tintype::test
