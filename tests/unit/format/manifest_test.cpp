// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/manifest.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "checkpoint/format/manifest_text.h"
#include "tests/unit/format/sample_manifest.h"
#include "vmm/base/checksum.h"

namespace tintype {
namespace {

using checkpoint_test::sample_manifest;

constexpr std::size_t kDigitsOffset = 22;

/// The text with a right checksum, as a forger would send it.
std::string resealed(std::string text) {
  const auto rest = std::as_bytes(std::span(text)).subspan(kDigitsOffset + 16);
  text.replace(kDigitsOffset, 16, fmt::format("{:016x}", checksum_of(rest)));
  return text;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto found = text.find(from);
  REQUIRE(found != text.npos);
  return resealed(text.replace(found, from.size(), to));
}

Manifest full_manifest() {
  Manifest manifest = sample_manifest();
  manifest.id = 4;
  manifest.time = "2024-05-01T12:34:56Z";
  manifest.parts = {{"memory", "memory.part", {1, 2, 0xfedcba9876543210, 3}}};
  return manifest;
}

}  // namespace

TEST_CASE("a manifest comes back as it was, numbers of 64 bits and all") {
  Manifest manifest = full_manifest();
  manifest.report.copy_ms = UINT64_MAX;
  const Manifest back = decode_manifest(encode_manifest(manifest), "m");
  CHECK(encode_manifest(back) == encode_manifest(manifest));
  CHECK(back.machine == manifest.machine);
  CHECK(back.parts == manifest.parts);
  CHECK(back.report.copy_ms == UINT64_MAX);
  CHECK(back.report.strategy == Strategy::kCow);
}

TEST_CASE("names and command lines that are not UTF-8 survive") {
  Manifest manifest = full_manifest();
  manifest.machine.disks[0].image = std::string("/images/\xff\xfe name");
  manifest.machine.append = "quoted \"x\" \\ \x01 \xc3";
  const Manifest back = decode_manifest(encode_manifest(manifest), "m");
  CHECK(back.machine == manifest.machine);
}

TEST_CASE("where a manifest keeps its checksum is fixed for good") {
  const std::string text = encode_manifest(full_manifest());
  CHECK(text.substr(0, kDigitsOffset) == "{\n  \"checksum\": \"xxh3:");
  CHECK(resealed(text) == text);
}

TEST_CASE("a manifest can be spelled in other bytes, again and again, and says the same") {
  const std::string text = encode_manifest(full_manifest());
  const auto once = respelled_manifest(text);
  REQUIRE(once);
  const auto twice = respelled_manifest(*once);
  REQUIRE(twice);
  CHECK(*once != text);
  CHECK(*twice != *once);
  for (const std::string& each : {*once, *twice}) CHECK(encode_manifest(decode_manifest(each, "the manifest")) == text);
  CHECK(!respelled_manifest(text.substr(0, text.size() - 2)));
  Manifest oldest = full_manifest();
  oldest.format = kOldestManifestFormat;
  CHECK(!respelled_manifest(encode_manifest(oldest)));
}

TEST_CASE("a forged manifest with a right checksum is refused with the place named") {
  const std::string good = encode_manifest(full_manifest());
  const auto refused = [](const std::string& text, const char* why) {
    CAPTURE(why);
    CHECK_THROWS_WITH_AS(decode_manifest(text, "m"), doctest::Contains(why), ImageError);
  };
  refused(replaced(good, "\"cpus\": 2", "\"cpus\": -2"), "m.machine.cpus");
  refused(replaced(good, "\"cpus\": 2", "\"cpus\": 4294967296"), "m.machine.cpus is too large");
  refused(replaced(good, "\"cpus\": 2", "\"cpus\": \"2\""), "m.machine.cpus");
  refused(replaced(good, "\"cpus\": 2", "\"cups\": 2"), "m.machine.cpus is missing");
  refused(replaced(good, "\"cow\"", "\"bull\""), "m.report.strategy");
  refused(replaced(good, "\"memory.part\"", "\"../../etc/passwd\""), "cannot be");
  refused(replaced(good, "\"memory.part\"", "\"..\""), "cannot be");
  refused(replaced(good, "\"read_only\": false", "\"read_only\": 0"), "read_only");
  refused(replaced(good, "\"start\": 4294967296", "\"start\": 4096"), "regions");
  refused(replaced(good, "\"start\": 4294967296", "\"start\": 18446744073709547520"), "regions");
  refused(replaced(good, "\"first_block\": 40", "\"first_block\": 41"), "regions");
  refused(replaced(good, "\"format\": 2", "\"format\": 3"), "format version 3");
  refused(replaced(good, "\"format\": 2", "\"format\": 0"), "format version 0");
  refused(replaced(good, "fedcba9876543210", "FEDCBA9876543210"), "checksum");
  refused(resealed(good.substr(0, good.size() - 3)), "not a JSON object");
  refused(resealed("{\n  \"checksum\": \"xxh3:0123456789abcdef\"" + std::string(100000, '[')), "not a JSON object");
}

TEST_CASE("a manifest of later make with remarks that we do not know is still read") {
  const std::string text = replaced(encode_manifest(full_manifest()), "\"vm\":", "\"remark\": {\"a\": []}, \"vm\":");
  CHECK(decode_manifest(text, "m").vm == "sample");
}

TEST_CASE("a report of a version that did not measure everything is read as far as it goes") {
  CheckpointReport report = full_manifest().report;
  report.prepare_ms = 0;
  report.pause_us.copy = 0;
  nlohmann::json old = nlohmann::json::parse(report_as_json(report));
  REQUIRE(old.erase("prepare_ms") == 1);
  REQUIRE(old["pause_us"].erase("copy") == 1);
  CHECK(report_as_json(report_from_json(old.dump())) == report_as_json(report));
}

TEST_CASE("the report that checkpoint prints has what the command line promises") {
  CheckpointReport report = full_manifest().report;
  report.id = 7;
  const std::string text = report_as_json(report);
  for (const char* key :
       {"id",     "repository", "vm",          "strategy",      "parent",     "pause_us",
        "total",  "kick",       "devices",     "disks",         "state",      "protect",
        "resume", "memory",     "pages_total", "pages_written", "pages_zero", "bytes_written",
        "faults", "fault_us",   "p50",         "p99",           "max",        "capture_area_peak_bytes",
        "rounds", "copy_ms",    "seal_ms",     "total_ms"}) {
    CAPTURE(key);
    CHECK(text.find(fmt::format("\"{}\":", key)) != text.npos);
  }
  const CheckpointReport back = report_from_json(text);
  CHECK(report_as_json(back) == text);
  CHECK_THROWS_AS(report_from_json("{}"), Error);
  CHECK_THROWS_AS(report_from_json("nonsense"), Error);
}

TEST_CASE("every strategy and compression has a name that leads back to it") {
  for (const Strategy strategy :
       {Strategy::kAuto, Strategy::kStop, Strategy::kPrecopy, Strategy::kCow, Strategy::kFork, Strategy::kHybrid}) {
    CHECK(value_of<Strategy>(name_of(strategy)) == strategy);
  }
  for (const Compression compression : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    CHECK(value_of<Compression>(name_of(compression)) == compression);
  }
  CHECK_FALSE(value_of<Strategy>("").has_value());
  CHECK_FALSE(value_of<Compression>("LZ4").has_value());
}

}  // namespace tintype
