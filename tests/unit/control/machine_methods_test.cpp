// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/machine_methods.h"

#include <unistd.h>

#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/control/fake_machine.h"
#include "tests/unit/control/raw_client.h"
#include "tests/unit/control/scratch_directory.h"
#include "vmm/base/error.h"
#include "vmm/control/client.h"
#include "vmm/control/runtime_directory.h"
#include "vmm/control/status_json.h"

using namespace tintype;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

struct MethodsFixture {
  MethodsFixture() : claim(scratch.path(), "fake"), methods(fake), server(claim.socket_path(), methods) {}
  ~MethodsFixture() { fake.checkpoint_held = false; }

  ControlClient client() { return ControlClient(scratch.path(), "fake"); }

  FakeMachine fake;
  ScratchDirectory scratch;
  NameClaim claim;
  MachineMethods methods;
  ControlServer server;
};

}  // namespace

TEST_CASE("status tells what the machine is and does") {
  MethodsFixture fixture;
  const json status = fixture.client().call("status", json::object(), 5s);
  CHECK(status["name"] == "fake");
  CHECK(status["pid"] == ::getpid());
  CHECK(status["state"] == "running");
  CHECK(status["exits"] == 42);
  CHECK(status["restored_from"].is_null());
  CHECK(status["disks"][0] == json{{"id", "disk0"},
                                   {"image", "/images/a.raw"},
                                   {"mode", "persistent"},
                                   {"read_only", false},
                                   {"waits_for_room", false},
                                   {"problem", ""},
                                   {"reads", 3},
                                   {"writes", 4},
                                   {"bytes_read", 4096},
                                   {"bytes_written", 8192}});
}

TEST_CASE("status tells of a disk whose writes wait for room") {
  MethodsFixture fixture;
  fixture.fake.without_room = true;
  const json status = fixture.client().call("status", json::object(), 5s);
  CHECK(status["disks"][0]["waits_for_room"] == true);
}

TEST_CASE("pause and continue reach the machine") {
  MethodsFixture fixture;
  auto client = fixture.client();
  CHECK(client.call("pause", json::object(), 5s)["state"] == "paused");
  CHECK(client.call("continue", json::object(), 5s)["state"] == "running");
  CHECK(fixture.fake.pauses == 1);
  CHECK(fixture.fake.resumes == 1);
}

TEST_CASE("a parameter that is unknown or of the wrong kind is refused before the machine is touched") {
  MethodsFixture fixture;
  auto client = fixture.client();
  const auto refused = [&](const char* method, const json& params) {
    CHECK_THROWS_AS(client.call(method, params, 5s), UsageError);
  };
  refused("pause", {{"typo", 1}});
  refused("stop", {{"force", "yes"}});
  refused("stop", {{"patience_ms", -1}});
  refused("checkpoint", json::object());
  refused("checkpoint", {{"repository", 5}});
  refused("checkpoint", {{"repository", "relative"}});
  refused("checkpoint", {{"repository", "/r"}, {"strategy", "magic"}});
  refused("checkpoint", {{"repository", "/r"}, {"capture_area", 1.5}});
  CHECK(fixture.fake.pauses == 0);
  CHECK(fixture.fake.checkpoints == 0);
  CHECK(client.call("status", json::object(), 5s)["state"] == "running");
}

TEST_CASE("a checkpoint's options arrive, and its report has every promised key") {
  MethodsFixture fixture;
  const json params = {{"repository", "/r"}, {"strategy", "cow"}, {"compression", "zstd"}, {"capture_area", 1 << 20}};
  const json report = fixture.client().call("checkpoint", params, 5s);
  CHECK(fixture.fake.last_options.repository == "/r");
  CHECK(fixture.fake.last_options.strategy == Strategy::kCow);
  CHECK(fixture.fake.last_options.compression == Compression::kZstd);
  CHECK(fixture.fake.last_options.capture_area == 1 << 20);
  for (const char* path : {"/id",
                           "/repository",
                           "/vm",
                           "/strategy",
                           "/parent",
                           "/pause_us/total",
                           "/pause_us/kick",
                           "/pause_us/devices",
                           "/pause_us/disks",
                           "/pause_us/state",
                           "/pause_us/protect",
                           "/pause_us/resume",
                           "/memory/pages_total",
                           "/memory/pages_written",
                           "/memory/pages_zero",
                           "/memory/bytes_written",
                           "/memory/faults",
                           "/memory/fault_us/p50",
                           "/memory/fault_us/p99",
                           "/memory/fault_us/max",
                           "/memory/capture_area_peak_bytes",
                           "/memory/rounds",
                           "/disks/0/id",
                           "/disks/0/bytes_written",
                           "/copy_ms",
                           "/seal_ms",
                           "/total_ms"}) {
    CAPTURE(path);
    CHECK(report.contains(json::json_pointer(path)));
  }
}

TEST_CASE("cancel reaches the machine, and stands alone") {
  MethodsFixture fixture;
  auto client = fixture.client();
  CHECK(client.call("checkpoint", {{"cancel", true}}, 5s)["cancelled"] == true);
  CHECK(fixture.fake.cancels == 1);
  CHECK_THROWS_AS(client.call("checkpoint", {{"cancel", true}, {"repository", "/r"}}, 5s), UsageError);
  CHECK(fixture.fake.cancels == 1);
}

TEST_CASE("every method is described by its one line of the table") {
  for (const RpcMethod& method : rpc_methods()) {
    CAPTURE(std::string(method.name));
    CHECK(find_rpc_method(method.name) == &method);
    CHECK_FALSE(method.help.empty());
    for (const Parameter& parameter : method.parameters()) {
      CAPTURE(parameter.name);
      CHECK((parameter.option.option == nullptr) == parameter.help.empty());
      CHECK((parameter.kind == ParameterKind::kWord) == (parameter.check_word != nullptr));
    }
    CHECK_THROWS_AS(method.check({{"no such parameter", 1}}), UsageError);
  }
  CHECK(find_rpc_method("checkpoint")->parameters().at(1).help.find("fork") != std::string::npos);
}

TEST_CASE("a repository of any bytes arrives as it was named") {
  MethodsFixture fixture;
  const std::string name = "/r/caf\xe9";
  const json report = fixture.client().call("checkpoint", {{"repository", path_to_json(name)}}, 5s);
  CHECK(path_from_json(report["repository"], "it") == name);
}

TEST_CASE("a second checkpoint while one runs is refused, and status is answered meanwhile") {
  MethodsFixture fixture;
  fixture.fake.checkpoint_held = true;
  std::thread first([&] { fixture.client().call("checkpoint", {{"repository", "/r"}}, 20s); });
  auto client = fixture.client();
  for (int i = 0; i < 5000 && !fixture.fake.checkpoint_running; ++i) std::this_thread::sleep_for(1ms);
  CHECK(client.call("status", json::object(), 5s)["checkpoint_running"] == true);
  CHECK_THROWS_WITH_AS(client.call("checkpoint", {{"repository", "/r"}}, 5s), doctest::Contains("already"), Error);
  fixture.fake.checkpoint_held = false;
  first.join();
  CHECK(fixture.fake.checkpoints == 1);
}

TEST_CASE("a client that is killed during its checkpoint does not end the checkpoint") {
  MethodsFixture fixture;
  fixture.fake.checkpoint_held = true;
  {
    RawClient client(fixture.claim.socket_path());
    client.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"checkpoint\",\"params\":{\"repository\":\"/r\"}}\n");
    for (int i = 0; i < 5000 && !fixture.fake.checkpoint_running; ++i) std::this_thread::sleep_for(1ms);
  }
  fixture.fake.checkpoint_held = false;
  for (int i = 0; i < 5000 && fixture.fake.checkpoints == 0; ++i) std::this_thread::sleep_for(1ms);
  CHECK(fixture.fake.checkpoints == 1);
}

TEST_CASE("progress of a checkpoint reaches the client that asked for it") {
  MethodsFixture fixture;
  fixture.fake.checkpoint_steps = 5;
  int seen = 0;
  fixture.client().call("checkpoint", {{"repository", "/r"}}, 5s, [&](const Progress& progress) {
    CHECK(progress.phase == "memory");
    CHECK(progress.total == 5);
    ++seen;
  });
  CHECK(seen == 5);
}

TEST_CASE("a machine that does not answer is named, and not waited for without end") {
  MethodsFixture fixture;
  fixture.fake.checkpoint_held = true;
  CHECK_THROWS_WITH_AS(fixture.client().call("checkpoint", {{"repository", "/r"}}, 50ms), doctest::Contains("silent"),
                       Error);
}

TEST_CASE("the client sees when the machine has ended") {
  MethodsFixture fixture;
  auto client = fixture.client();
  CHECK_FALSE(client.wait_for_end(20ms));
  fixture.server.stop();
  CHECK(client.wait_for_end(5s));
  CHECK_THROWS_AS(client.call("status", json::object(), 5s), Error);
}

TEST_CASE("a name that no machine has is an error that says how to find one") {
  const ScratchDirectory scratch;
  CHECK_THROWS_WITH_AS(ControlClient(scratch.path(), "nobody"), doctest::Contains("`tintype list`"), Error);
  CHECK_THROWS_AS(ControlClient(scratch.path(), "../nobody"), UsageError);
}

TEST_CASE("a series of checkpoints says how often, how many, and which are kept") {
  MethodsFixture fixture;
  const json params = {{"repository", "/r"}, {"every_ms", 100}, {"count", 3}, {"keep", 2}};
  const json result = fixture.client().call("checkpoint", params, 5s);
  CHECK(result["taken"] == 3);
  CHECK(result["latest"]["strategy"] == "cow");
  CHECK(fixture.fake.last_series.every_ms == 100);
  CHECK(fixture.fake.last_series.keep == 2);
  for (const json& wrong :
       {json{{"repository", "/r"}, {"count", 3}}, json{{"repository", "/r"}, {"every_ms", 0}}, json{{"every_ms", 100}},
        json{{"cancel", true}, {"every_ms", 100}}, json{{"repository", "/r"}, {"every_ms", 100}, {"count", 0}},
        json{{"repository", "/r"}, {"every_ms", 100}, {"count", 1}, {"keep", 0}}})
    CHECK_THROWS_AS(fixture.methods.call("checkpoint", wrong, {}), UsageError);
}

TEST_CASE("a machine that stands still is looked into, by programs and for people") {
  MethodsFixture fixture;
  ControlClient client = fixture.client();
  CHECK_THROWS_WITH_AS(client.call("look", {{"registers", true}}, 5s), "fake runs", Error);
  client.call("pause", json::object(), 5s);
  const json seen = client.call("look", {{"registers", true}, {"memory", 0x2ffe}, {"memory_bytes", 4}}, 5s);
  CHECK(seen["name"] == "fake");
  CHECK(seen["cpus"][0]["rip"] == 0x1000);
  CHECK(seen["memory"]["bytes"] == "02020303");
  CHECK_FALSE(seen.contains("virtio"));
  const json text = client.call("look", {{"page_tables", 0x2ffe}, {"virtqueues", true}, {"text", true}}, 5s);
  CHECK(text["text"] == "  0000000000002ffe is guest physical 0x2ffe\n\nIt has no virtio devices.");
  CHECK_FALSE(text.contains("virtio"));
  CHECK(client.call("look", {{"memory", 0xfff0}, {"memory_bytes", 32}}, 5s)["memory"]["bytes"] ==
        "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f");
}

TEST_CASE("what cannot be looked at is refused before the machine is asked") {
  MethodsFixture fixture;
  ControlClient client = fixture.client();
  for (const json& wrong : {json{{"memory", 1}}, json{{"memory", 1}, {"memory_bytes", 2 << 20}},
                            json{{"memory", -1}, {"memory_bytes", 1}}, json{{"cpu", "first"}}, json{{"disk", 1}}})
    CHECK_THROWS_AS(client.call("look", wrong, 5s), UsageError);
  client.call("pause", json::object(), 5s);
  CHECK_THROWS_WITH_AS(client.call("look", {{"registers", true}, {"cpu", 1}}, 5s),
                       "the machine fake has no CPU 1: it has 1, from 0 on", Error);
}
