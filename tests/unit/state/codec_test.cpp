// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/codec.h"

#include <cstring>

#include <doctest/doctest.h>

#include "tests/unit/format/scratch.h"
#include "vmm/base/checksum.h"
#include "vmm/base/little_endian.h"

namespace tintype {
namespace {

using checkpoint_test::Bytes;

std::vector<NamedState> sample() {
  const StateRecord inner{"inner", 2, {{1, "word", std::uint64_t{0xfffffffffffffffb}}}};
  const StateRecord outer{"outer",
                          1,
                          {{1, "flag", std::uint64_t{1}},
                           {2, "bytes", StateBytes{1, 2, 0xff}},
                           {300, "empty", StateBytes{}},
                           {4, "list", std::vector<StateRecord>{inner, inner}},
                           {5, "none", std::vector<StateRecord>{}}}};
  return {{"uart0", outer}, {"vcpu0", inner}, {"nothing", {"empty", 1, {}}}};
}

StateRecord nested(unsigned depth) {
  StateRecord record{"leaf", 1, {}};
  for (unsigned i = 1; i < depth; ++i)
    record = StateRecord{"node", 1, {{1, "below", std::vector<StateRecord>{record}}}};
  return record;
}

/// The bytes with a right checksum, so that what lies behind it is reached.
Bytes resealed(Bytes bytes) {
  store_number<std::uint64_t>(std::span(bytes), 16, bytes.size());
  store_number(std::span(bytes), bytes.size() - 8, checksum_of(std::span(bytes).first(bytes.size() - 8)));
  return bytes;
}

}  // namespace

TEST_CASE("a machine's state comes back exactly, in its order") {
  CHECK(decode_states(encode_states(sample()), "state") == sample());
  CHECK(decode_states(encode_states({}), "state").empty());
}

TEST_CASE("any changed bit of a machine's state is found") {
  const Bytes good = encode_states(sample());
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = good;
      bad[i] ^= static_cast<std::byte>(1 << bit);
      CHECK_THROWS_AS(decode_states(bad, "state"), StateError);
    }
  }
}

TEST_CASE("a machine's state cut short or drawn out is refused") {
  const Bytes good = encode_states(sample());
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK_THROWS_AS(decode_states(std::span(good).first(size), "state"), StateError);
  }
  Bytes longer = good;
  longer.push_back(std::byte{0});
  CHECK_THROWS_AS(decode_states(longer, "state"), StateError);
  CHECK_THROWS_AS(decode_states(resealed(longer), "state"), StateError);
}

TEST_CASE("a forged state with a right checksum neither crashes nor allocates what it claims") {
  const Bytes good = encode_states(sample());
  int refused = 0;
  for (std::size_t i = 8; i + 8 < good.size(); ++i) {
    for (const unsigned value : {0x00U, 0x01U, 0x7fU, 0xffU}) {
      Bytes bad = good;
      bad[i] = static_cast<std::byte>(value);
      try {
        decode_states(resealed(bad), "state");
      } catch (const StateError&) {
        ++refused;
      }
    }
  }
  CHECK(refused > 100);
}

TEST_CASE("a count that the file cannot hold is refused before anything is allocated") {
  Bytes bad = encode_states(sample());
  store_number<std::uint32_t>(std::span(bad), 12, 0xffffffff);
  CHECK_THROWS_WITH_AS(decode_states(resealed(bad), "machine.state"), doctest::Contains("longer than the file"),
                       StateError);
}

TEST_CASE("records nested too deep are refused both ways") {
  const std::vector<NamedState> deepest{{"x", nested(kMaximumStateDepth)}};
  CHECK(decode_states(encode_states(deepest), "state") == deepest);
  CHECK_THROWS_AS(encode_states(std::vector<NamedState>{{"x", nested(kMaximumStateDepth + 1)}}), StateError);
}

TEST_CASE("two things of the same name cannot be saved over each other") {
  const std::vector<NamedState> twice{sample()[1], sample()[1]};
  CHECK_THROWS_AS(encode_states(twice), StateError);
}

}  // namespace tintype
