// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/client.h"

#include <array>
#include <cstdlib>
#include <map>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/format/part_format.h"
#include "tests/support/fake_s3.h"
#include "vmm/base/error.h"

using namespace tintype;
using namespace std::chrono_literals;
using tintype::testing::FakeS3;
using tintype::testing::Fault;

namespace {

struct ClientFixture {
  FakeS3 store;
  S3Client client{S3Location::parse(store.place()).completed(), find_credentials(""), 3s};
};

/// Every request fails this way once, and is good when it is done again.
FakeS3::ChooseFault each_once(Fault fault) {
  struct Seen {
    std::mutex mutex;  // guards the rest
    std::map<std::string, int> times;
  };
  return [fault, seen = std::make_shared<Seen>()](const FakeS3::Request& request) {
    const std::lock_guard lock(seen->mutex);
    return seen->times[request.method + request.name + request.query]++ == 0 ? fault : Fault::kNone;
  };
}

std::string text_of_failure(S3Client& client) {
  try {
    client.put("x", "y");
    return "none";
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("a patience that is none is not taken for one") {
  const char* const set = ::getenv("TINTYPE_STORE_PATIENCE");
  const std::string before = set == nullptr ? "" : set;
  for (const char* const wrong : {"x", "0", "-1", "10s", "86401", "99999999999999999999"}) {
    ::setenv("TINTYPE_STORE_PATIENCE", wrong, 1);
    CHECK_THROWS_WITH_AS(S3Client::default_patience(), doctest::Contains("give seconds"), UsageError);
  }
  ::setenv("TINTYPE_STORE_PATIENCE", "7", 1);
  CHECK(S3Client::default_patience() == 7s);
  ::setenv("TINTYPE_STORE_PATIENCE", before.c_str(), 1);
  CHECK(S3Client::default_patience() > 0s);
}

TEST_CASE_FIXTURE(ClientFixture, "objects are written, read in pieces, listed by page and removed") {
  CHECK(!client.get("a"));
  client.put("a", "0123456789");
  client.put("data/t/memory.part", "m");
  client.put("data/t/disk0.part", "dd");
  client.put("b", "");
  CHECK(client.get("a")->bytes == "0123456789");
  CHECK(client.size_of("data/t/disk0.part") == 2);
  std::array<std::byte, 4> piece{};
  const auto read = client.read("a", 3, piece);
  REQUIRE(read);
  CHECK(read->bytes == 4);
  CHECK(read->total == 10);
  CHECK(static_cast<char>(piece[0]) == '3');
  CHECK(client.read("a", 8, piece)->bytes == 2);
  CHECK(!client.read("none", 0, piece));
  CHECK(client.read("b", 0, piece)->total == 0);
  const auto top = client.list("", false);
  REQUIRE(top.objects.size() == 2);
  CHECK(top.objects[0].name == "a");
  CHECK(top.objects[0].bytes == 10);
  CHECK(top.folders == std::vector<std::string>{"data/"});
  CHECK(client.list("data/", true).objects.size() == 2);
  client.remove("a");
  client.remove("a");
  CHECK(!client.get("a"));
}

TEST_CASE_FIXTURE(ClientFixture, "what exists is not created again, and what store cannot say so is told") {
  CHECK(client.create("seal", "1") == S3Client::Created::kYes);
  CHECK(client.create("seal", "2") == S3Client::Created::kTaken);
  CHECK(store.object("film/seal") == "1");
  store.set_conditions(false);
  CHECK(client.create("other", "2") == S3Client::Created::kCannotSay);
  CHECK(store.object("film/other").empty());
}

TEST_CASE_FIXTURE(ClientFixture, "whatever fails on the way once is done again") {
  for (const Fault fault : {Fault::kRefused, Fault::kAnswerLost, Fault::kAnswerCut, Fault::kAnswerTwice, Fault::kLate,
                            Fault::kUnavailable, Fault::kTooMany}) {
    CAPTURE(static_cast<int>(fault));
    store.set_fault(each_once(fault));
    client.put("a", "abc");
    client.put("b", "de");
    CHECK(client.get("a")->bytes == "abc");
    CHECK(client.get("b")->bytes == "de");
    CHECK(!client.get("none"));
    std::array<std::byte, 2> piece{};
    CHECK(client.read("a", 1, piece)->total == 3);
    const auto upload = client.begin_upload("c");
    const std::string text = "part";
    const auto tag = client.put_part("c", upload, 1, {std::as_bytes(std::span(text))});
    client.complete_upload("c", upload, {tag}, text.size());
    CHECK(client.get("c")->bytes == "part");
    CHECK(client.list("", false).objects.size() == 3);
    store.set_fault({});
    for (const auto& each : client.uploads("")) client.abort_upload(each.name, each.id);
    for (const char* name : {"a", "b", "c"}) client.remove(name);
  }
}

TEST_CASE_FIXTURE(ClientFixture, "an answer that comes twice is not taken for the next one's") {
  client.put("a", "first");
  client.put("b", "second");
  store.set_fault(
      [](const FakeS3::Request& request) { return request.name == "film/a" ? Fault::kAnswerTwice : Fault::kNone; });
  for (int i = 0; i < 20; ++i) {
    CHECK(client.get("a")->bytes == "first");
    CHECK(client.get("b")->bytes == "second");
  }
}

TEST_CASE_FIXTURE(ClientFixture, "what is refused is said in a sentence that says what to do, and not tried again") {
  const std::pair<Fault, const char*> cases[] = {{Fault::kBadSecret, "AWS_SECRET_ACCESS_KEY"},
                                                 {Fault::kSkewed, "clock of this computer"},
                                                 {Fault::kQuota, "quota"},
                                                 {Fault::kNoBucket, "there is no bucket bucket"}};
  for (const auto& [fault, words] : cases) {
    store.set_fault([fault = fault](const FakeS3::Request&) { return fault; });
    const auto before = store.requests();
    CHECK(text_of_failure(client).find(words) != std::string::npos);
    CHECK(store.requests() == before + 1);
  }
  store.set_fault([](const FakeS3::Request&) { return Fault::kQuota; });
  CHECK_THROWS_AS(client.put("x", "y"), DestinationFull);
}

TEST_CASE_FIXTURE(ClientFixture,
                  "a store that is not there is given up after a while, and nobody waits who was told to stop") {
  store.set_down(true);
  CHECK_THROWS_AS(client.put("x", "y"), NoAnswer);
  S3Client patient(client.location(), client.credentials(), 600s);
  std::thread other([&] {
    std::this_thread::sleep_for(300ms);
    patient.stop();
  });
  CHECK_THROWS_AS(patient.put("x", "y"), Error);
  other.join();
}

TEST_CASE_FIXTURE(ClientFixture, "neither secret nor key is in any message") {
  store.set_fault([](const FakeS3::Request&) { return Fault::kBadSecret; });
  const S3Location location = client.location();
  S3Client teller(location, {"the-key-itself", "the-secret-itself", "the-token-itself"}, 1s);
  const std::string text = text_of_failure(teller);
  CHECK(text.find("itself") == std::string::npos);
}
