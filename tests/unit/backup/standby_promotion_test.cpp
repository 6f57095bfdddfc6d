// SPDX-License-Identifier: Apache-2.0
// When a standby runs the machine, and when it does not.
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/backup/transfer.h"
#include "checkpoint/standby/silence.h"
#include "tests/support/becomes_true.h"
#include "tests/unit/backup/two_computers.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
using std::chrono::milliseconds;

}  // namespace

TEST_CASE("promoted by hand, it is the newest whole one, and the first computer is told") {
  TwoComputers computers;
  CHECK_THROWS_AS(computers.standby->promote(), Error);
  const auto place = computers.place();
  computers.deliver(*place);
  computers.deliver(*place);
  const std::string acknowledged = computers.last->identity;
  computers.standby->promote();
  CHECK(computers.standby->wait_until_promoted(milliseconds(0)));
  CHECK(show_checkpoint(computers.there, computers.standby->checkpoint()).identity == acknowledged);
  CHECK(becomes_true([&] {
    try {
      computers.deliver(*place);
    } catch (const Error&) {
    }
    return computers.replaced > 0;
  }));
  CHECK_THROWS_WITH_AS(place->look(), doctest::Contains("runs this machine now"), Error);
  CHECK(computers.newest_there() == acknowledged);
}

TEST_CASE("two standbys do not share a repository: each would run what is in it") {
  TwoComputers computers;
  StandbyOptions options = computers.options();
  options.listen.port = "0";
  CHECK_THROWS_WITH_AS(Standby{options}, doctest::Contains("another standby keeps its checkpoints in"), Error);
  computers.standby.reset();
  CHECK_NOTHROW(Standby{options});
}

TEST_CASE("two computers that do not ask the same witness do not share a machine: both might run it") {
  TwoComputers computers;
  CHECK_THROWS_WITH_AS(computers.place(1, "etcd-1")->look(), doctest::Contains("the standby asks none"), Error);
  computers.standby.reset();
  std::string mine = "etcd-1";
  StandbyOptions options = computers.options();
  options.why_not_promote = [](const std::string&) { return ""; };
  options.witness = [&] { return mine; };
  computers.start(options);
  CHECK_THROWS_WITH_AS(computers.place()->look(), doctest::Contains("the first computer asks none"), Error);
  CHECK_THROWS_WITH_AS(computers.place(1, "etcd-2")->look(), doctest::Contains("different witnesses"), Error);
  CHECK(computers.standby->status().problem.find("different witnesses") != std::string::npos);
  CHECK(computers.standby->status().received == 0);
  CHECK_NOTHROW(computers.deliver(*computers.place(1, "etcd-1")));
  mine.clear();  // it cannot be asked now: it will be before a promotion
  CHECK_NOTHROW(computers.deliver(*computers.place(1, "etcd-1")));
}

TEST_CASE("nothing is promoted because nobody called, or because they took their leave") {
  TwoComputers computers(milliseconds(50));
  std::this_thread::sleep_for(milliseconds(200));
  {
    const auto place = computers.place();
    computers.deliver(*place);
    std::this_thread::sleep_for(milliseconds(20));
  }
  CHECK(becomes_true([&] { return computers.standby->status().silent_ms == 0; }));
  std::this_thread::sleep_for(milliseconds(200));
  CHECK_FALSE(computers.standby->status().promoted);
}

TEST_CASE("who stood still, or was busy himself, takes nobody for lost") {
  Silence silence;
  auto now = Silence::Clock::now();
  const auto look_after = [&](milliseconds time, bool listening) { return silence.look(now += time, listening); };
  CHECK(look_after(milliseconds(0), true) == milliseconds(0));
  CHECK(look_after(milliseconds(20), true) == milliseconds(20));
  CHECK(look_after(std::chrono::minutes(3), true) == milliseconds(20) + Silence::kMostBetweenLooks);
  CHECK(look_after(milliseconds(20), false) == milliseconds(0));
  CHECK(look_after(milliseconds(20), true) == milliseconds(20));
  silence.heard();
  CHECK(look_after(milliseconds(30), true) == milliseconds(30));
}

TEST_CASE("while a standby is busy with what came it hears no beat, and does not run the machine for that") {
  TwoComputers computers;
  computers.standby.reset();
  StandbyOptions options = computers.options();
  options.promote_after = milliseconds(500);
  options.on_checkpoint = [](std::uint64_t) { std::this_thread::sleep_for(milliseconds(1500)); };
  computers.start(options);
  const auto place = computers.place();
  computers.deliver(*place);
  std::this_thread::sleep_for(milliseconds(2500));
  CHECK_FALSE(computers.standby->status().promoted);
}

TEST_CASE("a promotion that is not allowed does not happen, however long it is silent") {
  TwoComputers computers;
  computers.standby.reset();
  std::atomic<bool> allowed = false;
  std::atomic<int> asked = 0;
  StandbyOptions options = computers.options();
  options.promote_after = milliseconds(100);
  options.why_not_promote = [&](const std::string&) {
    ++asked;
    return allowed ? std::string() : std::string("the witness is asleep");
  };
  computers.start(options);
  Caller caller(computers);
  caller.ask("HELLO 2 - film");
  const auto first = computers.shoot();
  copy_checkpoints(computers.here, computers.there, first.id);
  CHECK(becomes_true([&] { return asked >= 3; }));
  CHECK_FALSE(computers.standby->status().promoted);
  CHECK(computers.standby->status().problem == "the witness is asleep");
  CHECK_THROWS_WITH_AS(computers.standby->promote(), doctest::Contains("the witness is asleep"), Error);
  allowed = true;
  CHECK(becomes_true([&] { return computers.standby->status().promoted; }));
}

TEST_CASE("a standby that was restarted asks for the machine whose checkpoints it has, though nobody has called yet") {
  TwoComputers computers;
  computers.deliver(*computers.place());
  computers.standby.reset();
  std::string asked_for;
  StandbyOptions options = computers.options();
  options.why_not_promote = [&](const std::string& vm) {
    asked_for = vm;
    return std::string(vm == "film" ? "the witness says no" : "");  // its lease is held by the first, which lives
  };
  computers.start(options);
  CHECK_THROWS_WITH_AS(computers.standby->promote(), doctest::Contains("witness"), Error);
  CHECK(asked_for == "film");
  CHECK_FALSE(computers.standby->status().promoted);
}

TEST_CASE("promoted by hand while the first one is connected: that one stands still before this one runs") {
  TwoComputers computers;
  std::atomic<bool> stands_still = false;
  const auto place =
      make_standby_place({computers.address(), a_key(), "film", computers.here, "", [&](const std::string&) {
                            std::this_thread::sleep_for(milliseconds(100));
                            stands_still = true;
                          }});
  computers.deliver(*place);
  computers.standby->promote();
  CHECK(stands_still);
  CHECK(computers.standby->wait_until_promoted(milliseconds(0)));
}

TEST_CASE("a first one that is connected and says nothing is not waited for long") {
  TwoComputers computers;
  const auto shot = computers.shoot();
  copy_checkpoints(computers.here, computers.there, shot.id);
  Caller caller(computers);
  CHECK(caller.ask("HELLO 2 - film").starts_with("HAVE "));
  computers.standby->promote();
  CHECK(computers.standby->wait_until_promoted(milliseconds(0)));
}

}  // namespace tintype
