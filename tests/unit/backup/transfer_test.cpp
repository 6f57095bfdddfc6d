// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/transfer.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sys/wait.h>

#include <random>
#include <set>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/format/part_reader.h"
#include "checkpoint/store/operations.h"
#include "checkpoint/store/verify.h"
#include "tests/support/rounds.h"
#include "tests/unit/format/changed_byte.h"
#include "tests/unit/store/film.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;
using Ids = std::vector<std::uint64_t>;

Ids ids(const fs::path& repository) { return Repository::open(repository).ids(); }
Ids bases(const fs::path& repository) { return Repository::open(repository).bases(); }

/// Six in a chain, of which the second and the third were deleted.
struct TwoSides {
  ScratchDirectory scratch{quick_directory()};
  fs::path here = scratch / "here", there = scratch / "there", file = scratch / "stream";
  std::optional<Manifest> last{};

  TwoSides() {
    for (int i = 0; i < 6; ++i) next();
    Repository::open(here).remove(2);
    Repository::open(here).remove(3);
  }
  void next() { last = film::take(here, last, static_cast<Compression>(last ? last->id % 3 : 0)); }

  std::vector<Carried> send(std::optional<std::uint64_t> id = {}, std::optional<std::uint64_t> after = {}) const {
    const UniqueFd fd = open_file(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    return send_checkpoint(here, id, after, put_to(fd.get()));
  }
  std::vector<Carried> receive() const {
    const UniqueFd fd = open_file(file, O_RDONLY);
    return receive_checkpoints(there, get_from(fd.get()));
  }
  /// How much of the stream so many checkpoints take.
  std::uint64_t end_in_stream(unsigned checkpoints) const {
    const UniqueFd fd = open_file(file, O_RDONLY);
    std::uint64_t read = 0;
    StreamReader stream([&, get = get_from(fd.get())](std::span<std::byte> into) {
      const std::size_t got = get(into);
      read += got;
      return got;
    });
    while (checkpoints != 0) checkpoints -= stream.next().kind == FrameKind::kSealed ? 1 : 0;
    return read;
  }
  std::vector<Carried> copy() const { return copy_checkpoints(here, there, std::nullopt); }
  void check_whole() const {
    CHECK(film::first_fault(there) == "");
    const Verification verification = verify_checkpoints(there, std::nullopt);
    for (const Damage& damage : verification.damages) FAIL_CHECK(damage.reason);
  }
  void check_there(const Ids& listed) const {
    CHECK(ids(there) == listed);
    check_whole();
  }
  bool newest_is_there() const { return show_checkpoint(there, std::nullopt).identity == last->identity; }
  /// All of it, each once, in order, and nothing else.
  void check_each_is_there_once() const {
    CHECK(identities(there, ids(there)) == identities(here, ids(here)));
    CHECK(identities(there, bases(there)) == identities(here, bases(here)));
    for (const fs::directory_entry& entry : fs::directory_iterator(there))
      CHECK_FALSE(entry.path().filename().string().starts_with(".tmp-"));
    check_whole();
  }
  static std::vector<std::string> identities(const fs::path& repository, const Ids& which) {
    std::vector<std::string> identities;
    for (const std::uint64_t id : which) identities.push_back(Repository::open(repository).manifest_of(id)->identity);
    return identities;
  }
};

/// Does something once, when it is asked for the `moment`th time.
class AtMoment {
 public:
  AtMoment(unsigned moment, std::function<void()> work) : left_(moment), work_(std::move(work)) {}
  bool came() const { return left_ == 0; }
  void operator()() {
    if (left_ != 0 && --left_ == 0) work_();
  }

 private:
  unsigned left_;
  const std::function<void()> work_;
};

/// Of both: what was carried by the one was there for the other.
void check_shared(const std::vector<Carried>& one, const std::vector<Carried>& other) {
  for (const Carried& each : one) {
    const auto twin = std::ranges::find(other, each.identity, &Carried::identity);
    if (twin == other.end()) continue;
    CHECK(each.id == twin->id);
    CHECK(each.already != twin->already);
  }
}

}  // namespace

TEST_CASE("a copy has what is listed, and shows what it must; what was deleted stays hidden") {
  const TwoSides studio;
  CHECK(studio.copy().size() == 6);
  studio.check_there({1, 4, 5, 6});
  CHECK(bases(studio.there) == Ids{2, 3});
  CHECK(studio.newest_is_there());
  CHECK(show_checkpoint(studio.there, 6).time == studio.last->time);
}

TEST_CASE("one that is there is not copied again, and a film goes on") {
  TwoSides studio;
  studio.copy();
  studio.next();
  studio.next();
  CHECK(std::ranges::count(studio.copy(), false, &Carried::already) == 2);
  studio.check_there({1, 4, 5, 6, 7, 8});
}

TEST_CASE("ids are the target's own: parents are found by who they are") {
  TwoSides studio;
  film::take(studio.there, std::nullopt);
  film::take(studio.there, std::nullopt);
  copy_checkpoints(studio.here, studio.there, 6);
  CHECK(ids(studio.there) == Ids{1, 2, 3, 6, 7, 8});
  CHECK(bases(studio.there) == Ids{4, 5});
  CHECK(show_checkpoint(studio.there, 8).parent == 7);
  studio.check_whole();
}

TEST_CASE("through a stream the same") {
  TwoSides studio;
  CHECK(studio.send().size() == 6);
  CHECK(studio.receive().size() == 6);
  studio.check_there({1, 4, 5, 6});
  studio.next();
  CHECK(studio.send({}, 6).size() == 1);
  CHECK(studio.receive().size() == 1);
  CHECK(studio.receive().front().already);  // once more
  studio.check_there({1, 4, 5, 6, 7});
}

TEST_CASE("changes build on what the other side has deleted and keeps for others") {
  TwoSides studio;
  studio.send();
  studio.receive();
  Repository::open(studio.there).remove(5);
  studio.last = show_checkpoint(studio.here, 5);
  studio.next();
  studio.send(7, 5);
  studio.receive();
  studio.check_there({1, 4, 6, 7});
  CHECK(show_checkpoint(studio.there, 7).parent == 5);
}

TEST_CASE("changes to what the other side has not are refused, and nothing comes of it") {
  const TwoSides studio;
  studio.send(6, 5);
  CHECK_THROWS_WITH_AS(studio.receive(), doctest::Contains("builds on checkpoint 5, which is not here"), ImageError);
  CHECK_FALSE(fs::exists(studio.there));
  CHECK_THROWS_WITH_AS(studio.send(5, 6), doctest::Contains("does not build on"), Error);
  CHECK_THROWS_WITH_AS(studio.send(5, 9), doctest::Contains("holds no checkpoint 9; it holds 1, 4 to 6"), Error);
  CHECK_THROWS_WITH_AS(copy_checkpoints(studio.here, studio.here, std::nullopt), doctest::Contains("itself"), Error);
  const auto inside = studio.here / "of" / "it";
  CHECK_THROWS_WITH_AS(copy_checkpoints(studio.here, inside, std::nullopt), doctest::Contains("into itself"), Error);
  CHECK_FALSE(fs::exists(inside.parent_path()));
}

TEST_CASE("a stream that breaks off anywhere leaves whole checkpoints, and is taken up again") {
  const TwoSides studio;
  studio.send();
  const auto size = fs::file_size(studio.file);
  std::mt19937_64 random(5);
  for (unsigned round = 0; round < rounds(12); ++round) {
    studio.send();
    fs::resize_file(studio.file, random() % size);
    CHECK_THROWS_AS(studio.receive(), ImageError);
    if (fs::exists(studio.there)) studio.check_whole();
    studio.send();
    studio.receive();
    CHECK(studio.newest_is_there());
    studio.check_whole();
    fs::remove_all(studio.there);
  }
}

TEST_CASE("what came only for others, and was cut off before they came, is listed no more when they have come") {
  const TwoSides studio;
  film::take(studio.there, std::nullopt);
  studio.send();
  fs::resize_file(studio.file, studio.end_in_stream(3));
  CHECK_THROWS_WITH_AS(studio.receive(), doctest::Contains("what came whole is here"), ImageError);
  REQUIRE(ids(studio.there) == Ids{1, 2, 3, 4});  // of another machine, and the first three: two of them are bases
  CHECK(bases(studio.there).empty());
  studio.check_whole();
  SUBCASE("by a stream") {
    studio.send();
    studio.receive();
    studio.check_there({1, 2, 5, 6, 7});
    CHECK(bases(studio.there) == Ids{3, 4});
  }
  SUBCASE("by a copy") {
    studio.copy();
    studio.check_there({1, 2, 5, 6, 7});
  }
  SUBCASE("by a stream of what comes after them") {
    studio.send(4, 3);
    studio.receive();
    studio.check_there({1, 2, 5});
    CHECK(bases(studio.there) == Ids{3, 4});
  }
  SUBCASE("unless they came for themselves meanwhile") {
    const fs::path listed = studio.scratch / "listed";
    copy_checkpoints(studio.there, listed, std::nullopt);  // where all are listed
    copy_checkpoints(listed, studio.there, std::nullopt);
    studio.copy();
    studio.check_there({1, 2, 3, 4, 5, 6, 7});
  }
}

TEST_CASE("what comes for itself while another one brings it for others stays listed, at whatever moment") {
  TwoSides studio;
  studio.send();
  fs::path cut = studio.scratch / "cut", all = studio.scratch / "all";
  fs::resize_file(studio.file, studio.end_in_stream(3));
  std::swap(studio.there, cut);
  CHECK_THROWS_AS(studio.receive(), ImageError);
  std::swap(studio.there, cut);
  copy_checkpoints(cut, all, std::nullopt);
  REQUIRE(ids(all).size() == 3);  // two of them are bases in the stream
  studio.send();
  bool came = true;
  for (unsigned moment = 1; came; moment += 3) {
    CAPTURE(moment);
    fs::remove_all(studio.there);
    AtMoment other(moment, [&] { copy_checkpoints(all, studio.there, std::nullopt); });
    const UniqueFd fd = open_file(studio.file, O_RDONLY);
    receive_checkpoints(studio.there, [&, get = get_from(fd.get())](std::span<std::byte> into) {
      other();
      return get(into);
    });
    came = other.came();
    if (!came) break;
    const auto listed = TwoSides::identities(studio.there, ids(studio.there));
    for (const std::string& identity : TwoSides::identities(all, ids(all)))
      CHECK(std::ranges::count(listed, identity) == 1);
    studio.check_whole();
  }
}

TEST_CASE("a checkpoint that is damaged where it comes from is not taken in") {
  const TwoSides studio;
  const fs::path part = studio.here / "00000005" / "memory.part";
  const UniqueFd fd = open_file(part, O_RDWR);
  const PartReader reader(part);
  REQUIRE(!reader.extents().empty());
  const ChangedByte changed(fd, reader.extents().front().offset, std::byte{1});
  const std::string named = part.string();
  SUBCASE("by a stream, which says so and breaks off") {
    CHECK_THROWS_WITH_AS(studio.send(), doctest::Contains(named.c_str()), ImageError);
    CHECK_THROWS_AS(studio.receive(), ImageError);
  }
  SUBCASE("by a copy") { CHECK_THROWS_WITH_AS(studio.copy(), doctest::Contains(named.c_str()), ImageError); }
  studio.check_whole();
  CHECK(ids(studio.there).back() == 4);
}

TEST_CASE("a copy of all leaves behind what is damaged, and carries the others") {
  const TwoSides studio;
  film::take(studio.here, std::nullopt);  // 7, which builds on none of them
  const fs::path part = studio.here / "00000005" / "memory.part";
  const UniqueFd fd = open_file(part, O_RDWR);
  const ChangedByte changed(fd, PartReader(part).extents().front().offset, std::byte{1});
  for (int again = 0; again < 2; ++again) {
    std::vector<LeftBehind> left;
    copy_checkpoints(studio.here, studio.there, std::nullopt, {}, &left);
    REQUIRE(left.size() == 2);
    CHECK(left[0].id == 5);
    CHECK(left[0].why.find(part.string()) != std::string::npos);
    CHECK(left[1].id == 6);
    CHECK(left[1].why == "it builds on checkpoint 5, which is damaged");
    CHECK(TwoSides::identities(studio.there, ids(studio.there)) == TwoSides::identities(studio.here, {1, 4, 7}));
    studio.check_whole();
  }
}

TEST_CASE("what was deleted does not come back with a copy, because what builds on it is damaged") {
  const TwoSides studio;  // 2 and 3 were deleted
  const UniqueFd fd = open_file(studio.here / "00000004" / "memory.part", O_RDWR);
  const ChangedByte changed(fd, PartReader(studio.here / "00000004" / "memory.part").extents().front().offset,
                            std::byte{1});
  std::vector<LeftBehind> left;
  copy_checkpoints(studio.here, studio.there, std::nullopt, {}, &left);
  CHECK(left.size() == 3);
  CHECK(TwoSides::identities(studio.there, ids(studio.there)) == TwoSides::identities(studio.here, {1}));
  CHECK(bases(studio.there).empty());
}

TEST_CASE("killed at any instant of copying, what is listed is whole, and the next copy goes on") {
  const TwoSides studio;
  std::mt19937 random(9);
  for (unsigned round = 0; round < rounds(20); ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      studio.copy();
      ::_exit(0);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 12000));
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    if (fs::exists(studio.there / ".lock")) studio.check_whole();
    studio.copy();
    studio.check_whole();
    CHECK(studio.newest_is_there());
    fs::remove_all(studio.there);
  }
}

TEST_CASE("two copies at once, at whatever moment the other comes: each checkpoint is there once") {
  const TwoSides studio;
  bool came = true;
  for (unsigned moment = 1; came; ++moment) {
    std::vector<Carried> other;
    AtMoment meanwhile(moment, [&] { other = studio.copy(); });
    const auto one = copy_checkpoints(studio.here, studio.there, std::nullopt, [&](const Progress&) { meanwhile(); });
    came = meanwhile.came();
    CHECK(one.size() == 6);
    check_shared(one, other);
    studio.check_each_is_there_once();
    fs::remove_all(studio.there);
  }
}

TEST_CASE("one copies parents, the other what builds on them: it finds them under whatever ids they have") {
  const TwoSides studio;
  for (const std::uint64_t upto : {1, 4, 5}) {
    std::vector<Carried> other;
    AtMoment meanwhile(1, [&] { other = copy_checkpoints(studio.here, studio.there, upto); });
    check_shared(copy_checkpoints(studio.here, studio.there, 6, [&](const Progress&) { meanwhile(); }), other);
    studio.check_each_is_there_once();
    fs::remove_all(studio.there);
  }
}

TEST_CASE("what comes by a stream and by a copy at once is there once") {
  const TwoSides studio;
  studio.send();
  std::mt19937 random(11);
  for (unsigned round = 0; round < rounds(16); ++round) {
    std::vector<Carried> other;
    AtMoment meanwhile(1 + random() % 100, [&] { other = studio.copy(); });
    const UniqueFd fd = open_file(studio.file, O_RDONLY);
    const auto one = receive_checkpoints(studio.there, [&, get = get_from(fd.get())](std::span<std::byte> into) {
      meanwhile();
      return get(into);
    });
    check_shared(one, other);
    studio.check_each_is_there_once();
    fs::remove_all(studio.there);
  }
}

TEST_CASE("of two copies at once the first is killed: the second does it") {
  const TwoSides studio;
  for (const unsigned last_breath : {1U, 3U, 8U, 15U}) {
    AtMoment meanwhile(1, [&] {
      const pid_t child = ::fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        AtMoment killed(last_breath, [] { ::kill(::getpid(), SIGKILL); });
        copy_checkpoints(studio.here, studio.there, std::nullopt, [&](const Progress&) { killed(); });
        ::_exit(0);
      }
      int status = 0;
      REQUIRE(::waitpid(child, &status, 0) == child);
      REQUIRE(WIFSIGNALED(status));
    });
    copy_checkpoints(studio.here, studio.there, std::nullopt, [&](const Progress&) { meanwhile(); });
    CHECK(studio.newest_is_there());
    const auto all = studio.identities(studio.there, ids(studio.there));
    CHECK(std::set(all.begin(), all.end()).size() == all.size());
    studio.check_whole();
    fs::remove_all(studio.there);
  }
}

TEST_CASE("three copies at once, each in a thread: each checkpoint is there once") {
  const TwoSides studio;
  for (unsigned round = 0; round < rounds(16); ++round) {
    {
      std::vector<std::jthread> copies;
      for (int i = 0; i < 3; ++i) copies.emplace_back([&] { studio.copy(); });
    }
    studio.check_each_is_there_once();
    fs::remove_all(studio.there);
  }
}

}  // namespace tintype
