// SPDX-License-Identifier: Apache-2.0
// What was acknowledged is there, whoever is killed, cut off, or full.
#include "checkpoint/standby/standby.h"

#include <signal.h>
#include <unistd.h>

#include <sys/wait.h>

#include <fstream>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/backup/import.h"
#include "checkpoint/backup/transfer.h"
#include "checkpoint/standby/link_words.h"
#include "tests/support/becomes_true.h"
#include "tests/support/rounds.h"
#include "tests/support/skip.h"
#include "tests/support/small_file_system.h"
#include "tests/unit/backup/two_computers.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;
using std::chrono::milliseconds;

}  // namespace

TEST_CASE("what was acknowledged is there, whole, and only the newest stay") {
  TwoComputers computers;
  const auto place = computers.place();
  for (int i = 0; i < 12; ++i) {
    computers.deliver(*place);
    CHECK(computers.newest_there() == computers.last->identity);
  }
  CHECK(becomes_true([&] { return computers.standby->status().received == 12; }));
  std::this_thread::sleep_for(std::chrono::seconds(1));  // so often it is pruned
  computers.deliver(*place);
  CHECK(becomes_true([&] { return Repository::open(computers.there).ids().size() <= 4; }));
  computers.check_whole();
  CHECK(computers.standby->status().vm == "film");
}

TEST_CASE("a stream that is cut anywhere leaves nothing, and the next one goes on from what is there") {
  TwoComputers computers;
  {
    const auto place = computers.place();
    computers.deliver(*place);
  }
  std::mt19937_64 random(7);
  std::vector<std::byte> stream;
  const auto next = computers.shoot();
  send_checkpoint(computers.here, next.id, next.parent,
                  [&](std::span<const std::byte> bytes) { stream.insert(stream.end(), bytes.begin(), bytes.end()); });
  for (unsigned round = 0; round < rounds(20); ++round) {
    Caller caller(computers);
    CHECK(caller.ask("HELLO 2 - film").starts_with("HAVE "));
    caller.channel.send_line(link_words::kStream);
    caller.channel.send(std::span(stream).first(random() % stream.size()));
    caller.channel.shut_down();
  }
  CHECK(becomes_true([&] { return Repository::open(computers.there).ids().size() == 1; }));
  computers.check_whole();
  const auto place = computers.place();
  place->look();
  place->bring(computers.here, next.id, {});
  CHECK(computers.newest_there() == next.identity);
  computers.check_whole();
}

TEST_CASE("a byte that was changed on the way is not acknowledged") {
  TwoComputers computers;
  const auto first = computers.shoot();
  std::vector<std::byte> stream;
  send_checkpoint(computers.here, first.id, {},
                  [&](std::span<const std::byte> bytes) { stream.insert(stream.end(), bytes.begin(), bytes.end()); });
  stream[stream.size() / 2] ^= std::byte{1};
  Caller caller(computers);
  caller.ask("HELLO 2 - film");
  caller.channel.send_line(link_words::kStream);
  caller.channel.send(stream);
  CHECK(caller.channel.receive_line().starts_with("ERROR "));
  CHECK(Repository::open(computers.there).ids().empty());
}

TEST_CASE("the standby is restarted: the first computer goes on with what it has") {
  TwoComputers computers;
  const auto place = computers.place();
  computers.deliver(*place);
  computers.standby.reset();
  StandbyOptions options = computers.options();
  options.listen = computers.address();
  computers.standby = std::make_unique<Standby>(options);
  const auto next = computers.shoot();
  CHECK(becomes_true([&] {
    try {
      place->look();
      place->bring(computers.here, next.id, {});
      return true;
    } catch (const Error&) {
      return false;
    }
  }));
  CHECK(computers.newest_there() == next.identity);
  computers.check_whole();
}

TEST_CASE("a full disk there is said here, and nothing half is there") {
  if (::geteuid() != 0) SKIP_TEST("only root can mount a small file system");
  ScratchDirectory scratch(quick_directory());
  const test::SmallFileSystem small(scratch / "small", "64k");
  if (!small.mounted()) SKIP_TEST("nothing can be mounted here");
  TwoComputers computers;
  computers.standby.reset();
  computers.there = scratch / "small";
  StandbyOptions options = computers.options();
  computers.start(options);
  const auto place = computers.place();
  CHECK_THROWS_WITH_AS(computers.deliver(*place), doctest::Contains("did not take it"), Error);
  CHECK(Repository::open(computers.there).ids().empty());
  CHECK_FALSE(computers.standby->status().problem.empty());
}

TEST_CASE("a connection that broke is made anew before the next backup") {
  TwoComputers computers(milliseconds(3000));
  const auto place = computers.place();
  computers.deliver(*place);
  CHECK(Caller(computers).ask("HELLO 2 - film").starts_with("HAVE "));  // the newest call counts
  std::this_thread::sleep_for(milliseconds(4000));
  CHECK_FALSE(computers.standby->status().promoted);
  CHECK(computers.standby->status().connected);
}

namespace {

/// The first computer, in a process that is killed: it delivers, and notes what was acknowledged.
[[noreturn]] void deliver_until_killed(TwoComputers& computers, const fs::path& notes) {
  try {
    const auto place = computers.place();
    std::ofstream acknowledged(notes, std::ios::app);
    for (;;) {
      computers.deliver(*place);
      acknowledged << computers.last->identity << std::endl;
    }
  } catch (const std::exception&) {
  }
  ::_exit(0);
}

}  // namespace

TEST_CASE("killed at any instant: the standby promotes a whole one, never older than the last acknowledged") {
  std::mt19937_64 random(11);
  for (unsigned round = 0; round < rounds(10); ++round) {
    TwoComputers computers;
    const fs::path notes = computers.scratch / "acknowledged";
    // The child has no threads but its own: it calls the standby, which lives in this process.
    const pid_t child = ::fork();
    if (child == 0) deliver_until_killed(computers, notes);
    CHECK(becomes_true([&] { return computers.standby->status().received >= 1; }));
    std::this_thread::sleep_for(milliseconds(random() % 100));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    computers.standby->promote();
    CHECK(computers.standby->wait_until_promoted(std::chrono::seconds(1)));
    computers.check_whole();
    std::string last_acknowledged;
    std::ifstream read(notes);
    for (std::string line; std::getline(read, line);) last_acknowledged = line.size() == 32 ? line : last_acknowledged;
    const Manifest promoted = show_checkpoint(computers.there, computers.standby->checkpoint());
    const Manifest acknowledged = [&] {
      const Repository repository = Repository::open(computers.there);
      const auto known = Identities(repository).find(last_acknowledged);
      REQUIRE((last_acknowledged.empty() || known));
      return known ? *repository.read_manifest(repository.directory_of(known->id), known->id) : promoted;
    }();
    CHECK(promoted.id >= acknowledged.id);
  }
}

}  // namespace tintype
