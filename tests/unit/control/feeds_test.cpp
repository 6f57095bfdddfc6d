// SPDX-License-Identifier: Apache-2.0
// What clients follow: events and the console of a machine, over a real socket.
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/control/fake_machine.h"
#include "tests/unit/control/raw_client.h"
#include "tests/unit/control/scratch_directory.h"
#include "vmm/base/error.h"
#include "vmm/control/client.h"
#include "vmm/control/machine_methods.h"
#include "vmm/control/runtime_directory.h"
#include "vmm/control/server.h"
#include "vmm/control/status_json.h"

using namespace tintype;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

struct FeedFixture {
  ScratchDirectory scratch;
  FakeMachine fake;
  MachineMethods methods{fake};
  NameClaim claim{scratch.path(), "fake"};
  ControlServer server{claim.socket_path(), methods};

  ControlClient follow(const std::string& method, const json& params = json::object()) {
    ControlClient client(scratch.path(), "fake");
    client.follow(method, params);
    return client;
  }
  void post(EventKind kind) {
    MachineEvent event;
    event.kind = kind;
    fake.event_log.post(std::move(event));
  }
  void print(std::string_view text) {
    for (const char byte : text) fake.console_log.append(static_cast<std::uint8_t>(byte));
  }
};

/// All that comes until it has been quiet for a moment, or `enough` is there.
std::string read_console(ControlClient& client, std::size_t enough = 1) {
  std::string text;
  while (text.size() < enough) {
    const auto piece = client.next(5s);
    if (!piece) break;
    text += path_from_json((*piece)["text"], "it").string();
  }
  return text;
}

}  // namespace

TEST_CASE("events: what came before is seen by those who ask for it, what comes by all") {
  FeedFixture fixture;
  fixture.post(EventKind::kStarted);
  auto late = fixture.follow("events");
  auto early = fixture.follow("events", {{"past", true}});
  fixture.post(EventKind::kPaused);
  CHECK((*early.next(5s))["event"] == "started");
  for (auto* client : {&early, &late}) {
    const auto event = client->next(5s);
    REQUIRE(event);
    CHECK((*event)["event"] == "paused");
    CHECK((*event)["number"] == 2);
    CHECK((*event)["name"] == "fake");
    CHECK_FALSE(client->next(20ms));
  }
}

TEST_CASE("events: progress goes to those who ask for it, the newest of it") {
  FeedFixture fixture;
  auto curious = fixture.follow("events", {{"progress", true}});
  auto other = fixture.follow("events");
  fixture.fake.event_log.post_progress({"memory", 1, 2});
  const auto progress = curious.next(5s);
  REQUIRE(progress);
  CHECK((*progress)["event"] == "progress");
  CHECK((*progress)["done"] == 1);
  CHECK_FALSE(other.next(20ms));
}

TEST_CASE("events: a follower that was away learns how many it has missed") {
  FeedFixture fixture;
  for (std::size_t i = 0; i < EventLog::kKept + 10; ++i) fixture.post(EventKind::kPaused);
  auto client = fixture.follow("events", {{"past", true}});
  const auto first = client.next(5s);
  REQUIRE(first);
  CHECK((*first)["missed"] == 10);
  CHECK((*first)["number"] == 11);
  for (std::size_t i = 1; i < EventLog::kKept; ++i) CHECK((*client.next(5s))["number"] == 11 + i);
}

TEST_CASE("console: the past that is asked for, then what comes, byte for byte") {
  FeedFixture fixture;
  fixture.print("before ");
  auto all = fixture.follow("console", {{"past", UINT64_MAX}});
  auto some = fixture.follow("console", {{"past", 3}});
  auto none = fixture.follow("console");
  CHECK(read_console(all) == "before ");
  CHECK(read_console(some) == "re ");
  const std::string bytes("\x00\xff\x80 not text\r\n", 13);
  fixture.print(bytes);
  for (auto* client : {&all, &some, &none}) CHECK(read_console(*client, bytes.size()) == bytes);
}

// The server looks around once a second anyway: without the bell each of these would take that long.
TEST_CASE("a follower is woken when there is something new") {
  FeedFixture fixture;
  auto events = fixture.follow("events");
  auto console = fixture.follow("console");
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(30ms);  // until it has nothing to do
    fixture.print("x");
    CHECK(read_console(console) == "x");
    std::this_thread::sleep_for(30ms);
    fixture.post(EventKind::kPaused);
    CHECK(events.next(5s));
  }
  CHECK(std::chrono::steady_clock::now() - start < 10s);
}

TEST_CASE("console: a follower that sleeps costs nothing, and is told what it has missed") {
  FeedFixture fixture;
  RawClient sleeper(fixture.claim.socket_path());
  sleeper.call("console");
  const std::string text(10'000, 'x');
  for (int i = 0; i < 1000; ++i) {
    fixture.print(text);
    if (i % 100 == 0) std::this_thread::sleep_for(1ms);
  }
  auto other = fixture.follow("console", {{"past", 5}});
  CHECK(read_console(other) == "xxxxx");
  std::uint64_t seen = 0, missed = 0;
  for (json message = sleeper.receive(); seen + missed < 10'000'000 && message.is_object();
       message = sleeper.receive()) {
    seen += message["params"]["text"].get<std::string>().size();
    missed += message["params"].value("missed", std::uint64_t{0});
    if (seen + missed == 10'000'000) break;
  }
  CHECK(seen + missed == 10'000'000);
  CHECK(missed > 5'000'000);
}

TEST_CASE("feeds carry the id of their call, and rubbish parameters are refused") {
  FeedFixture fixture;
  RawClient client(fixture.claim.socket_path());
  CHECK(client.call("events", 7)["result"]["follows"] == true);
  fixture.post(EventKind::kMarked);
  CHECK(client.receive()["params"]["id"] == 7);
  CHECK(client.call("events", 8, R"({"past":3})")["error"]["code"] == -32602);
  CHECK(client.call("console", 9, R"({"colour":"red"})")["error"]["code"] == -32602);
  CHECK(client.call("status", 10)["id"] == 10);
}

TEST_CASE("one connection follows so many things and no more") {
  FeedFixture fixture;
  RawClient client(fixture.claim.socket_path());
  int granted = 0;
  json reply;
  for (int id = 1; id <= 20; ++id) {
    reply = client.call("events", id);
    granted += reply.contains("result");
  }
  CHECK(granted == 16);
  CHECK(reply["error"]["code"] == -32001);
}

TEST_CASE("what comes last is sent before the server hangs up") {
  FeedFixture fixture;
  auto events = fixture.follow("events");
  auto console = fixture.follow("console");
  fixture.print("last words");
  fixture.post(EventKind::kEnded);
  fixture.server.stop();
  CHECK((*events.next(5s))["event"] == "ended");
  CHECK(read_console(console, 10) == "last words");
  CHECK_FALSE(events.next(5s));
  CHECK(events.hung_up());
}

TEST_CASE("followers that come and vanish while much happens do no harm") {
  FeedFixture fixture;
  std::atomic<bool> done = false;
  std::thread machine([&] {
    while (!done) {
      fixture.print("a line of output\n");
      fixture.post(EventKind::kPaused);
    }
  });
  for (int i = 0; i < 50; ++i) {
    RawClient client(fixture.claim.socket_path());
    client.call(i % 2 == 0 ? "console" : "events");
    if (i % 3 == 0) client.receive();
    if (i % 5 == 0) client.end_sending();
  }
  done = true;
  machine.join();
  CHECK(ControlClient(fixture.scratch.path(), "fake").call("status", json::object(), 5s)["name"] == "fake");
}

TEST_CASE("type: there is room for so many bytes, and the caller is told") {
  FeedFixture fixture;
  ControlClient client(fixture.scratch.path(), "fake");
  CHECK(client.call("type", {{"text", "0123456789"}}, 5s)["taken"] == 8);
  CHECK(fixture.fake.typed == "01234567");
  CHECK(client.call("type", {{"text", {{"bytes", "00ff"}}}}, 5s)["taken"] == 2);
  CHECK_THROWS_AS(client.call("type", {{"text", 5}}, 5s), UsageError);
}
