// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/report_page.h"

#include <doctest/doctest.h>

namespace tintype {

namespace {

CheckpointSummary checkpoint(std::uint64_t id, const std::string& vm) {
  Manifest manifest;
  manifest.id = id;
  manifest.vm = vm;
  manifest.time = "2024-05-01T12:34:56Z";
  manifest.parent = id - 1;
  manifest.machine.memory = 1 << 20;
  manifest.machine.disks.push_back({"disk0", "/images/<b>.raw", 1 << 20, "persistent", false, ""});
  manifest.report.pause_us = {.total = 1234, .kick = 1000, .state = 234};
  manifest.report.disks.push_back({"disk0", 4096});
  return {id, 5 << 20, manifest, "", {}};
}

RepositoryFilm film_of(const std::string& vm) {
  RepositoryFilm film;
  film.repository = "/photos";
  film.made = "2024-05-02T00:00:00Z";
  film.checkpoints = {checkpoint(1, vm), checkpoint(2, vm)};
  film.diffs.push_back({*film.checkpoints[0].manifest,
                        *film.checkpoints[1].manifest,
                        {"memory", 256, 3, {{0, 2}, {255, 1}}},
                        {{"disk0", 256, 0, {}}},
                        {}});
  return film;
}

std::size_t count(const std::string& text, std::string_view word) {
  std::size_t found = 0;
  for (auto at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("the page shows each checkpoint, its pause, disks, and what changed since its neighbour") {
  const std::string page = report_page(film_of("m"));
  CHECK(count(page, "class=\"frame\"") == 2);
  CHECK(page.find("pause 1.234 ms") != page.npos);
  CHECK(page.find("kick: 1000 µs") != page.npos);
  CHECK(page.find("<h3>From 1 to 2</h3>") != page.npos);
  CHECK(page.find("3 of 256 pages changed, 12 KiB in 2 places") != page.npos);
  CHECK(page.starts_with("<!DOCTYPE html>"));
  CHECK(page.ends_with("</html>\n"));
}

TEST_CASE("the page needs nothing from elsewhere, and text of a checkpoint stays text") {
  const std::string page = report_page(film_of("<script>alert('&')</script>\x01"));
  CHECK(page.find("<script") == page.npos);
  CHECK(page.find("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;?") != page.npos);
  CHECK(page.find("/images/&lt;b&gt;.raw") != page.npos);
  for (const char* word : {"http:", "https:", "src=", "url(", "@import"}) CHECK(page.find(word) == page.npos);
}

TEST_CASE("a checkpoint that cannot be read is shown as that, and a repository of nothing else too") {
  RepositoryFilm film;
  film.checkpoints.push_back({7, 100, std::nullopt, "its manifest is <damaged>", {}});
  film.verification = Verification{1, 100, 0, {{7, "memory.part", "a checksum is wrong"}}};
  film.notes.push_back("1 and 2 are not compared");
  const std::string page = report_page(film);
  CHECK(page.find("its manifest is &lt;damaged&gt;") != page.npos);
  CHECK(page.find("a checksum is wrong") != page.npos);
  CHECK(page.find("1 and 2 are not compared") != page.npos);
}

TEST_CASE("a frame says what came of verifying and drilling its checkpoint, and nothing where nobody did") {
  RepositoryFilm film = film_of("m");
  CHECK(count(report_page(film), "verified") == 0);
  CHECK(count(report_page(film), "drill") == 0);
  film.checkpoints[0].checks.verified = CheckNote{"2024-05-02T01:00:00Z", true, "4 MiB are as written"};
  film.checkpoints[0].checks.drilled = CheckNote{"2024-05-02T02:00:00Z", false, "it printed <nothing>"};
  const std::string page = report_page(film);
  CHECK(count(page, "<br>verified: good</span>") == 1);
  CHECK(page.find("2024-05-02T01:00:00Z: 4 MiB are as written") != page.npos);
  CHECK(count(page, "<br>drill: BAD</span>") == 1);
  CHECK(page.find("2024-05-02T02:00:00Z: it printed &lt;nothing&gt;") != page.npos);
}

TEST_CASE("a map has a cell for what changed, and none for the rest, whatever the part's size") {
  RepositoryFilm film = film_of("m");
  film.diffs[0].disks.clear();
  film.diffs[0].memory = {"memory", 1, 1, {{0, 1}}};
  CHECK(count(report_page(film), "opacity=\"1.00\"") == 2);  // in the strip, and large
  film.diffs[0].memory = {"memory", 0, 0, {}};
  CHECK(count(report_page(film), "opacity=") == 0);
  film.diffs[0].memory = {"memory", 1ULL << 28, 1ULL << 28, {{0, 1ULL << 28}}};
  CHECK(count(report_page(film), "opacity=\"1.00\"") == 32 * 3 + 128 * 16);
}

}  // namespace tintype
