// SPDX-License-Identifier: Apache-2.0
#include "devices/output_buffer.h"

#include <array>
#include <string>
#include <string_view>
#include <thread>

#include <doctest/doctest.h>

#include "devices/escape_filter.h"

namespace tintype {
namespace {

using Wake = OutputBuffer::Wake;
using WhenFull = OutputBuffer::WhenFull;

/// Puts the text in; returns how often the writer would have been woken.
unsigned put(OutputBuffer& buffer, std::string_view text) {
  unsigned wakes = 0;
  for (const char c : text) wakes += buffer.put(static_cast<std::uint8_t>(c)).wake ? 1 : 0;
  return wakes;
}

std::string take(OutputBuffer& buffer, std::size_t at_most = 4096) {
  std::string text(at_most, '\0');
  text.resize(buffer.take({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}));
  return text;
}

}  // namespace

TEST_CASE("output buffer: the writer is woken once for what it asked for, not once a byte") {
  OutputBuffer buffer(1024, WhenFull::kHoldSender);
  CHECK(put(buffer, "nobody sleeps\n") == 0);
  take(buffer);
  CHECK(buffer.arm(Wake::kAnyByte));
  CHECK(put(buffer, "abc\ndef\n") == 1);
  take(buffer);
  CHECK(buffer.arm(Wake::kUrgent));
  CHECK(put(buffer, "half a line") == 0);
  CHECK(put(buffer, ", the rest\nand more\n") == 1);
  take(buffer);
  CHECK(buffer.arm(Wake::kUrgent));
  CHECK(put(buffer, std::string(600, 'x')) == 1);  // a pile without an end
}

TEST_CASE("output buffer: a writer that would sleep on what is there already is told not to") {
  OutputBuffer buffer(1024, WhenFull::kHoldSender);
  put(buffer, "a");
  CHECK_FALSE(buffer.arm(Wake::kAnyByte));
  CHECK(buffer.arm(Wake::kUrgent));
  CHECK(put(buffer, "\n") == 1);
  CHECK(buffer.is_urgent());
  CHECK_FALSE(buffer.arm(Wake::kUrgent));
  CHECK(buffer.arm(Wake::kNever));
}

TEST_CASE("output buffer: full, it holds the sender, and gives notice once when half is free") {
  OutputBuffer buffer(64, WhenFull::kHoldSender);
  for (int i = 0; i < 48; ++i) CHECK(buffer.put('x').room);
  CHECK_FALSE(buffer.put('x').room);
  CHECK_FALSE(buffer.take_room_notice());
  CHECK(put(buffer, std::string(20, 'y')) == 0);  // a sender who does not look
  CHECK(buffer.take_dropped() == 5);
  CHECK(buffer.take_dropped() == 0);
  CHECK(take(buffer, 32) == std::string(32, 'x'));
  CHECK(buffer.take_room_notice());
  CHECK_FALSE(buffer.take_room_notice());
  CHECK(take(buffer) == std::string(17, 'x') + std::string(15, 'y'));
}

TEST_CASE("output buffer: where the oldest may be lost, the newest stay, in order, and the sender is never held") {
  OutputBuffer buffer(64, WhenFull::kDropOldest);
  for (int i = 0; i < 200; ++i) CHECK(buffer.put(static_cast<std::uint8_t>(i)).room);
  const std::string kept = take(buffer);
  REQUIRE(kept.size() == 64);
  for (std::size_t i = 0; i < kept.size(); ++i) CHECK(static_cast<std::uint8_t>(kept[i]) == 136 + i);
}

TEST_CASE("output buffer: two threads, every byte once and in order") {
  OutputBuffer buffer(256, WhenFull::kHoldSender);
  constexpr unsigned kCount = 200'000;
  std::thread sender([&] {
    for (unsigned i = 0; i < kCount;) {
      if (buffer.put(static_cast<std::uint8_t>(i)).room) {
        ++i;
        continue;
      }
      ++i;
      while (!buffer.take_room_notice()) std::this_thread::yield();
    }
  });
  unsigned expected = 0, wrong = 0;
  std::array<std::uint8_t, 100> block;
  while (expected < kCount) {
    const std::size_t taken = buffer.take(block);
    for (std::size_t i = 0; i < taken; ++i) wrong += block[i] != static_cast<std::uint8_t>(expected++) ? 1 : 0;
    if (taken == 0) std::this_thread::yield();
  }
  sender.join();
  CHECK(wrong == 0);
  CHECK(buffer.take_dropped() == 0);
}

TEST_CASE("escape filter: commands are found, and the guest still gets its Ctrl-A") {
  EscapeFilter filter;
  const auto feed = [&](std::string_view keys) {
    std::string seen;
    for (const char key : keys) {
      switch (filter.feed(static_cast<std::uint8_t>(key))) {
        case EscapeFilter::Action::kPass:
          seen += key;
          break;
        case EscapeFilter::Action::kSwallow:
          break;
        case EscapeFilter::Action::kLeave:
          seen += "<leave>";
          break;
        case EscapeFilter::Action::kHelp:
          seen += "<help>";
          break;
      }
    }
    return seen;
  };
  CHECK(feed("plain xh") == "plain xh");
  CHECK(feed("\x01x") == "<leave>");
  CHECK(feed("\x01h") == "<help>");
  CHECK(feed("a\x01\x01x") == "a\x01x");
  CHECK(feed("\x01z!") == "!");
  CHECK(feed("\x01") == "");  // split between two reads
  CHECK(feed("x") == "<leave>");
}

}  // namespace tintype
