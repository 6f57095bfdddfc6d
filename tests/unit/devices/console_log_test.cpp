// SPDX-License-Identifier: Apache-2.0
#include "devices/console_log.h"

#include <string>
#include <thread>

#include <doctest/doctest.h>

namespace tintype {
namespace {

void append(ConsoleLog& log, std::string_view text) {
  for (const char byte : text) log.append(static_cast<std::uint8_t>(byte));
}

}  // namespace

TEST_CASE("console log: bytes are numbered, and read from any number on") {
  ConsoleLog log;
  CHECK(log.read(0, 10).bytes.empty());
  append(log, "one\ntwo\n");
  CHECK(log.end() == 8);
  CHECK(log.read(0, 100).bytes == "one\ntwo\n");
  CHECK(log.read(4, 2).bytes == "tw");
  CHECK(log.read(8, 100).bytes.empty());
  const auto beyond = log.read(1000, 100);
  CHECK(beyond.bytes.empty());
  CHECK(beyond.start == 8);
}

TEST_CASE("console log: who comes late learns where it begins") {
  ConsoleLog log;
  for (std::size_t i = 0; i < ConsoleLog::kCapacity + 1000; ++i) log.append(static_cast<std::uint8_t>('a' + i % 26));
  const auto piece = log.read(0, ConsoleLog::kCapacity * 2);
  CHECK(piece.start == 1000);
  REQUIRE(piece.bytes.size() == ConsoleLog::kCapacity);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < piece.bytes.size(); ++i)
    wrong += piece.bytes[i] != static_cast<char>('a' + (i + 1000) % 26);
  CHECK(wrong == 0);
}

TEST_CASE("console log: its tail begins with a line") {
  ConsoleLog log;
  append(log, "the first line\nthe second\nthe third\n");
  CHECK(log.tail(15) == "the third\n");
  CHECK(log.tail(1000) == "the first line\nthe second\nthe third\n");
  append(log, std::string(100, 'x'));
  CHECK(log.tail(20) == std::string(20, 'x'));
}

TEST_CASE("console log: the bell rings once for many bytes, and again when it is armed again") {
  ConsoleLog log;
  EventFd bell;
  log.bell().hang(&bell);
  append(log, "nobody waits");
  CHECK_FALSE(bell.take());
  log.bell().arm();
  append(log, "news");
  CHECK(bell.take());
  append(log, "more");
  CHECK_FALSE(bell.take());
  log.bell().arm();
  log.bell().hang(nullptr);
  append(log, "to nobody");
  CHECK_FALSE(bell.take());
}

TEST_CASE("console log: a reader beside a writer sees every byte once, in order") {
  ConsoleLog log;
  constexpr unsigned kBytes = 200'000;
  std::thread writer([&] {
    for (unsigned i = 0; i < kBytes; ++i) log.append(static_cast<std::uint8_t>(i));
  });
  std::uint64_t next = 0, wrong = 0;
  while (next < kBytes) {
    const auto piece = log.read(next, 999);
    wrong += piece.start != next;
    for (const char byte : piece.bytes) wrong += byte != static_cast<char>(next++);
  }
  writer.join();
  CHECK(wrong == 0);
}

}  // namespace tintype
