// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/server.h"

#include <atomic>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/support/becomes_true.h"
#include "tests/unit/control/raw_client.h"
#include "tests/unit/control/scratch_directory.h"
#include "vmm/base/error.h"
#include "vmm/control/rpc.h"

using namespace tintype;
using nlohmann::json;

namespace {

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

/// echo gives its parameters back; block waits for `release`; flood reports progress without end until the client reads
/// no more.
class TestService : public ControlService {
 public:
  json call(const std::string& method, const json& params, const ProgressSink& progress) override {
    ++calls;
    if (method == "echo") return params;
    if (method == "block") return block();
    if (method == "flood") return flood(progress);
    if (method == "fail") throw Error("It cannot be done.");
    if (method == "misuse") throw UsageError("Wrongly used.");
    throw RpcError(rpc_code::kMethodNotFound, "no such method");
  }

  std::atomic<int> calls = 0;
  std::atomic<int> finished = 0;
  std::atomic<bool> release = false;
  std::atomic<int> floods = 20'000;

 private:
  json block() {
    becomes_true([this] { return release.load(); });
    ++finished;
    return "released";
  }
  json flood(const ProgressSink& progress) {
    for (int i = 0; i < floods; ++i) progress({"memory", static_cast<std::uint64_t>(i), 20'000});
    ++finished;
    return "flooded";
  }
};

struct ServerFixture {
  explicit ServerFixture(const ControlLimits& limits = {}) : server(scratch.path() / "s.sock", service, limits) {}
  ~ServerFixture() { service.release = true; }

  RawClient client() { return RawClient(scratch.path() / "s.sock"); }
  bool still_serves() { return client().call("echo")["result"] == json::object(); }

  ScratchDirectory scratch;
  TestService service;
  ControlServer server;
};

int error_code(const json& reply) {
  return reply.is_object() && reply.contains("error") ? reply["error"]["code"].get<int>() : 0;
}

}  // namespace

TEST_CASE("a call is answered with its id and result") {
  ServerFixture fixture;
  auto client = fixture.client();
  const json reply = client.ask(R"({"jsonrpc":"2.0","id":"seven","method":"echo","params":{"a":[1,"x"]}})");
  CHECK(reply == json::parse(R"({"jsonrpc":"2.0","id":"seven","result":{"a":[1,"x"]}})"));
}

TEST_CASE("errors carry the codes of JSON-RPC and the id of their request") {
  ServerFixture fixture;
  auto client = fixture.client();
  CHECK(error_code(client.call("nonsense", 3)) == -32601);
  CHECK(error_code(client.call("misuse")) == -32602);
  const json failed = client.call("fail", 5);
  CHECK(failed["id"] == 5);
  CHECK(failed["error"] == json{{"code", -32000}, {"message", "It cannot be done."}});
  const json bad_params = client.call("echo", 6, "[1]");
  CHECK(error_code(bad_params) == -32602);
  CHECK(bad_params["id"] == 6);
}

TEST_CASE("rubbish gets an error reply, and the same client goes on") {
  ServerFixture fixture;
  auto client = fixture.client();
  for (const char* rubbish :
       {"rubbish", "{", "\"", "\x01\xff\xfe", "{\"jsonrpc\":\"2.0\",\"method\":\"echo\"", "nul", "1e999999999"}) {
    CAPTURE(rubbish);
    const json reply = client.ask(rubbish);
    CHECK(error_code(reply) == -32700);
    CHECK(reply["id"].is_null());
  }
  for (const char* invalid :
       {"1", "null", "\"x\"", "{}", "[]", R"({"jsonrpc":"1.0","id":1,"method":"echo"})", R"({"jsonrpc":"2.0","id":1})",
        R"({"jsonrpc":"2.0","id":1,"method":5})", R"({"jsonrpc":"2.0","id":{},"method":"echo"})",
        R"([{"jsonrpc":"2.0","id":1,"method":"echo"}])"}) {
    CAPTURE(invalid);
    CHECK(error_code(client.ask(invalid)) == -32600);
  }
  CHECK(client.call("echo")["result"] == json::object());
}

TEST_CASE("a line of nothing but brackets does not exhaust the stack") {
  ServerFixture fixture;
  auto client = fixture.client();
  const std::string nest = std::string(30'000, '[') + std::string(30'000, ']');
  CHECK(error_code(client.ask(R"({"jsonrpc":"2.0","id":1,"method":"echo","params":{"x":)" + nest + "}}")) == -32700);
  const std::string text(60'000, '[');
  CHECK(client.ask(R"({"jsonrpc":"2.0","id":1,"method":"echo","params":{"x":"\"\\)" + text + "\"}}")["result"]["x"] ==
        "\"\\" + text);
}

TEST_CASE("text that is not UTF-8 does not stop the server") {
  ServerFixture fixture;
  auto client = fixture.client();
  client.ask("{\"jsonrpc\":\"2.0\",\"id\":\"\xff\xfe\",\"method\":\"echo\",\"params\":{\"x\":\"\xc3\x28\"}}");
  CHECK(fixture.still_serves());
}

TEST_CASE("random bytes in any order do not stop the server") {
  ServerFixture fixture;
  unsigned state = 12345;
  for (int round = 0; round < 50; ++round) {
    auto client = fixture.client();
    std::string bytes(2000, '\0');
    for (char& byte : bytes) byte = static_cast<char>((state = state * 1103515245 + 12345) >> 16);
    client.send(bytes);
  }
  CHECK(fixture.still_serves());
}

TEST_CASE("a megabyte line gets an error reply and is hung up on, and nobody else notices") {
  ServerFixture fixture;
  auto other = fixture.client();
  auto client = fixture.client();
  client.send(std::string(1 << 20, 'x') + "\n");
  CHECK(error_code(client.receive()) == -32600);
  CHECK(client.hung_up());
  CHECK(other.call("echo")["result"] == json::object());
}

TEST_CASE("a line just below the limit is served, one at the limit is not") {
  ServerFixture fixture;
  const std::string head = R"({"jsonrpc":"2.0","id":1,"method":"echo","params":{"x":")", tail = "\"}}";
  const auto line_of = [&](std::size_t bytes) {
    return head + std::string(bytes - head.size() - tail.size(), 'x') + tail;
  };
  CHECK(fixture.client().ask(line_of((64 << 10) - 1)).contains("result"));
  CHECK(error_code(fixture.client().ask(line_of(64 << 10))) == -32600);
}

TEST_CASE("a long call does not keep others waiting, on other connections or its own") {
  ServerFixture fixture;
  auto client = fixture.client();
  client.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"block\"}\n");
  CHECK(client.call("echo", 2)["id"] == 2);
  CHECK(fixture.still_serves());
  fixture.service.release = true;
  CHECK(client.receive()["id"] == 1);
}

TEST_CASE("a client that hangs up in mid-call: the call finishes and the server goes on") {
  ServerFixture fixture;
  auto client = fixture.client();
  client.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"block\"}\n");
  REQUIRE(becomes_true([&] { return fixture.service.calls == 1; }));
  client.hang_up();
  CHECK(fixture.still_serves());
  fixture.service.release = true;
  CHECK(becomes_true([&] { return fixture.service.finished == 1; }));
  CHECK(fixture.still_serves());
}

TEST_CASE("a client that ends its sending is still answered") {
  ServerFixture fixture;
  auto client = fixture.client();
  client.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\"}");
  client.end_sending();
  const int ids = client.receive()["id"].get<int>() + client.receive()["id"].get<int>();
  CHECK(ids == 3);
  CHECK(client.hung_up());
}

TEST_CASE("progress goes to the client that called, with the id of its call") {
  ServerFixture fixture;
  fixture.service.floods = 3;
  auto bystander = fixture.client();
  bystander.call("echo");
  auto client = fixture.client();
  const json first = client.call("flood", 9);
  CHECK(first["method"] == "progress");
  CHECK(first["params"] == json{{"id", 9}, {"phase", "memory"}, {"done", 0}, {"total", 20'000}});
  CHECK_FALSE(first.contains("id"));
  client.receive();
  client.receive();
  CHECK(client.receive()["result"] == "flooded");
  CHECK(bystander.receive(50).is_null());
}

TEST_CASE("a client that does not read loses progress, not its reply, and holds nobody up") {
  ServerFixture fixture;
  auto client = fixture.client();
  client.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"flood\"}\n");
  REQUIRE(becomes_true([&] { return fixture.service.finished == 1; }));
  CHECK(fixture.still_serves());
  json message = client.receive();
  int progress = 0;
  for (; message.is_object() && !message.contains("result"); message = client.receive()) ++progress;
  CHECK(progress > 0);
  CHECK(progress < 20'000);
  CHECK(message["result"] == "flooded");
}

TEST_CASE("a client that asks without reading the answers is not listened to without bound") {
  ServerFixture fixture;
  auto client = fixture.client();
  const std::string line =
      R"({"jsonrpc":"2.0","id":1,"method":"echo","params":{"x":")" + std::string(10'000, 'x') + "\"}}\n";
  std::size_t taken = 0;
  for (int idle = 0; idle < 300 && taken < (100u << 20);) {
    const auto count = ::send(client.fd(), line.data() + taken % line.size(), line.size() - taken % line.size(),
                              MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) taken += static_cast<std::size_t>(count);
    idle = count > 0 ? 0 : idle + 1;
    if (count <= 0) sleep_ms(1);
  }
  CHECK(taken < (4u << 20));
  CHECK(fixture.still_serves());
}

TEST_CASE("a request without id is carried out without a reply") {
  ServerFixture fixture;
  auto client = fixture.client();
  client.send("{\"jsonrpc\":\"2.0\",\"method\":\"fail\"}\n");
  CHECK(client.call("echo", 4)["id"] == 4);
  CHECK(fixture.service.calls == 2);
}

TEST_CASE("a hundred clients at once are all served") {
  ServerFixture fixture;
  std::vector<RawClient> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(fixture.client());
  for (int i = 0; i < 100; ++i) {
    clients[static_cast<std::size_t>(i)].send(
        fmt::format("{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"echo\"}}\n", i));
  }
  for (int i = 0; i < 100; ++i) CHECK(clients[static_cast<std::size_t>(i)].receive()["id"] == i);
}

TEST_CASE("one client too many is told so and hung up on") {
  ControlLimits limits;
  limits.clients = 2;
  ServerFixture fixture(limits);
  auto first = fixture.client(), second = fixture.client();
  first.call("echo");
  second.call("echo");
  auto third = fixture.client();
  CHECK(error_code(third.receive()) == -32001);
  CHECK(third.hung_up());
  first.hang_up();
  CHECK(becomes_true([&] { return fixture.still_serves(); }));
}

TEST_CASE("more calls than workers wait their turn, and more than may wait are refused") {
  ControlLimits limits;
  limits.workers = 1;
  limits.waiting_calls = 2;
  ServerFixture fixture(limits);
  auto client = fixture.client();
  for (int id = 1; id <= 4; ++id) {
    client.send(fmt::format("{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"block\"}}\n", id));
    if (id == 1) REQUIRE(becomes_true([&] { return fixture.service.calls == 1; }));
  }
  const json refused = client.receive();
  CHECK(refused["id"] == 4);
  CHECK(error_code(refused) == -32001);
  fixture.service.release = true;
  for (int id = 1; id <= 3; ++id) CHECK(client.receive()["id"] == id);
}

TEST_CASE("stopping waits for calls in flight, sends their replies and hangs up") {
  ServerFixture fixture;
  auto client = fixture.client();
  client.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"block\"}\n");
  REQUIRE(becomes_true([&] { return fixture.service.calls == 1; }));
  std::thread releaser([&] {
    sleep_ms(50);
    fixture.service.release = true;
  });
  fixture.server.stop();
  releaser.join();
  CHECK(client.receive()["result"] == "released");
  CHECK(client.hung_up());
}

TEST_CASE("stopping does not wait for a client that does not read") {
  ServerFixture fixture;
  auto client = fixture.client();
  client.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"flood\"}\n");
  REQUIRE(becomes_true([&] { return fixture.service.finished == 1; }));
  const auto start = std::chrono::steady_clock::now();
  fixture.server.stop();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}
