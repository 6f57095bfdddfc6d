// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/retention.h"

#include <doctest/doctest.h>

#include "vmm/base/error.h"

namespace tintype {
namespace {

std::vector<std::uint64_t> kept(const std::vector<Dated>& film, const char* rule) {
  std::vector<std::uint64_t> ids;
  for (const Verdict& verdict : judge(film, parse_retention(rule, "--keep")))
    if (!verdict.because.empty()) ids.push_back(verdict.id);
  return ids;
}

using Ids = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("a rule is read and written again") {
  CHECK(text_of(parse_retention("last=5,hourly=24,daily=7", "--keep")) == "last=5,hourly=24,daily=7");
  CHECK(text_of(parse_retention("yearly=1,last=2", "--keep")) == "last=2,yearly=1");
  CHECK(parse_retention("weekly=4", "--keep")[Period::kWeekly] == 4);
}

TEST_CASE("a rule that is not one is refused by what is wrong with it") {
  const auto refused = [](const char* rule, const char* why) {
    CAPTURE(rule);
    CHECK_THROWS_WITH_AS(parse_retention(rule, "--keep"), doctest::Contains(why), UsageError);
  };
  refused("", "would keep nothing");
  refused("last=0", "would keep nothing");
  refused("last", "give some of last=N, hourly=N");
  refused("minutely=3", "give some of");
  refused("daily=", "whole number");
  refused("daily=-1", "whole number");
  refused("daily=7x", "whole number");
  refused("daily=99999999999999999999", "whole number");
  refused("daily=7,daily=8", "given twice");
  refused("daily=7,,last=1", "give some of");
  refused("within=0d", "would keep nothing");
  refused("within=30", "30d");
  refused("within=d", "30d");
  refused("within=36501d", "hundred years");
  refused("within=1d,within=2d", "given twice");
}

TEST_CASE("all stay within a time before the newest") {
  const std::vector<Dated> film{{1, "2024-04-30T11:59:59Z"},
                                {2, "2024-04-30T12:00:00Z"},
                                {3, "2024-05-01T11:00:00Z"},
                                {4, "2024-05-01T12:00:00Z"},
                                {5, "?"}};
  CHECK(kept(film, "within=1d") == Ids{2, 3, 4, 5});  // of one whose time cannot be read nobody knows that it is older
  CHECK(kept(film, "within=1h") == Ids{3, 4, 5});
  CHECK(kept(film, "within=3599s") == Ids{4, 5});
  CHECK(kept(film, "within=30m,daily=2") == Ids{2, 4, 5});
  const std::vector<Dated> set_back{
      {1, "2024-05-01T10:00:00Z"}, {2, "2094-05-01T11:00:00Z"}, {3, "2024-05-01T12:00:00Z"}};
  CHECK(kept(set_back, "within=1d") == Ids{1, 2, 3});
  CHECK(kept({}, "within=1d").empty());
  CHECK(text_of(parse_retention("within=48h,last=2", "--keep")) == "last=2,within=2d");
  CHECK(text_of(parse_retention("within=90s", "--keep")) == "within=90s");
}

TEST_CASE("last keeps the newest, by their ids and not by the clock") {
  const std::vector<Dated> film{{1, "2024-05-01T10:00:00Z"}, {2, "2024-05-01T11:00:00Z"}, {7, "2019-01-01T00:00:00Z"}};
  CHECK(kept(film, "last=1") == Ids{7});
  CHECK(kept(film, "last=2") == Ids{2, 7});
  CHECK(kept(film, "last=9") == Ids{1, 2, 7});
  CHECK(kept({}, "last=9").empty());
}

TEST_CASE("of each period in which there is one the newest stays, the most recent periods first") {
  const std::vector<Dated> film{
      {1, "2023-12-31T23:59:59Z"}, {2, "2024-01-01T00:00:00Z"},  // two days, months and years, one week
      {3, "2024-01-07T23:59:59Z"}, {4, "2024-01-08T00:00:00Z"},  // Sunday, Monday
      {5, "2024-01-08T00:59:59Z"}, {6, "2024-01-08T01:00:00Z"}};
  CHECK(kept(film, "hourly=2") == Ids{5, 6});
  CHECK(kept(film, "hourly=3") == Ids{3, 5, 6});  // hours in which there is none do not count
  CHECK(kept(film, "daily=2") == Ids{3, 6});
  CHECK(kept(film, "weekly=2") == Ids{3, 6});
  CHECK(kept(film, "weekly=9") == Ids{1, 3, 6});  // 2023-12-31 was a Sunday
  CHECK(kept(film, "monthly=5") == Ids{1, 6});
  CHECK(kept(film, "yearly=1") == Ids{6});
  CHECK(kept(film, "yearly=2,last=1") == Ids{1, 6});
}

TEST_CASE("each says why it stays") {
  const auto verdicts = judge(std::vector<Dated>{{1, "2024-05-01T10:00:00Z"}, {2, "2024-05-01T10:30:00Z"}},
                              parse_retention("last=2,daily=1", "--keep"));
  REQUIRE(verdicts.size() == 2);
  CHECK(verdicts[0].because == std::vector<std::string_view>{"last"});
  CHECK(verdicts[1].because == std::vector<std::string_view>{"last", "daily"});
}

TEST_CASE("a time that cannot be read counts for last only") {
  const std::vector<Dated> film{{1, "2024-05-01T10:00:00Z"}, {2, "soon"}, {3, "2024-13-01T10:00:00Z"}};
  CHECK(kept(film, "daily=3") == Ids{1});
  CHECK(kept(film, "last=2") == Ids{2, 3});
}

}  // namespace tintype
