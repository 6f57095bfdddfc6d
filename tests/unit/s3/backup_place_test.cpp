// SPDX-License-Identifier: Apache-2.0
// Backups that go to a bucket: as the only place, and beside a directory that leads.
#include <doctest/doctest.h>

#include "checkpoint/backup/place.h"
#include "checkpoint/backup/plan.h"
#include "checkpoint/store/operations.h"
#include "tests/support/fake_s3.h"
#include "tests/unit/store/film.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
using testing::FakeS3;

struct BucketFixture {
  BucketFixture() { ::setenv("TINTYPE_STORE_PATIENCE", "2", 1); }

  ScratchDirectory scratch{quick_directory()};
  const std::string here = scratch / "here";
  FakeS3 store;
  const std::string bucket = store.place();
  const std::unique_ptr<BackupPlace> place = make_repository_place(bucket, "film");
  const Retention keep = parse_retention("last=2", "--keep");
  std::optional<Manifest> last{};

  /// What a backup does each time: a checkpoint that was taken into that repository comes to the place.
  std::uint64_t beat(const std::string& taken_to) {
    place->look();
    last = film::take(taken_to, last);
    const std::uint64_t id = place->bring(taken_to, last->id, {});
    place->prune(keep, {});
    return id;
  }
  void check_kept(const std::vector<std::uint64_t>& ids) const {
    CHECK(film::ids_text(open_store(bucket)->ids()) == film::ids_text(ids));
    CHECK(show_checkpoint(bucket, std::nullopt).identity == last->identity);
    CHECK(film::first_fault(bucket).empty());
  }
};

}  // namespace

TEST_CASE_FIXTURE(BucketFixture, "backups to a bucket go on, and as many stay as are to be kept") {
  for (std::uint64_t i = 1; i <= 5; ++i) CHECK(beat(bucket) == i);
  check_kept({4, 5});
}

TEST_CASE_FIXTURE(BucketFixture, "a bucket beside a directory gets what it was asked for, and hides what came along") {
  beat(here);
  for (int i = 0; i < 2; ++i) {
    last = film::take(here, last);  // of the place that leads alone
    beat(here);
  }
  check_kept({3, 5});
}

TEST_CASE_FIXTURE(BucketFixture, "a store that is away is said to be, and backups go on when it is back") {
  beat(here);
  store.set_down(true);
  CHECK_THROWS_WITH_AS(beat(here), doctest::Contains("127.0.0.1"), Error);
  store.set_down(false);
  beat(here);
  CHECK(show_checkpoint(bucket, std::nullopt).identity == last->identity);
  store.set_down(true);
  const auto begun_meanwhile = make_repository_place(bucket, "film");  // waits for nobody
  store.set_down(false);
  begun_meanwhile->look();
  CHECK(begun_meanwhile->bring(here, last->id, {}) == open_store(bucket)->ids().back());
}

TEST_CASE("a plan says where backups go: a directory, a bucket or a standby") {
  BackupPlan plan;
  plan.every_ms = 1000;
  plan.to = "s3://bucket/film";
  CHECK_NOTHROW(check_plan(plan));
  plan.to = "ftp://bucket/film";
  CHECK_THROWS_WITH_AS(check_plan(plan), doctest::Contains("s3://BUCKET/PREFIX"), UsageError);
}

}  // namespace tintype
