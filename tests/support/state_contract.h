// SPDX-License-Identifier: Apache-2.0
#pragma once

// What every thing with state owes (vmm/base/state.h), as one suite. A test hands in how to make the thing,
// and ways to change it:
//
//   struct UartFixture {                       // whatever the thing needs to live, fakes included
//     FakeIrqLine irq;
//     Uart16550 uart{irq, sink};
//     Uart16550& thing() { return uart; }
//   };
//
//   TEST_CASE("uart16550: state contract") {
//     StateContract<UartFixture> contract;
//     contract.changes = {{"divisor", [](UartFixture& f) { ... }}, ...};
//     contract.refused = {{"received", StateBytes(17)}, {"line.speed", std::uint64_t{0}}};
//     contract.verify();
//   }
//
// verify() shows that
//   - saving changes nothing: two saves are equal;
//   - each change shows in the saved state, and restoring the earlier state undoes it;
//   - the changed state can be given to a fresh thing, which then saves the same;
//   - every field took at least two values over all those states, so none is a constant that was never filled
//   in;
//   - check_state() refuses another type or version, an unknown field, and for every field: missing, doubled,
//   misnamed, misnumbered, wrong kind;
//     and whatever `refused` lists; and a refusal leaves the thing as it was.
//
// A field inside records is named by its path, "queues.size"; the index in a list does not count.

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "vmm/base/state.h"

namespace tintype {

/// A value that check_state() must refuse. Where the path leads through a list, its first element is given
/// the value.
struct RefusedValue {
  std::string path;
  StateValue value;
};

namespace state_contract_detail {

/// A fixture, whatever its type.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual Stateful& thing() = 0;
  virtual void freeze() = 0;
  virtual void thaw() = 0;
};

struct Change {
  std::string what;
  std::function<void(Subject&)> apply;
};

/// The suite itself, compiled once.
struct Suite {
  std::function<std::unique_ptr<Subject>()> make;
  std::vector<Change> changes;
  std::vector<RefusedValue> refused;
  std::set<std::string> constant;
  std::set<std::string> running;

  void verify() const;

 private:
  StateRecord save(Subject& subject) const;
  std::vector<StateRecord> verify_changes() const;
  void verify_fresh_thing_takes(const StateRecord& state) const;
  void verify_every_field_varies(const std::vector<StateRecord>& states) const;
  void verify_refusals(const StateRecord& state) const;
  void verify_spoiled_fields(Subject& subject, const StateRecord& state) const;
  void expect_refusal(Subject& subject, const StateRecord& bad, const std::string& why) const;
};

}  // namespace state_contract_detail

template <typename Fixture>
struct StateContract {
  struct Change {
    std::string what;
    std::function<void(Fixture&)> apply;
  };

  /// A thing as it is when the machine is built. Called many times.
  std::function<std::unique_ptr<Fixture>()> make = [] { return std::make_unique<Fixture>(); };
  /// Applied one after the other to the same thing; each must show in the saved state. Empty only for a thing
  /// whose record has no fields.
  std::vector<Change> changes;
  std::vector<RefusedValue> refused;
  /// Paths of fields that have one value only; say in the test why. (The number of queues, the model.)
  std::set<std::string> constant;
  /// Paths of numbers that go on by themselves (a time stamp counter): left out of comparisons.
  std::set<std::string> running;

  void verify() const {
    state_contract_detail::Suite suite{
        [this] { return std::make_unique<Wrapped>(make()); }, {}, refused, constant, running};
    for (const Change& change : changes) {
      suite.changes.push_back({change.what, [&change](state_contract_detail::Subject& subject) {
                                 change.apply(*static_cast<Wrapped&>(subject).fixture);
                               }});
    }
    suite.verify();
  }

 private:
  struct Wrapped final : state_contract_detail::Subject {
    explicit Wrapped(std::unique_ptr<Fixture> made) : fixture(std::move(made)) {}
    Stateful& thing() override { return fixture->thing(); }
    void freeze() override {
      if constexpr (requires { fixture->thing().freeze(); }) fixture->thing().freeze();
    }
    void thaw() override {
      if constexpr (requires { fixture->thing().thaw(); }) fixture->thing().thaw();
    }
    std::unique_ptr<Fixture> fixture;
  };
};

}  // namespace tintype
