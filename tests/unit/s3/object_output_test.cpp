// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/object_output.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <future>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/format/part_format.h"
#include "checkpoint/s3/object_source.h"
#include "tests/support/fake_s3.h"
#include "vmm/base/error.h"

using namespace tintype;
using namespace std::chrono_literals;
using tintype::testing::FakeS3;
using tintype::testing::Fault;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;

struct OutputFixture {
  FakeS3 store;
  std::shared_ptr<S3Client> client =
      std::make_shared<S3Client>(S3Location::parse(store.place()).completed(), find_credentials(""), 3s);
  TaskPool pool{4};

  std::shared_ptr<ObjectOutput> output(std::uint64_t bytes) {
    return std::make_shared<ObjectOutput>(*client, pool, "data/x", bytes, [] {});
  }
};

std::vector<std::byte> random_bytes(std::uint64_t bytes) {
  std::vector<std::byte> data(bytes);
  std::mt19937_64 random(bytes);
  for (std::size_t i = 0; i + 8 <= data.size(); i += 8) {
    const std::uint64_t word = random();
    std::memcpy(&data[i], &word, 8);
  }
  return data;
}

/// From two threads, in pieces whose ends are nobody's.
void send_whole(ObjectOutput& output, std::span<const std::byte> data) {
  std::atomic<std::uint64_t> next = 0;
  const auto work = [&] {
    constexpr std::uint64_t kStep = 1'234'567;
    for (std::uint64_t at = next.fetch_add(kStep); at < data.size(); at = next.fetch_add(kStep))
      output.write(data.subspan(at, std::min(kStep, data.size() - at)), at);
  };
  auto other = std::async(std::launch::async, work);
  work();
  other.get();
  output.truncate(data.size());
  output.finish_writeback();
}

bool is_stored(const FakeS3& store, std::span<const std::byte> data) {
  const std::string there = store.object("film/data/x");
  return there.size() == data.size() && std::memcmp(there.data(), data.data(), data.size()) == 0;
}

}  // namespace

TEST_CASE_FIXTURE(OutputFixture, "small files are one object at once, large ones come in parts") {
  for (const std::uint64_t bytes : {std::uint64_t{1}, 5 * kMiB + 1, 64 * kMiB, 72 * kMiB, 75 * kMiB + 3}) {
    CAPTURE(bytes);
    const auto data = random_bytes(bytes);
    const auto before = store.requests();
    send_whole(*output(bytes), data);
    CHECK(is_stored(store, data));
    CHECK(store.open_uploads() == 0);
    const std::uint64_t parts = bytes > 64 * kMiB ? (bytes + 8 * kMiB - 1) / (8 * kMiB) + 2 : 1;
    CHECK(store.requests() - before == parts);
  }
}

TEST_CASE_FIXTURE(OutputFixture, "a large file is whole though every third request fails in another way") {
  std::atomic<unsigned> count = 0;
  store.set_fault([&](const FakeS3::Request&) {
    constexpr std::array kFaults = {Fault::kRefused, Fault::kAnswerLost, Fault::kAnswerCut, Fault::kUnavailable};
    const unsigned number = count++;
    return number % 3 == 1 ? kFaults[number / 3 % kFaults.size()] : Fault::kNone;
  });
  const auto data = random_bytes(70 * kMiB);
  send_whole(*output(data.size()), data);
  CHECK(is_stored(store, data));
}

TEST_CASE_FIXTURE(OutputFixture, "a store that refuses ends the writing, and says why") {
  store.set_fault([](const FakeS3::Request&) { return Fault::kQuota; });
  const auto data = random_bytes(80 * kMiB);
  const auto written = output(data.size());
  CHECK_THROWS_AS(send_whole(*written, data), DestinationFull);
}

TEST_CASE_FIXTURE(OutputFixture, "what is erased is zero in the object, however large it is") {
  for (const std::uint64_t bytes : {3 * kMiB, 70 * kMiB}) {
    auto data = random_bytes(bytes);
    const auto written = output(bytes);
    written->expect_erasures();
    const std::uint64_t from = bytes / 3, count = bytes / 2;
    written->write(data, 0);
    written->erase(from, count);
    written->truncate(bytes);
    written->finish_writeback();
    std::ranges::fill(std::span(data).subspan(from, count), std::byte{0});
    CHECK(is_stored(store, data));
  }
}

TEST_CASE("parts grow with what is expected, so that ten thousand are enough") {
  for (const std::uint64_t gib : {1, 100, 1024, 4096}) {
    const std::uint64_t bytes = gib << 30, part = ObjectOutput::part_bytes_for(bytes);
    CHECK(part >= 8 * kMiB);
    CHECK(part % kMiB == 0);
    CHECK(bytes / part < 9000);
  }
}

TEST_CASE_FIXTURE(OutputFixture,
                  "an object is read at any place, by several threads, ahead of them, and after failures") {
  const auto data = random_bytes(90 * kMiB);
  store.put("film/data/x", std::string(reinterpret_cast<const char*>(data.data()), data.size()));
  std::atomic<unsigned> count = 0;
  store.set_fault([&](const FakeS3::Request&) { return count++ % 5 == 4 ? Fault::kAnswerCut : Fault::kNone; });
  const ObjectSource source(std::make_shared<PieceCache>(client), "data/x", "x");
  CHECK(source.size() == data.size());
  std::atomic<bool> same = true;
  const auto read = [&](std::uint64_t at, std::uint64_t bytes) {
    std::vector<std::byte> into(bytes);
    source.read(at, into);
    same = same && std::equal(into.begin(), into.end(), data.begin() + static_cast<std::ptrdiff_t>(at));
  };
  std::thread jumps([&] {
    std::mt19937_64 random(1);
    for (int i = 0; i < 40; ++i) read(random() % (data.size() - 300'000), 1 + random() % 300'000);
  });
  for (std::uint64_t at = 0; at < data.size(); at += 2 * kMiB) read(at, std::min(2 * kMiB, data.size() - at));
  jumps.join();
  CHECK(same);
  std::array<std::byte, 2> beyond{};
  CHECK_THROWS_AS(source.read(data.size() - 1, beyond), Error);
}

TEST_CASE_FIXTURE(OutputFixture, "what is deleted, or was replaced, while it is read is said") {
  const auto data = random_bytes(20 * kMiB);
  store.put("film/data/x", std::string(reinterpret_cast<const char*>(data.data()), data.size()));
  const auto cache = std::make_shared<PieceCache>(client);
  const ObjectSource source(cache, "data/x", "x");
  std::array<std::byte, 16> into{};
  store.put("film/data/x", std::string(9 * kMiB, 'x'));
  CHECK_THROWS_AS(source.read(8 * kMiB, into), Error);
  store.erase("film/data/x");
  CHECK_THROWS_AS(source.read(16 * kMiB, into), Error);
  CHECK_THROWS_AS(ObjectSource(cache, "data/y", "y"), Error);
}
