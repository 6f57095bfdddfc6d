// SPDX-License-Identifier: Apache-2.0
// Merging, and remarks, in an object store: whatever happens meanwhile, and whenever the one who merges is killed.
#include "checkpoint/store/object_merge.h"

#include <signal.h>
#include <unistd.h>

#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
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

const TidyOptions kMergeAll{[](std::span<const std::uint64_t>) { return true; }};
using Ids = std::vector<std::uint64_t>;

bool is_put_of_seal(const FakeS3::Request& request) {
  return request.method == "PUT" && request.name.ends_with(".checkpoint") && request.headers.contains("if-match");
}

struct MergeFixture {
  MergeFixture() { ::setenv("TINTYPE_STORE_PATIENCE", "2", 1); }
  FakeS3 store;
  const std::string place = store.place();

  /// So many, each on top of the one before; then these are deleted, and stay as bases.
  Manifest take_film(int count, const Ids& deleted = {}) {
    std::optional<Manifest> last;
    for (int i = 0; i < count; ++i) last = film::take(place, last);
    for (const std::uint64_t id : deleted) open_store(place)->remove(id);
    return *last;
  }
  using Objects = std::map<std::string, std::string>;
  Objects all_objects() const {
    Objects objects;
    for (const std::string& name : store.names()) objects[name] = store.object(name);
    return objects;
  }
  void put_all(const Objects& objects) {
    for (const std::string& name : store.names()) store.erase(name);
    for (const auto& [name, bytes] : objects) store.put(name, bytes);
  }
  std::string token_of(std::uint64_t id) const {
    return store.object("film/" + object_names::with_id(id, object_names::kSealKind)).substr(0, 32);
  }
  void check_whole() const {
    CHECK(film::first_fault(place) == "");
    const Verification found = verify_checkpoints(place, {});
    if (!found.good()) FAIL_CHECK(found.damages.front().reason);
  }
  /// Folders that no checkpoint and no base has, and marks.
  Ids::size_type leftovers() const {
    std::set<std::string> folders;
    Ids::size_type marks = 0;
    for (const std::string& name : store.names()) {
      if (name.starts_with("film/data/")) folders.insert(name.substr(10, 32));
      marks += name.starts_with("film/writer-") || name.starts_with("film/deleted-") ? 1 : 0;
    }
    const auto all = open_store(place);
    return folders.size() - all->ids().size() - all->bases().size() + marks;
  }

  /// Merges in a process that is killed when it has sent a request: before, or after, the store has done it. False
  /// where it came to its end.
  bool merge_killed(const Objects& film, Fault fault, std::function<bool(const FakeS3::Request&)> now) {
    put_all(film);
    std::mutex mutex;
    std::atomic<pid_t> child = 0;
    store.set_fault([&](const FakeS3::Request& request) {
      const std::lock_guard lock(mutex);
      if (!now(request)) return Fault::kNone;
      while (child == 0) std::this_thread::yield();
      ::kill(child, SIGKILL);
      return fault;
    });
    const pid_t made = ::fork();
    REQUIRE(made >= 0);
    if (made == 0) {
      tidy_chains(place, {}, kMergeAll);
      ::_exit(0);
    }
    child = made;
    int status = 0;
    REQUIRE(::waitpid(made, &status, 0) == made);
    store.set_fault({});
    if (!WIFSIGNALED(status)) REQUIRE(WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
  }
  /// Whose seal was on its way and is not there: his folder and his mark stay until nothing of his can come.
  void check_after_kill() {
    CHECK(open_store(place)->ids() == Ids{3, 4});
    CHECK(film::first_fault(place) == "");
    tidy_chains(place, {}, kMergeAll);
    check_whole();
    const bool may_come =
        std::ranges::any_of(store.names(), [](const std::string& name) { return name.starts_with("film/writer-"); });
    CHECK(leftovers() == (may_come ? 2 : 0));
  }
};

}  // namespace

TEST_CASE_FIXTURE(MergeFixture, "in an object store bases are merged as in a directory") {
  for (const bool conditions : {true, false}) {
    store.set_conditions(conditions);
    const Manifest last = take_film(6, {2, 3});
    const Manifest before = show_checkpoint(place, 4);
    const Tidied tidied = tidy_chains(place, {}, kMergeAll);
    CHECK(tidied.merged == Ids{4});
    CHECK(tidied.gone == Ids{3, 2});
    const auto after = open_store(place);
    CHECK(after->ids() == Ids{1, 4, 5, 6});
    CHECK(after->bases().empty());
    const Manifest merged = show_checkpoint(place, 4);
    CHECK(merged.identity == before.identity);
    CHECK(merged.parent == 1);
    check_whole();
    CHECK(leftovers() == 0);
    CHECK(film::take(place, last).id == 7);  // who built on them goes on
    after->remove(1);
    CHECK(tidy_chains(place, {}, kMergeAll).merged == Ids{4});
    CHECK(show_checkpoint(place, 4).parent == 0);
    check_whole();
    for (const std::uint64_t id : after->ids()) after->remove(id);
    CHECK(leftovers() == 0);
    for (const std::string& name : store.names()) store.erase(name);
  }
}

TEST_CASE_FIXTURE(MergeFixture, "pruning merges in an object store where it pays") {
  take_film(12);
  const auto all = open_store(place);
  for (std::uint64_t id = 1; id < 12; ++id) all->remove(id);
  const Tidied tidied = tidy_chains(*all);
  CHECK(tidied.merged == Ids{12});
  CHECK(all->bases().size() < 11);
  check_whole();
  CHECK(leftovers() == 0);
}

// Of more than the pieces that a reader keeps.
TEST_CASE_FIXTURE(MergeFixture, "a checkpoint that is open in an object store is read on though it is merged, twice") {
  constexpr std::uint64_t kBlocks = 3 * PieceCache::kPieceBytes / kBlockSize;
  Bytes content = noise(kBlocks, 1);
  std::optional<ParentRef> parent;
  const auto take = [&](std::uint64_t first, std::uint64_t blocks) {
    NewCheckpoint wanted{place, Compression::kNone, kBlocks * kBlockSize, {}, 0};
    wanted.parent = parent;
    CheckpointWriter writer(wanted);
    writer.memory_part().append(first, std::span(content).subspan(first * kBlockSize, blocks * kBlockSize));
    writer.write_state({});
    writer.sync();
    Manifest manifest;
    manifest.vm = "film";
    manifest.machine = film::machine();
    manifest.machine.disks.clear();
    manifest.machine.memory = kBlocks * kBlockSize;
    manifest.machine.regions = {{0, kBlocks * kBlockSize, 0}};
    const Manifest sealed = writer.seal(manifest);
    parent = ParentRef{sealed.id, sealed.identity};
  };
  take(0, kBlocks);
  for (const std::uint64_t first : {kBlocks / 2, kBlocks / 3, kBlocks - 50}) {
    const Bytes change = noise(40, static_cast<unsigned>(first));
    std::ranges::copy(change, content.begin() + static_cast<std::ptrdiff_t>(first * kBlockSize));
    take(first, 40);
  }
  const CheckpointReader reader(place, 4);
  const auto all = open_store(place);
  for (const std::uint64_t id : {1, 2}) all->remove(id);
  CHECK(tidy_chains(place, {}, kMergeAll).merged == Ids{3});
  CHECK(content_of(reader.memory()) == content);
  all->remove(3);
  CHECK(tidy_chains(place, {}, kMergeAll).merged == Ids{4});
  CHECK(content_of(reader.memory()) == content);
}

TEST_CASE_FIXTURE(MergeFixture, "killed at a request of a merge, what is listed is whole, and the next one tidies") {
  take_film(4, {1, 2});
  const Objects before = all_objects();
  constexpr unsigned kStep = 7;
  unsigned kills = 0;
  while (merge_killed(before, kills % 2 == 0 ? Fault::kRefused : Fault::kAnswerLost,
                      [left = kills * kStep](const FakeS3::Request&) mutable { return left-- == 0; })) {
    CAPTURE(kills);
    check_after_kill();
    ++kills;
  }
  CHECK(kills > 10);
  for (const Fault fault : {Fault::kRefused, Fault::kAnswerLost}) {
    REQUIRE(merge_killed(before, fault, is_put_of_seal));
    check_after_kill();
  }
}

// Whether it is kept as a base (4 builds on it) or goes; the request comes at any moment of the deletion, or after it.
TEST_CASE_FIXTURE(MergeFixture, "killed between his word and his request, who merges keeps nobody from deleting") {
  constexpr unsigned kStep = 3;
  for (const int count : {4, 3}) {
    for (const std::string& name : store.names()) store.erase(name);
    take_film(count, {1, 2});
    const Objects before = all_objects();
    const Ids left = count == 4 ? Ids{4} : Ids{};
    bool came = true;
    for (unsigned moment = 0; came; moment += kStep) {
      CAPTURE(moment);
      FakeS3::Request request;
      REQUIRE(merge_killed(before, Fault::kRefused, [&](const FakeS3::Request& each) {
        if (is_put_of_seal(each)) request = each;
        return is_put_of_seal(each);
      }));
      came = false;
      unsigned requests = 0;
      std::mutex mutex;
      store.set_fault([&](const FakeS3::Request&) {
        const std::lock_guard lock(mutex);
        if (requests++ != moment) return Fault::kNone;
        came = true;
        store.perform(request);
        return Fault::kNone;
      });
      open_store(place)->remove(3);
      store.set_fault({});
      if (!came) store.perform(request);
      CHECK(open_store(place)->ids() == left);
      check_whole();
      tidy_chains(place, {}, kMergeAll);
      check_whole();
      const bool came_first =
          std::ranges::any_of(store.names(), [](const std::string& name) { return name.starts_with("film/writer-"); });
      CHECK(leftovers() == (came && came_first ? 2 : 0));
    }
  }
}

TEST_CASE_FIXTURE(MergeFixture, "where a store knows no conditions nothing is deleted while that request may come") {
  take_film(4, {1, 2});
  FakeS3::Request request;
  const auto is_put = [](const FakeS3::Request& each) {
    return each.method == "PUT" && each.name.ends_with(".checkpoint");
  };
  store.set_conditions(false);
  REQUIRE(merge_killed(all_objects(), Fault::kRefused, [&](const FakeS3::Request& each) {
    if (is_put(each) && !each.headers.contains("if-match")) request = each;
    return !request.name.empty();
  }));
  const Ids both{3, 4};
  CHECK_THROWS_WITH_AS(open_store(place)->remove_all(both), doctest::Contains("again later"), Error);
  CHECK(open_store(place)->ids() == Ids{3});  // the other one needs not wait
  check_whole();
  store.perform(request);
  check_whole();
  open_store(place)->remove(3);
  CHECK(open_store(place)->ids().empty());
}

TEST_CASE_FIXTURE(MergeFixture, "a seal that is replaced while no answer comes is replaced, or not, and all is whole") {
  for (const Fault fault : {Fault::kAnswerLost, Fault::kAnswerCut, Fault::kRefused, Fault::kUnavailable}) {
    for (const std::string& name : store.names()) store.erase(name);
    take_film(4, {1, 2});
    std::atomic<int> seals = 0;
    store.set_fault(
        [&](const FakeS3::Request& request) { return is_put_of_seal(request) && seals++ == 0 ? fault : Fault::kNone; });
    CHECK(tidy_chains(place, {}, kMergeAll).merged == Ids{3});
    CHECK(seals >= 1);
    check_whole();
    CHECK(leftovers() == 0);
  }
}

TEST_CASE_FIXTURE(MergeFixture, "what is deleted while it is merged is deleted") {
  for (const bool as_base : {false, true}) {
    for (const std::string& name : store.names()) store.erase(name);
    const Manifest last = take_film(as_base ? 4 : 3, {1, 2});
    std::atomic<bool> begun = false;
    std::thread deleter;
    store.set_fault([&](const FakeS3::Request& request) {
      if (is_put_of_seal(request) && !begun.exchange(true)) {
        deleter = std::thread([&] { open_store(place)->remove(3); });
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
      }
      return Fault::kNone;
    });
    tidy_chains(place, {}, kMergeAll);
    REQUIRE(begun);
    deleter.join();
    store.set_fault({});
    CHECK(open_store(place)->ids() == (as_base ? Ids{4} : Ids{}));
    check_whole();
    if (as_base) {
      tidy_chains(place, {}, kMergeAll);
      check_whole();
    }
    CHECK(leftovers() == 0);
  }
}

TEST_CASE_FIXTURE(MergeFixture, "who finds the mark of a deletion does not merge") {
  take_film(4, {1, 2});
  unsigned steps = 0;  // the first comes when he has looked for the first time
  tidy_chains(
      place,
      [&](const Progress& progress) {
        if (progress.phase == "merge" && ++steps == 3) store.put("film/deleted-" + token_of(3), "3");
      },
      kMergeAll);
  CHECK(steps > 3);
  CHECK(show_checkpoint(place, 3).parent == 2);
  check_whole();
}

TEST_CASE_FIXTURE(MergeFixture, "some take, some delete, some merge and some read: everybody gets what he asked for") {
  take_film(3);
  std::atomic<bool> done = false;
  std::string wrong;
  std::thread reader([&] {
    while (!done && wrong.empty()) {
      const auto all = open_store(place)->ids();
      for (const std::uint64_t id : all) {
        const std::string fault = film::fault(place, id);
        const bool gone = !std::ranges::count(open_store(place)->ids(), id);
        if (!fault.empty() && !gone) wrong = fault;
      }
    }
  });
  std::thread merger([&] {
    while (!done) tidy_chains(place, {}, kMergeAll);
  });
  for (unsigned i = 0; i < rounds(12); ++i) {
    const auto all = open_store(place);
    film::take(place, show_checkpoint(place, {}));
    if (all->ids().size() > 4) all->remove(all->ids()[i % 3]);
  }
  done = true;
  reader.join();
  merger.join();
  CHECK(wrong == "");
  tidy_chains(place, {}, kMergeAll);
  check_whole();
  CHECK(open_store(place)->bases().empty());
  CHECK(leftovers() == 0);
}

TEST_CASE_FIXTURE(MergeFixture, "remarks are kept beside a checkpoint in an object store, and go with it") {
  take_film(3);
  const auto all = open_store(place);
  CHECK(!all->notes_on(2).verified);
  note_verification(place, {}, verify_checkpoints(place, {}));
  all->note(2, Check::kDrilled, check_note(false, "it \"crashed\""));
  const CheckNotes notes = all->notes_on(2);
  REQUIRE(notes.verified);
  CHECK(notes.verified->good);
  REQUIRE(notes.drilled);
  CHECK(!notes.drilled->good);
  CHECK(notes.drilled->said == "it \"crashed\"");
  CHECK(list_checkpoints(place)[1].checks.drilled->said == "it \"crashed\"");
  CHECK(!list_checkpoints(place)[0].checks.drilled);

  store.put("film/00000003.drilled", token_of(3) + "\n{ not json");
  CHECK(!all->notes_on(3).drilled);
  CHECK(all->notes_on(3).verified);
  all->note(9, Check::kVerified, check_note(true, "of none"));
  CHECK(!all->notes_on(9).verified);
  CHECK(copy_checkpoints(place, store.place("copy"), {}).size() == 3);
  CHECK(!open_store(store.place("copy"))->notes_on(2).verified);

  all->remove(1);
  CHECK(tidy_chains(place, {}, kMergeAll).merged == Ids{2});
  CHECK(!all->notes_on(2).verified);  // all of it was written anew, and nobody has looked at that yet
  store.put("film/00000001.verified", token_of(2) + "\n{}");
  all->remove(2);
  all->remove(3);
  for (const std::string& name : store.names())
    if (name.starts_with("film/")) CHECK(name == "film/00000003.last-id");
}

TEST_CASE_FIXTURE(MergeFixture, "a store that may only be read keeps no remarks, and says nothing of it") {
  take_film(1);
  store.set_fault(
      [](const FakeS3::Request& request) { return request.method == "PUT" ? Fault::kBadSecret : Fault::kNone; });
  open_store(place)->note(1, Check::kVerified, check_note(true, "well"));
  CHECK(!open_store(place)->notes_on(1).verified);
}
