// SPDX-License-Identifier: Apache-2.0
// The contract suite against things that break the contract: each of these must be caught, or the suite is
// worth nothing.
#include "tests/support/state_contract.h"

namespace tintype {
namespace {

struct PartV1 {
  static constexpr std::string_view kType = "part";
  static constexpr std::uint32_t kVersion = 1;
  std::uint32_t size = 0;
  bool operator==(const PartV1&) const = default;
  static void fields(auto& self, auto&& field) { field(1, "size", self.size); }
};

struct ThingV1 {
  static constexpr std::string_view kType = "thing";
  static constexpr std::uint32_t kVersion = 1;
  std::uint8_t first = 0;
  std::uint8_t second = 0;
  std::vector<PartV1> parts;
  bool operator==(const ThingV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "first", self.first);
    field(2, "second", self.second);
    field(3, "parts", self.parts);
  }
};

enum class Flaw {
  kNone,
  kForgetsToRestore,
  kRestoresOnlyOnce,
  kAcceptsDamage,
  kRefusalChanges,
  kAcceptsBadValue,
  kSavesRandom
};

template <Flaw flaw>
class Thing final : public Stateful {
 public:
  std::string state_name() const override { return "thing"; }
  StateRecord save_state() const override {
    if (flaw == Flaw::kSavesRandom) ++state_.second;
    return to_record(state_);
  }
  void check_state(const StateRecord& record) const override {
    if (flaw == Flaw::kAcceptsDamage && record.fields.size() < 3) return;
    if (flaw == Flaw::kRefusalChanges) ++state_.first;
    const auto state = from_record<ThingV1>(record);
    if (flaw == Flaw::kRefusalChanges) --state_.first;
    if (flaw != Flaw::kAcceptsBadValue && state.first > 100) throw StateError("first is more than 100");
  }
  void restore_state(const StateRecord& record) override {
    const auto state = from_record<ThingV1>(record);
    const std::uint8_t second = state_.second;
    if (flaw == Flaw::kRestoresOnlyOnce && second != 0) return;
    state_ = state;
    if (flaw == Flaw::kForgetsToRestore) state_.second = second;
  }
  mutable ThingV1 state_;
};

template <Flaw flaw>
struct Fixture {
  Thing<flaw> it;
  Thing<flaw>& thing() { return it; }
};

template <Flaw flaw>
StateContract<Fixture<flaw>> contract() {
  StateContract<Fixture<flaw>> contract;
  contract.changes = {{"first", [](auto& f) { f.it.state_.first = 1; }},
                      {"second", [](auto& f) { f.it.state_.second = 2; }},
                      {"parts", [](auto& f) {
                         f.it.state_.parts = {{3}, {4}};
                       }}};
  contract.refused = {{"first", std::uint64_t{101}}, {"parts.size", std::uint64_t{1} << 32}};
  return contract;
}

}  // namespace

TEST_CASE("state contract: a thing that keeps it passes") { contract<Flaw::kNone>().verify(); }

TEST_CASE("state contract: a field that is not restored is caught" * doctest::should_fail()) {
  contract<Flaw::kForgetsToRestore>().verify();
}
TEST_CASE("state contract: a thing that cannot be restored twice is caught" * doctest::should_fail()) {
  contract<Flaw::kRestoresOnlyOnce>().verify();
}
TEST_CASE("state contract: a damaged record that is accepted is caught" * doctest::should_fail()) {
  contract<Flaw::kAcceptsDamage>().verify();
}
TEST_CASE("state contract: a refusal that changes something is caught" * doctest::should_fail()) {
  contract<Flaw::kRefusalChanges>().verify();
}
TEST_CASE("state contract: a senseless value that is accepted is caught" * doctest::should_fail()) {
  contract<Flaw::kAcceptsBadValue>().verify();
}
TEST_CASE("state contract: saving that changes something is caught" * doctest::should_fail()) {
  contract<Flaw::kSavesRandom>().verify();
}
TEST_CASE("state contract: a field that no change reaches is caught" * doctest::should_fail()) {
  auto incomplete = contract<Flaw::kNone>();
  incomplete.changes.pop_back();
  incomplete.refused.pop_back();
  incomplete.verify();
}
TEST_CASE("state contract: a change that changes nothing is caught" * doctest::should_fail()) {
  auto idle = contract<Flaw::kNone>();
  idle.changes.push_back({"nothing", [](auto&) {}});
  idle.verify();
}

}  // namespace tintype
