// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/object_store.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/backup/transfer.h"
#include "checkpoint/store/object_names.h"
#include "checkpoint/store/operations.h"
#include "checkpoint/store/verify.h"
#include "tests/support/fake_s3.h"
#include "tests/support/rounds.h"
#include "tests/unit/store/film.h"
#include "vmm/base/error.h"

using namespace tintype;
using namespace tintype::checkpoint_test;
using tintype::testing::FakeS3;
using tintype::testing::Fault;

namespace {

struct StoreFixture {
  StoreFixture() { ::setenv("TINTYPE_STORE_PATIENCE", "2", 1); }
  FakeS3 store;
  const std::string place = store.place();

  std::vector<std::uint64_t> ids() const { return open_store(place)->ids(); }
  /// Nothing lies there that no checkpoint needs.
  bool is_tidy() const {
    std::size_t data = 0, folders = 0;
    std::string last;
    for (const std::string& name : store.names()) {
      if (name.starts_with("film/writer-") || name.starts_with("film/deleted-")) return false;
      if (!name.starts_with("film/data/")) continue;
      ++data;
      const std::string token = name.substr(10, 32);
      folders += token == last ? 0 : 1;
      last = token;
    }
    const auto all = open_store(place);
    return folders == all->ids().size() + all->bases().size() && store.open_uploads() == 0;
  }
};

/// So many pictures, each on top of the one before.
std::vector<Manifest> take_film(const std::string& place, int count) {
  std::vector<Manifest> film;
  for (int i = 0; i < count; ++i)
    film.push_back(film::take(place, film.empty() ? std::nullopt : std::optional(film.back())));
  return film;
}

}  // namespace

TEST_CASE_FIXTURE(StoreFixture, "a film lies in an object store as it does in a directory") {
  const auto film = take_film(place, 5);
  CHECK(ids() == std::vector<std::uint64_t>{1, 2, 3, 4, 5});
  CHECK(film::first_fault(place).empty());
  CHECK(verify_checkpoints(place, {}).good());
  CHECK(list_checkpoints(place).size() == 5);
  CHECK(show_checkpoint(place, {}).id == 5);
  CHECK(film.back().report.repository == "s3://bucket/film");
  CHECK(is_tidy());
}

TEST_CASE_FIXTURE(StoreFixture, "deleting never breaks a chain, ids are never used twice, and all goes at the end") {
  take_film(place, 4);
  const auto remove = [&](std::uint64_t id) { return open_store(place)->remove(id); };  // nothing is merged
  CHECK(remove(2).kept_as_base);
  CHECK(ids() == std::vector<std::uint64_t>{1, 3, 4});
  CHECK(film::first_fault(place).empty());
  CHECK(remove(4).gone == std::vector<std::uint64_t>{4});
  CHECK(remove(3).gone == std::vector<std::uint64_t>{3, 2});
  CHECK(remove(1).gone == std::vector<std::uint64_t>{1});
  CHECK_THROWS_AS(remove(1), Error);
  CHECK(store.names() == std::vector<std::string>{"film/00000004.last-id"});
  CHECK(film::take(place, std::nullopt).id == 5);
}

// A store far away takes its time for each request, so what is known is not asked for again.
TEST_CASE_FIXTURE(StoreFixture, "deleting many reads each seal once, and looks at the names as often as for one") {
  constexpr std::size_t kFew = 6, kMany = 18, kRequestsForEach = 6;
  std::map<std::size_t, std::size_t> requests, looks;
  for (const std::size_t count : {kFew, kMany}) {
    for (const std::string& name : store.names()) store.erase(name);
    take_film(place, static_cast<int>(count));
    std::mutex mutex;
    std::map<std::string, int> seals_read;
    store.set_fault([&](const FakeS3::Request& request) {
      const std::lock_guard lock(mutex);
      if (request.query.find("continuation-token") != std::string::npos) return Fault::kNone;  // pages are small here
      ++requests[count];
      looks[count] += request.query.find("list-type") != std::string::npos ? 1 : 0;
      if (request.method == "GET" && request.name.ends_with(".checkpoint")) ++seals_read[request.name];
      return Fault::kNone;
    });
    std::vector<std::uint64_t> old(count - 1);
    std::iota(old.begin(), old.end(), 1);
    const auto all = open_store(place);
    all->remove_all(old);
    store.set_fault({});
    CHECK(all->ids() == std::vector<std::uint64_t>{count});
    CHECK(all->bases() == old);
    CHECK(film::first_fault(place).empty());
    CHECK(is_tidy());
    for (const auto& seal : seals_read) CHECK_MESSAGE(seal.second == 1, seal.first);
  }
  CHECK(looks[kMany] == looks[kFew]);
  CHECK(requests[kMany] - requests[kFew] <= kRequestsForEach * (kMany - kFew));
  MESSAGE(requests[kFew], " requests for ", kFew, ", ", requests[kMany], " for ", kMany);
}

TEST_CASE_FIXTURE(StoreFixture, "of many that are deleted those go that nobody needs, and what builds on them first") {
  take_film(place, 3);
  film::take(place, std::nullopt);
  film::take(place, show_checkpoint(place, 4));
  std::vector<std::string> seals;
  store.set_fault([&](const FakeS3::Request& request) {
    if (request.method == "DELETE" && request.name.ends_with(".checkpoint")) seals.push_back(request.name);
    return Fault::kNone;
  });
  const std::vector<std::uint64_t> some{1, 4, 5};
  open_store(place)->remove_all(some);
  store.set_fault({});
  CHECK(ids() == std::vector<std::uint64_t>{2, 3});
  CHECK(open_store(place)->bases() == std::vector<std::uint64_t>{1});
  CHECK(seals ==
        std::vector<std::string>{"film/00000005.checkpoint", "film/00000004.checkpoint", "film/00000001.checkpoint"});
  CHECK(film::first_fault(place).empty());
  CHECK(is_tidy());
  const std::vector<std::uint64_t> rest{2, 3, 4, 9};  // of which two are not there any more
  open_store(place)->remove_all(rest);
  CHECK(store.names() == std::vector<std::string>{"film/00000005.last-id"});
}

TEST_CASE_FIXTURE(StoreFixture, "nothing builds on what is gone, or is being deleted") {
  const auto film = take_film(place, 2);
  delete_checkpoint(place, 2);
  CHECK_THROWS_AS(film::take(place, film[1]), ParentGone);
  Manifest other = film[0];
  other.identity = new_identity();
  CHECK_THROWS_AS(film::take(place, other), ParentGone);
  const std::string token = store.object("film/00000001.checkpoint").substr(0, 32);
  store.put("film/deleted-" + token, "1");
  CHECK_THROWS_AS(film::take(place, film[0]), ParentGone);
  store.erase("film/deleted-" + token);
  CHECK(film::fault(place, film::take(place, film[0]).id).empty());
  CHECK(is_tidy());
}

TEST_CASE_FIXTURE(StoreFixture, "what a writer builds on stays while he writes, though it is deleted") {
  const auto film = take_film(place, 1);
  NewCheckpoint wanted{place, Compression::kNone, film::kBlocks * kBlockSize, film::machine().disks, 0};
  wanted.parent = ParentRef{1, film[0].identity};
  CheckpointWriter writer(wanted);
  CHECK(delete_checkpoint(place, 1).kept_as_base);
  for (const film::Change& change : film::changes_of(writer.id()))
    (change.disk ? writer.disk_part("disk0") : writer.memory_part()).append(change.block, change.data);
  writer.write_state({});
  writer.sync();
  Manifest manifest;
  manifest.vm = "film";
  manifest.machine = film::machine();
  manifest.machine.append = "1 2";
  CHECK(writer.seal(manifest).id == 2);
  CHECK(film::fault(place, 2).empty());
}

TEST_CASE_FIXTURE(StoreFixture, "two writers take two ids, whoever seals first") {
  for (const bool conditions : {true, false}) {
    store.set_conditions(conditions);
    const std::string here = store.place(conditions ? "one" : "other");
    NewCheckpoint wanted{here, Compression::kNone, film::kBlocks * kBlockSize, {}, 0};
    CheckpointWriter first(wanted), second(wanted);
    CHECK(first.id() == second.id());
    Manifest manifest;
    manifest.vm = "film";
    manifest.machine = film::machine();
    manifest.machine.disks.clear();
    for (CheckpointWriter* writer : {&second, &first}) {
      writer->write_state({});
      writer->sync();
    }
    const Manifest a = second.seal(manifest), b = first.seal(manifest);
    CHECK(a.id == 1);
    CHECK(b.id == 2);
    CHECK(show_checkpoint(here, 1).identity == a.identity);
    CHECK(show_checkpoint(here, 2).identity == b.identity);
    CHECK(verify_checkpoints(here, {}).good());
  }
}

TEST_CASE_FIXTURE(StoreFixture, "what is given up leaves nothing") {
  {
    NewCheckpoint wanted{place, Compression::kNone, film::kBlocks * kBlockSize, {}, 0};
    CheckpointWriter writer(wanted);
    const Bytes data = noise(8, 1);
    writer.memory_part().append(0, data);
    writer.sync();
    CHECK(!store.names().empty());
  }
  CHECK(store.names().empty());
}

TEST_CASE_FIXTURE(StoreFixture,
                  "what dead writers left goes when the next one begins, and what the living write does not") {
  const std::string dead = new_identity(), alive = new_identity(), sealing = new_identity();
  WriterMark mark = WriterMark::of_this_process();
  store.put("film/writer-" + alive, mark.text());
  ++mark.started;  // that process is gone
  store.put("film/writer-" + dead, mark.text());
  mark.sealing = 9;
  store.put("film/writer-" + sealing, mark.text());
  for (const std::string& token : {dead, alive, sealing}) store.put("film/data/" + token + "/memory.part", "x");
  S3Client client(S3Location::parse(place).completed(), find_credentials(""));
  client.begin_upload("data/" + dead + "/disk0.part");
  take_film(place, 1);
  const auto names = store.names();
  const auto has = [&](const std::string& name) { return std::ranges::count(names, name) == 1; };
  CHECK(!has("film/writer-" + dead));
  CHECK(!has("film/data/" + dead + "/memory.part"));
  CHECK(store.open_uploads() == 0);
  for (const std::string& token : {alive, sealing}) {  // his seal may be on its way
    CHECK(has("film/writer-" + token));
    CHECK(has("film/data/" + token + "/memory.part"));
  }
}

TEST_CASE_FIXTURE(StoreFixture, "who was killed after his seal has a checkpoint, and his mark goes") {
  take_film(place, 1);
  WriterMark mark = WriterMark::of_this_process();
  ++mark.started;
  mark.sealing = 1;
  const std::string token = store.object("film/00000001.checkpoint").substr(0, 32);
  store.put("film/writer-" + token, mark.text());
  CHECK(!mark.is_dead(std::chrono::minutes(10)));
  CHECK(mark.is_dead(std::chrono::minutes(21)));
  take_film(place, 1);
  CHECK(film::first_fault(place).empty());
}

TEST_CASE_FIXTURE(StoreFixture, "a seal whose answer was lost is one seal") {
  for (const Fault fault : {Fault::kAnswerLost, Fault::kAnswerCut, Fault::kRefused, Fault::kUnavailable}) {
    std::atomic<int> seals = 0;
    store.set_fault([&](const FakeS3::Request& request) {
      const bool seal = request.method == "PUT" && request.name.ends_with(".checkpoint");
      return seal && seals++ == 0 ? fault : Fault::kNone;
    });
    const std::size_t before = ids().size();
    take_film(place, 1);
    CHECK(ids().size() == before + 1);
    CHECK(film::first_fault(place).empty());
    CHECK(is_tidy());
  }
}

TEST_CASE_FIXTURE(StoreFixture, "a store that falls silent in the middle of sealing keeps what may be sealed yet") {
  store.set_fault([&](const FakeS3::Request& request) {
    const bool seal = request.method == "PUT" && request.name.ends_with(".checkpoint");
    if (seal) store.set_down(true);
    return seal ? Fault::kAnswerLost : Fault::kNone;
  });
  CHECK_THROWS_AS(take_film(place, 1), Error);
  store.set_down(false);
  store.set_fault({});
  // It was done: nobody but the writer was told otherwise, and what is listed is whole.
  CHECK(ids() == std::vector<std::uint64_t>{1});
  CHECK(film::first_fault(place).empty());
  take_film(place, 1);
  CHECK(film::first_fault(place).empty());
}

TEST_CASE_FIXTURE(StoreFixture, "a file that is shorter in the store than what was sent is never sealed") {
  store.set_fault([&](const FakeS3::Request& request) {
    if (request.query.find("data") != std::string::npos)  // it is looked at before it is sealed
      for (const std::string& name : store.names())
        if (name.ends_with("disk0.part")) store.put(name, store.object(name).substr(1));
    return Fault::kNone;
  });
  CHECK_THROWS_WITH_AS(take_film(place, 1), doctest::Contains("disk0.part"), Error);
  store.set_fault({});
  CHECK(ids().empty());
}

// Whatever fails, and wherever: what is listed is whole, each picture was sealed once or not at all, and when all is
// well again nothing lies about.
TEST_CASE_FIXTURE(StoreFixture, "a film is taken, pruned and read through failures of all kinds") {
  constexpr std::array kFaults = {Fault::kRefused,     Fault::kAnswerLost, Fault::kAnswerCut, Fault::kAnswerTwice,
                                  Fault::kUnavailable, Fault::kTooMany,    Fault::kQuota};
  for (unsigned seed = 1; seed <= rounds(12); ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const std::string here = store.place(fmt::format("film{}", seed));
    std::mutex mutex;
    const unsigned rarity = 3 + random() % 30;
    bool calm = false;
    store.set_fault([&](const FakeS3::Request&) {
      const std::lock_guard lock(mutex);
      return calm || random() % rarity != 0 ? Fault::kNone : kFaults[random() % kFaults.size()];
    });
    std::optional<Manifest> latest;
    std::vector<std::uint64_t> sealed;
    for (int i = 0; i < 8; ++i) {
      try {
        latest = film::take(here, latest);
        sealed.push_back(latest->id);
      } catch (const ParentGone&) {
        latest.reset();
      } catch (const Error&) {
      }
      try {
        if (sealed.size() > 3) {
          delete_checkpoint(here, sealed.front());
          sealed.erase(sealed.begin());
        }
      } catch (const Error&) {
      }
    }
    {
      const std::lock_guard lock(mutex);
      calm = true;
    }
    CHECK(film::first_fault(here) == "");
    const auto listed = open_store(here)->ids();
    for (const std::uint64_t id : sealed) CHECK(std::ranges::count(listed, id) <= 1);
    CHECK(verify_checkpoints(here, {}).good());
  }
}

TEST_CASE_FIXTURE(StoreFixture, "copies go both ways, once more carries nothing, and damage does not spread") {
  const ScratchDirectory scratch;
  const auto film = take_film(place, 3);
  open_store(place)->remove(1);  // which is kept as a base
  const auto there = scratch.path() / "there";
  const auto carried = copy_checkpoints(place, there, {});
  CHECK(carried.size() == 3);
  CHECK(film::first_fault(there).empty());
  CHECK(open_store(there)->bases() == open_store(place)->bases());
  const std::string back = store.place("back");
  CHECK(copy_checkpoints(there, back, {}).size() == 3);
  CHECK(film::first_fault(back).empty());
  for (const Carried& each : copy_checkpoints(there, back, {})) CHECK(each.already);
  for (const std::string& same : {place, place + "/inside"}) CHECK_THROWS_AS(copy_checkpoints(place, same, {}), Error);
  for (const std::string& name : store.names()) {
    if (!name.starts_with("film/data/") || !name.ends_with("memory.part")) continue;
    std::string bytes = store.object(name);
    bytes[5000] = static_cast<char>(bytes[5000] ^ 1);
    store.put(name, bytes);
  }
  CHECK(!verify_checkpoints(place, {}).good());
  CHECK_THROWS_AS(copy_checkpoints(place, scratch.path() / "other", {}), ImageError);
}

TEST_CASE_FIXTURE(StoreFixture, "a base whose copy was cut off is listed until what builds on it comes") {
  const std::string there = store.place("there");
  take_film(place, 3);
  open_store(place)->remove(1);  // which is kept as a base
  const auto until_one_is_there = [&](const Progress&) {
    if (std::ranges::count(store.names(), "there/00000001.checkpoint") != 0) throw Error("enough");
  };
  CHECK_THROWS_WITH_AS(copy_checkpoints(place, there, {}, until_one_is_there), "enough", Error);
  REQUIRE(open_store(there)->ids() == std::vector<std::uint64_t>{1});
  CHECK(open_store(there)->notes_on(1).brought);
  copy_checkpoints(place, there, {});
  CHECK(open_store(there)->ids() == std::vector<std::uint64_t>{2, 3});
  CHECK(open_store(there)->bases() == std::vector<std::uint64_t>{1});
  CHECK(film::first_fault(there).empty());
  CHECK(std::ranges::count(store.names(), "there/00000001.brought") == 0);
}

TEST_CASE_FIXTURE(StoreFixture, "copies that run at once leave each checkpoint once, whoever seals first") {
  const std::string there = store.place("there");
  const auto film = take_film(place, 3);
  std::vector<Carried> other;
  std::atomic<bool> begun = false;
  const auto meanwhile = [&] {
    if (!begun.exchange(true)) other = copy_checkpoints(place, there, {});
  };
  std::vector<Carried> one;
  SUBCASE("while the first writes") {
    one = copy_checkpoints(place, there, {}, [&](const Progress&) { meanwhile(); });
  }
  SUBCASE("between its look and its seal") {
    store.set_fault([&](const FakeS3::Request& request) {
      if (request.method == "PUT" && request.name == "there/00000001.checkpoint") meanwhile();
      return Fault::kNone;
    });
    one = copy_checkpoints(place, there, {});
  }
  store.set_fault({});
  REQUIRE(one.size() == 3);
  REQUIRE(other.size() == 3);
  CHECK(open_store(there)->ids().size() == 3);
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(one[i].id == other[i].id);
    CHECK(one[i].already);
  }
  CHECK(film::first_fault(there).empty());
  for (const std::string& name : store.names()) CHECK_FALSE(name.starts_with("there/writer-"));
}

TEST_CASE_FIXTURE(StoreFixture, "three that copy at once, each in a thread, leave each checkpoint once") {
  take_film(place, 3);
  for (unsigned round = 0; round < rounds(8); ++round) {
    const std::string there = store.place(fmt::format("there{}", round));
    {
      std::vector<std::jthread> copies;
      for (int i = 0; i < 3; ++i) copies.emplace_back([&] { copy_checkpoints(place, there, {}); });
    }
    CHECK(open_store(there)->ids().size() == 3);
    CHECK(film::first_fault(there).empty());
  }
}

TEST_CASE_FIXTURE(StoreFixture, "seals are untrusted") {
  take_film(place, 1);
  const std::string seal = store.object("film/00000001.checkpoint");
  for (const std::string& text :
       {std::string(), std::string("x"), seal.substr(1), "../../../../../../../../../../../" + seal.substr(32),
        seal.substr(0, 33), seal.substr(0, seal.size() / 2)}) {
    store.put("film/00000001.checkpoint", text);
    CHECK_THROWS_AS(CheckpointReader(place, 1), Error);
    CHECK(!verify_checkpoints(place, {}).good());
    CHECK(list_checkpoints(place).front().problem != "");
  }
  store.put("film/00000001.checkpoint", seal);
  store.put("film/1.checkpoint", seal);
  store.put("film/00000002.checkpoint", seal);  // the manifest is of another id
  CHECK(ids() == std::vector<std::uint64_t>{1, 2});
  CHECK(film::fault(place, 1).empty());
  CHECK_THROWS_AS(CheckpointReader(place, 2), ImageError);
}
