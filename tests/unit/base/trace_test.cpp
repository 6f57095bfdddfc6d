// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/trace.h"

#include <unistd.h>

#include <functional>
#include <string>

#include <doctest/doctest.h>

#include "vmm/base/unique_fd.h"

namespace tintype {
namespace {

/// What is written to stderr meanwhile: less than a pipe holds.
std::string on_stderr(const std::function<void()>& work) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const UniqueFd out(ends[0]), before(::dup(STDERR_FILENO));
  ::dup2(ends[1], STDERR_FILENO);
  ::close(ends[1]);
  work();
  ::dup2(before.get(), STDERR_FILENO);
  std::string text(65536, '\0');
  const auto bytes = ::read(out.get(), text.data(), text.size());
  text.resize(bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
  return text;
}

/// With these kinds traced, and none afterwards.
std::string traced(std::initializer_list<TraceKind> kinds, bool json, const std::function<void()>& work) {
  TraceConfig config;
  for (const TraceKind kind : kinds) config.add(kind);
  config.json = json;
  const std::string text = on_stderr([&] {
    start_trace(config);
    work();
  });
  start_trace({});
  return text;
}

void put_sample() {
  TraceLine(TraceKind::kPio, "out").text("device", "com1").address("port", 0x3f8).number("size", 1).put();
}

TEST_CASE("only what was asked for is traced, and nothing before anybody asks") {
  CHECK_FALSE(traces(TraceKind::kExits));
  (void)traced({TraceKind::kFaults, TraceKind::kVirtio}, false, [] {
    CHECK(traces(TraceKind::kFaults));
    CHECK(traces(TraceKind::kVirtio));
    CHECK_FALSE(traces(TraceKind::kPio));
    CHECK_FALSE(traces(TraceKind::kInterrupts));
  });
  CHECK_FALSE(traces(TraceKind::kFaults));
}

TEST_CASE("a line is for people, or one object, with the same values in the same order") {
  const std::string people = traced({TraceKind::kPio}, false, put_sample);
  CHECK(people.starts_with("[    0.0"));
  CHECK(people.substr(13) == "] pio        out       device com1  port 0x3f8  size 1\n");
  const std::string json = traced({TraceKind::kPio}, true, put_sample);
  CHECK(json.starts_with(R"({"time":0.0)"));
  CHECK(json.ends_with(",\"kind\":\"pio\",\"what\":\"out\",\"device\":\"com1\",\"port\":1016,\"size\":1}\n"));
}

TEST_CASE("what a guest or a user has named ends no string, no line and no terminal") {
  const auto put = [] { TraceLine(TraceKind::kPio, "out").text("device", "a\"b\\c\n\x1b[2J\xff").put(); };
  CHECK(traced({TraceKind::kPio}, true, put).ends_with("\"device\":\"a\\\"b\\\\c??[2J?\"}\n"));
  CHECK(traced({TraceKind::kPio}, false, put).ends_with("device a\\\"b\\\\c??[2J?\n"));
}

TEST_CASE("a line that would be too long loses whole values, and stays a line") {
  const auto put = [] {
    TraceLine line(TraceKind::kPio, "out");
    for (int i = 0; i < 100; ++i) line.text("name", std::string(500, 'x'));
    line.number("last", 1).put();
  };
  const std::string json = traced({TraceKind::kPio}, true, put);
  CHECK(json.size() < 1024);
  CHECK(json.size() > 800);
  CHECK(json.ends_with("x\",\"last\":1}\n"));
}

}  // namespace
}  // namespace tintype
