// SPDX-License-Identifier: Apache-2.0
#pragma once

// What every thing with state owes (vmm/base/state.h), as one suite. A test hands in how to make the thing, and ways to change it:
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
//   - every field took at least two values over all those states, so none is a constant that was never filled in;
//   - check_state() refuses another type or version, an unknown field, and for every field: missing, doubled, misnamed, misnumbered, wrong kind;
//     and whatever `refused` lists; and a refusal leaves the thing as it was.
//
// A field inside records is named by its path, "queues.size"; the index in a list does not count.

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "vmm/base/state.h"

namespace tintype {

namespace state_contract_detail {

/// Calls `visit(path, record, index of the field in it)` for every field of the record and of the records in it, parents first.
template <typename Record, typename Visit>
void visit_fields(Record& record, const Visit& visit, const std::string& prefix = "") {
  for (std::size_t index = 0; index < record.fields.size(); ++index) {
    const std::string path = prefix + record.fields[index].name;
    visit(path, record, index);
    if (auto* children = std::get_if<std::vector<StateRecord>>(&record.fields[index].value)) {
      for (auto& child : *children) visit_fields(child, visit, path + ".");
    }
  }
}

/// For messages.
inline std::string value_text(const StateValue& value) {
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return fmt::format("{:#x}", *number);
  if (const auto* records = std::get_if<std::vector<StateRecord>>(&value)) {
    return fmt::format("{} records", records->size());
  }
  std::string text = "bytes";
  for (const std::uint8_t byte : std::get<StateBytes>(value)) text += fmt::format(" {:02x}", byte);
  return text;
}

/// The fields (by path) in which two states differ, with both values; empty where they are equal.
inline std::string difference(const StateRecord& expected, const StateRecord& actual) {
  if (expected == actual) return "";
  std::multimap<std::string, std::string> before, after;
  const auto collect = [](const StateRecord& from, auto& into) {
    visit_fields(from, [&](const std::string& path, const StateRecord& record, std::size_t index) {
      into.emplace(path, value_text(record.fields[index].value));
    });
  };
  collect(expected, before);
  collect(actual, after);
  std::string text;
  for (const auto& [path, value] : before) {
    if (after.count(path) == 0) text += fmt::format("{}: {} has gone; ", path, value);
    const auto found = after.find(path);
    if (found != after.end() && found->second != value) text += fmt::format("{}: {} became {}; ", path, value, found->second);
    if (found != after.end()) after.erase(found);
  }
  for (const auto& [path, value] : after) text += fmt::format("{}: {} is new; ", path, value);
  return text.empty() ? "they differ in type, version, numbering or order" : text;
}

/// One way of spoiling the field at `index` of `record`. Not every way fits every field: false where it left the record whole.
using Spoil = bool (*)(StateRecord& record, std::size_t index);

inline const std::map<std::string, Spoil>& spoils() {
  static const std::map<std::string, Spoil> all = {
      {"missing", [](StateRecord& record, std::size_t index) {
         record.fields.erase(record.fields.begin() + static_cast<std::ptrdiff_t>(index));
         return true;
       }},
      {"doubled", [](StateRecord& record, std::size_t index) {
         const StateField copy = record.fields[index];
         record.fields.push_back(copy);
         return true;
       }},
      {"in place of its neighbour", [](StateRecord& record, std::size_t index) {
         if (record.fields.size() < 2) return false;
         record.fields[(index + 1) % record.fields.size()] = StateField(record.fields[index]);
         return true;
       }},
      {"misnamed", [](StateRecord& record, std::size_t index) { return record.fields[index].name += "x", true; }},
      {"misnumbered", [](StateRecord& record, std::size_t index) { return record.fields[index].number = 0xffff, true; }},
      {"a number", [](StateRecord& record, std::size_t index) {
         if (std::holds_alternative<std::uint64_t>(record.fields[index].value)) return false;
         return record.fields[index].value = std::uint64_t{0}, true;
       }},
      {"bytes", [](StateRecord& record, std::size_t index) {
         if (std::holds_alternative<StateBytes>(record.fields[index].value)) return false;
         return record.fields[index].value = StateBytes(8), true;
       }},
      {"records", [](StateRecord& record, std::size_t index) {
         if (std::holds_alternative<std::vector<StateRecord>>(record.fields[index].value)) return false;
         return record.fields[index].value = std::vector<StateRecord>{}, true;
       }},
  };
  return all;
}

/// `state` with its nth field, in the order of visit_fields, spoiled. Nothing where that way does not fit the field.
inline std::optional<StateRecord> spoiled(const StateRecord& state, std::size_t nth, Spoil spoil) {
  StateRecord copy = state;
  std::size_t seen = 0;
  StateRecord* owner = nullptr;
  std::size_t at = 0;
  visit_fields(copy, [&](const std::string&, StateRecord& record, std::size_t index) {
    if (seen++ == nth) owner = &record, at = index;
  });
  if (owner == nullptr || !spoil(*owner, at)) return std::nullopt;
  return copy;
}

}  // namespace state_contract_detail

/// A value that check_state() must refuse. Where the path leads through a list, its first element is given the value.
struct RefusedValue {
  std::string path;
  StateValue value;
};

template <typename Fixture>
struct StateContract {
  struct Change {
    std::string what;
    std::function<void(Fixture&)> apply;
  };

  /// A thing as it is when the machine is built. Called many times.
  std::function<std::unique_ptr<Fixture>()> make = [] { return std::make_unique<Fixture>(); };
  /// Applied one after the other to the same thing; each must show in the saved state. Empty only for a thing whose record has no fields.
  std::vector<Change> changes;
  std::vector<RefusedValue> refused;
  /// Paths of fields that have one value only; say in the test why. (The number of queues, the model.)
  std::set<std::string> constant;
  /// Paths of numbers that go on by themselves (a time stamp counter): left out of comparisons.
  std::set<std::string> running;

  void verify() const {
    const std::vector<StateRecord> states = verify_changes();
    REQUIRE_MESSAGE(changes.empty() == states.front().fields.empty(), "a thing with fields needs changes");
    verify_every_field_varies(states);
    for (const StateRecord& state : states) verify_fresh_thing_takes(state);
    verify_refusals(states.back());
  }

  /// Saves as the machine does: frozen, where the thing can be frozen.
  static StateRecord save_frozen(Fixture& fixture) {
    auto& thing = fixture.thing();
    if constexpr (requires { thing.freeze(); }) thing.freeze();
    StateRecord state = thing.save_state();
    if constexpr (requires { thing.thaw(); }) thing.thaw();
    return state;
  }

 private:
  StateRecord save(Fixture& fixture) const {
    StateRecord state = save_frozen(fixture);
    state_contract_detail::visit_fields(state, [&](const std::string& path, StateRecord& record, std::size_t index) {
      if (running.count(path) != 0) record.fields[index].value = std::uint64_t{0};
    });
    return state;
  }

  static void restore(Fixture& fixture, const StateRecord& state) {
    REQUIRE_NOTHROW(fixture.thing().check_state(state));
    REQUIRE_NOTHROW(fixture.thing().restore_state(state));
  }

  std::vector<StateRecord> verify_changes() const {
    const std::unique_ptr<Fixture> fixture = make();
    std::vector<StateRecord> states = {save(*fixture)};
    CHECK_FALSE(fixture->thing().state_name().empty());
    CHECK(state_contract_detail::difference(states.back(), save(*fixture)) == "");
    for (const Change& change : changes) {
      INFO("change: ", change.what);
      const StateRecord before = states.back();
      change.apply(*fixture);
      const StateRecord after = save(*fixture);
      CHECK_MESSAGE(!(before == after), "the change does not show in the saved state");
      restore(*fixture, before);
      CHECK(state_contract_detail::difference(before, save(*fixture)) == "");
      restore(*fixture, after);
      CHECK(state_contract_detail::difference(after, save(*fixture)) == "");
      states.push_back(after);
    }
    return states;
  }

  void verify_fresh_thing_takes(const StateRecord& state) const {
    const std::unique_ptr<Fixture> fresh = make();
    restore(*fresh, state);
    CHECK(state_contract_detail::difference(state, save(*fresh)) == "");
  }

  void verify_every_field_varies(const std::vector<StateRecord>& states) const {
    std::map<std::string, std::set<std::string>> values;
    for (const StateRecord& state : states) {
      state_contract_detail::visit_fields(state, [&](const std::string& path, const StateRecord& record, std::size_t index) {
        values[path].insert(state_contract_detail::value_text(record.fields[index].value));
      });
    }
    for (const auto& entry : values) {
      const std::string& path = entry.first;
      if (constant.count(path) != 0 || running.count(path) != 0) continue;
      CHECK_MESSAGE(entry.second.size() > 1, "no change made this field differ: ", path);
    }
    for (const std::string& path : constant) CHECK_MESSAGE(values.count(path) == 1, "no such field: ", path);
    for (const std::string& path : running) CHECK_MESSAGE(values.count(path) == 1, "no such field: ", path);
  }

  void verify_refusals(const StateRecord& state) const {
    const std::unique_ptr<Fixture> fixture = make();
    restore(*fixture, state);
    StateRecord other = state;
    other.type += "x";
    expect_refusal(*fixture, other, "another type");
    other = state;
    ++other.version;
    expect_refusal(*fixture, other, "another version");
    other = state;
    other.fields.push_back({0xfff0, "surprise", std::uint64_t{0}});
    expect_refusal(*fixture, other, "an unknown field");
    verify_spoiled_fields(*fixture, state);
    for (const RefusedValue& value : refused) {
      expect_refusal(*fixture, with_value(state, value), value.path + " = " + state_contract_detail::value_text(value.value));
    }
  }

  void verify_spoiled_fields(Fixture& fixture, const StateRecord& state) const {
    std::vector<std::string> paths;
    state_contract_detail::visit_fields(
        state, [&](const std::string& path, const StateRecord&, std::size_t) { paths.push_back(path); });
    for (std::size_t nth = 0; nth < paths.size(); ++nth) {
      for (const auto& [how, spoil] : state_contract_detail::spoils()) {
        if (const auto bad = state_contract_detail::spoiled(state, nth, spoil)) {
          expect_refusal(fixture, *bad, paths[nth] + " " + how);
        }
      }
    }
  }

  static StateRecord with_value(const StateRecord& state, const RefusedValue& refused_value) {
    StateRecord copy = state;
    bool found = false;
    StateField* target = nullptr;
    state_contract_detail::visit_fields(copy, [&](const std::string& path, StateRecord& record, std::size_t index) {
      if (!found && path == refused_value.path) found = true, target = &record.fields[index];
    });
    REQUIRE_MESSAGE(found, "the last state has no field ", refused_value.path);
    target->value = refused_value.value;
    return copy;
  }

  void expect_refusal(Fixture& fixture, const StateRecord& bad, const std::string& why) const {
    INFO("damage: ", why);
    const StateRecord before = save(fixture);
    CHECK_THROWS_AS(fixture.thing().check_state(bad), StateError);
    CHECK(state_contract_detail::difference(before, save(fixture)) == "");
  }
};

}  // namespace tintype
