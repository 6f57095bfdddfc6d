// SPDX-License-Identifier: Apache-2.0
// Checkpoints at regular beats, of a machine made of paper: which beats are skipped, and what becomes of old ones.
#include "checkpoint/capture/series.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <numeric>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/store/checkpoint_store.h"
#include "tests/support/becomes_true.h"
#include "tests/unit/capture/paper_machine.h"

namespace tintype {

namespace {

using std::chrono::milliseconds;
using Ids = SeriesPruner::Ids;

/// A machine that is filmed.
struct FilmSet {
  TemporaryRepository repository;
  PaperMachine machine{std::make_shared<Script>(), 2 << 20};
  CaptureMeans means;
  CheckpointOptions options = repository.options();
  std::atomic<std::uint64_t> taken = 0;
  const std::function<void(const CheckpointReport&)> count = [this](const CheckpointReport&) { ++taken; };

  SeriesReport film(const SeriesOptions& series, const SeriesPruner::Remove& remove = {}) {
    Checkpointer checkpointer(machine, means);
    return take_series(checkpointer, options, series, {}, count, remove);
  }
  /// Until it is cancelled, which is when so many were taken, and somewhat later.
  SeriesReport film_until(std::uint64_t number, const SeriesOptions& series, const SeriesPruner::Remove& remove) {
    Checkpointer checkpointer(machine, means);
    std::thread user([&] {
      CHECK(becomes_true([&] { return taken >= number; }));
      std::this_thread::sleep_for(milliseconds(200));
      checkpointer.cancel();
    });
    const SeriesReport report = take_series(checkpointer, options, series, {}, count, remove);
    user.join();
    return report;
  }
  Ids there() const { return open_store(repository.path())->ids(); }
};

}  // namespace

TEST_CASE("a series ends when its old checkpoints are deleted") {
  FilmSet set;
  const SeriesReport report = set.film({.every_ms = 1, .count = 12, .keep = 3});
  CHECK(report.taken == 12);
  CHECK(report.deleted == 9);
  CHECK(report.not_deleted == 0);
  CHECK(set.there() == Ids{10, 11, 12});
}

TEST_CASE("what somebody else has deleted does not keep the others") {
  FilmSet set;
  const auto remove = [real = remove_from(set.options.repository), path = set.repository.path()](
                          const Ids& ids, const ProgressSink& progress) mutable {
    if (ids.front() == 1) open_store(path)->remove(1);
    real(ids, progress);
  };
  CHECK(set.film({.every_ms = 1, .count = 6, .keep = 2}, remove).not_deleted == 0);
  CHECK(set.there() == Ids{5, 6});
}

TEST_CASE("all that came together is deleted at once") {
  FilmSet set;
  const auto hang = std::make_shared<Barrier>();
  const auto calls = std::make_shared<std::vector<Ids>>();
  std::thread host([&] {
    CHECK(becomes_true([&] { return set.taken == 20; }));
    hang->open();
  });
  const SeriesReport report =
      set.film({.every_ms = 1, .count = 20, .keep = 2}, [hang, calls](const Ids& ids, const ProgressSink&) {
        calls->push_back(ids);
        hang->wait();
      });
  host.join();
  CHECK(report.deleted == 18);
  CHECK(calls->size() <= 3);
  Ids all, expected(18);
  for (const Ids& ids : *calls) all.insert(all.end(), ids.begin(), ids.end());
  std::iota(expected.begin(), expected.end(), 1);
  CHECK(all == expected);
}

TEST_CASE("a series does not run away from whoever deletes its old checkpoints") {
  FilmSet set;
  const auto hang = std::make_shared<Barrier>();
  const SeriesReport report = set.film_until(kMostBehind + 2, {.every_ms = 1, .keep = 2},
                                             [hang](const Ids&, const ProgressSink&) { hang->wait(); });
  CHECK(report.taken == kMostBehind + 2);
  CHECK(report.skipped > 0);
  CHECK(report.deleted == 0);
  CHECK(report.not_deleted == kMostBehind);
  hang->open();
}

TEST_CASE("cancelled, a series that is deleting ends, and says what is left") {
  FilmSet set;
  const auto remove = [](const Ids&, const ProgressSink& progress) {
    for (;;) {
      progress({});
      std::this_thread::sleep_for(milliseconds(1));
    }
  };
  const SeriesReport report = set.film_until(5, {.every_ms = 1, .count = 5, .keep = 2}, remove);
  CHECK(report.taken == 5);
  CHECK(report.not_deleted == 3);
}

TEST_CASE("what cannot be deleted is tried again with the next ones") {
  FilmSet set;
  const auto fail = [failures = 3, real = remove_from(set.options.repository)](const Ids& ids,
                                                                               const ProgressSink& progress) mutable {
    if (failures-- > 0) throw Error("it was told to fail");
    real(ids, progress);
  };
  SeriesOptions series{.every_ms = 10, .count = 20, .keep = 2};
  CHECK(set.film(series, fail).deleted == 18);
  CHECK(set.there() == Ids{19, 20});
  const auto never = [](const Ids&, const ProgressSink&) { throw Error("it was told to fail"); };
  series.count = 5;
  const SeriesReport report = set.film(series, never);
  CHECK(report.deleted == 0);
  CHECK(report.not_deleted == 3);
}

TEST_CASE("a repository that is gone is not made anew by the next beat") {
  FilmSet set;
  const std::filesystem::path repository = set.repository.path(), away = repository.string() + "-away";
  Checkpointer checkpointer(set.machine, set.means);
  const auto unmount = [&](const CheckpointReport&) {
    std::filesystem::rename(repository, away);
    std::filesystem::create_directory(repository);
  };
  CHECK_THROWS_WITH_AS(take_series(checkpointer, set.options, {.every_ms = 1, .count = 3}, {}, unmount),
                       doctest::Contains("bring back the device"), Error);
  CHECK(std::filesystem::is_empty(repository));
  CHECK(open_store(away)->ids() == Ids{1});
  std::filesystem::remove_all(away);
}

TEST_CASE("beats that a slow destination misses are skipped, and counted") {
  FilmSet set;
  set.means.open_target = directed(set.repository, [](const std::string& step) {
    if (step == "seal") std::this_thread::sleep_for(milliseconds(50));
  });
  const SeriesReport report = set.film({.every_ms = 5, .count = 3});
  CHECK(report.taken == 3);
  CHECK(report.skipped >= 16);  // nine each of the first two that are sealed for 50 ms
}

}  // namespace tintype
