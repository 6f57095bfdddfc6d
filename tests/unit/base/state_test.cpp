// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/state.h"

#include <doctest/doctest.h>

namespace tintype {
namespace {

struct InnerV1 {
  static constexpr std::string_view kType = "inner";
  static constexpr std::uint32_t kVersion = 1;
  std::int32_t signed_value = 0;
  bool operator==(const InnerV1&) const = default;
  static void fields(auto& self, auto&& field) { field(1, "signed_value", self.signed_value); }
};

struct OuterV1 {
  static constexpr std::string_view kType = "outer";
  static constexpr std::uint32_t kVersion = 1;
  bool flag = false;
  std::uint8_t small = 0;
  std::string text;
  std::array<std::uint16_t, 3> words{};
  std::vector<std::uint8_t> bytes;
  InnerV1 inner;
  std::vector<InnerV1> inners;
  bool operator==(const OuterV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "flag", self.flag);
    field(2, "small", self.small);
    field(3, "text", self.text);
    field(4, "words", self.words);
    field(5, "bytes", self.bytes);
    field(6, "inner", self.inner);
    field(7, "inners", self.inners);
  }
};

OuterV1 sample() { return {true, 200, "text", {1, 2, 0xffff}, {9, 8}, {-5}, {{1}, {-2}}}; }

}  // namespace

TEST_CASE("a saved state comes back as it was, every kind of field") {
  CHECK(from_record<OuterV1>(to_record(sample())) == sample());
}

TEST_CASE("a damaged record is refused, never read as a default") {
  const StateRecord good = to_record(sample());
  SUBCASE("missing field") {
    StateRecord record = good;
    record.fields.pop_back();
    CHECK_THROWS_AS(from_record<OuterV1>(record), StateError);
  }
  SUBCASE("doubled field in place of another") {
    StateRecord record = good;
    record.fields[1] = record.fields[0];
    CHECK_THROWS_AS(from_record<OuterV1>(record), StateError);
  }
  SUBCASE("unknown field") {
    StateRecord record = good;
    record.fields.push_back({99, "surprise", std::uint64_t{1}});
    CHECK_THROWS_AS(from_record<OuterV1>(record), StateError);
  }
  SUBCASE("other version") {
    StateRecord record = good;
    record.version = 2;
    CHECK_THROWS_AS(from_record<OuterV1>(record), StateError);
  }
  SUBCASE("number out of range") {
    StateRecord record = good;
    record.fields[1].value = std::uint64_t{256};
    CHECK_THROWS_AS(from_record<OuterV1>(record), StateError);
  }
  SUBCASE("wrong kind") {
    StateRecord record = good;
    record.fields[2].value = std::uint64_t{1};
    CHECK_THROWS_AS(from_record<OuterV1>(record), StateError);
  }
  SUBCASE("array of the wrong length") {
    StateRecord record = good;
    record.fields[3].value = StateBytes(4);
    CHECK_THROWS_AS(from_record<OuterV1>(record), StateError);
  }
}

}  // namespace tintype
