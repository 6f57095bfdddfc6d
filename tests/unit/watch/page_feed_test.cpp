// SPDX-License-Identifier: Apache-2.0
#include "vmm/watch/page_feed.h"

#include <doctest/doctest.h>

using namespace tintype;

namespace {

/// Reads until there is nothing; `at_once` bytes in one go.
std::string read_all(PageFeed& feed, PageFeed::Reader* reader, std::size_t at_once, PageFeed::Got* last = nullptr) {
  std::string text, buffer(at_once, 0);
  for (;;) {
    const PageFeed::Piece piece = feed.read(reader, buffer.data(), at_once, [] {});
    if (last != nullptr) *last = piece.got;
    if (piece.got != PageFeed::Got::kBytes) return text;
    text += buffer.substr(0, piece.bytes);
  }
}

}  // namespace

TEST_CASE("a page that opens gets the events so far and the last sample, then what comes, in any pieces") {
  PageFeed feed([](void*) {});
  feed.publish("sample", "1");
  feed.publish("event", "2");
  feed.publish("said", "3");
  feed.publish("sample", "4");
  PageFeed::Reader* const page = feed.open(nullptr);
  CHECK(read_all(feed, page, 1) == "event: event\ndata: 2\n\nevent: sample\ndata: 4\n\n");
  feed.publish("said", "5");
  CHECK(read_all(feed, page, 7) == "event: said\ndata: 5\n\n");
  feed.close(page);
  CHECK(feed.readers() == 0);
}

TEST_CASE("a page that waits is woken once, and at the end") {
  int woken = 0, self = 0;
  PageFeed feed([&](void* name) { woken += name == &self ? 1 : 100; });
  PageFeed::Reader* const page = feed.open(&self);
  feed.publish("event", "1");
  CHECK(woken == 0);  // it has not waited
  PageFeed::Got last{};
  CHECK_FALSE(read_all(feed, page, 4096, &last).empty());
  CHECK(last == PageFeed::Got::kNothing);
  feed.publish("event", "2");
  feed.publish("event", "3");
  CHECK(woken == 1);
  CHECK_FALSE(read_all(feed, page, 4096).empty());
  feed.end();
  CHECK(woken == 2);
  CHECK(read_all(feed, page, 4096, &last).empty());
  CHECK(last == PageFeed::Got::kEnd);
  feed.close(page);
}

TEST_CASE("a page that does not read costs a bounded amount of memory, and misses what is old") {
  PageFeed feed([](void*) {});
  PageFeed::Reader* const page = feed.open(nullptr);
  for (int i = 0; i < 10'000; ++i) feed.publish("event", std::to_string(i));
  const std::string text = read_all(feed, page, 4096);
  CHECK(text.starts_with("event: event\ndata: 9744\n\n"));
  CHECK(text.ends_with("data: 9999\n\n"));
  const std::string late = read_all(feed, feed.open(nullptr), 4096);
  CHECK(late.starts_with("event: event\ndata: 9936\n\n"));
}
