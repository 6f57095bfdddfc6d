// SPDX-License-Identifier: Apache-2.0
#include "tests/support/state_contract.h"

#include <map>
#include <optional>

#include <doctest/doctest.h>

namespace tintype::state_contract_detail {
namespace {

/// Calls `visit(path, record, index of the field in it)` for every field of the record and of the records in
/// it, parents first.
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
std::string value_text(const StateValue& value) {
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return fmt::format("{:#x}", *number);
  if (const auto* records = std::get_if<std::vector<StateRecord>>(&value)) {
    return fmt::format("{} records", records->size());
  }
  std::string text = "bytes";
  for (const std::uint8_t byte : std::get<StateBytes>(value)) text += fmt::format(" {:02x}", byte);
  return text;
}

/// The fields (by path) in which two states differ, with both values; empty where they are equal.
std::string difference(const StateRecord& expected, const StateRecord& actual) {
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
    if (found != after.end() && found->second != value)
      text += fmt::format("{}: {} became {}; ", path, value, found->second);
    if (found != after.end()) after.erase(found);
  }
  for (const auto& [path, value] : after) text += fmt::format("{}: {} is new; ", path, value);
  return text.empty() ? "they differ in type, version, numbering or order" : text;
}

/// One way of spoiling the field at `index` of `record`. Not every way fits every field: false where it left
/// the record whole.
using Spoil = bool (*)(StateRecord& record, std::size_t index);

template <typename Kind>
bool make_kind(StateField& field, Kind value) {
  if (std::holds_alternative<Kind>(field.value)) return false;
  field.value = std::move(value);
  return true;
}

bool remove(StateRecord& record, std::size_t index) {
  record.fields.erase(record.fields.begin() + static_cast<std::ptrdiff_t>(index));
  return true;
}
bool double_it(StateRecord& record, std::size_t index) {
  record.fields.push_back(StateField(record.fields[index]));
  return true;
}
bool overwrite_neighbour(StateRecord& record, std::size_t index) {
  if (record.fields.size() < 2) return false;
  record.fields[(index + 1) % record.fields.size()] = StateField(record.fields[index]);
  return true;
}
bool misname(StateRecord& record, std::size_t index) {
  record.fields[index].name += "x";
  return true;
}
bool misnumber(StateRecord& record, std::size_t index) {
  record.fields[index].number = 0xffff;
  return true;
}
bool make_number(StateRecord& record, std::size_t index) { return make_kind(record.fields[index], std::uint64_t{0}); }
bool make_bytes(StateRecord& record, std::size_t index) { return make_kind(record.fields[index], StateBytes(8)); }
bool make_records(StateRecord& record, std::size_t index) {
  return make_kind(record.fields[index], std::vector<StateRecord>{});
}

constexpr std::pair<const char*, Spoil> kSpoils[] = {
    {"missing", remove},      {"doubled", double_it},       {"in place of its neighbour", overwrite_neighbour},
    {"misnamed", misname},    {"misnumbered", misnumber},   {"as a number", make_number},
    {"as bytes", make_bytes}, {"as records", make_records},
};

/// `state` with its nth field, in the order of visit_fields, spoiled. Nothing where that way does not fit the
/// field.
std::optional<StateRecord> spoiled(const StateRecord& state, std::size_t nth, Spoil spoil) {
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

StateRecord with_value(const StateRecord& state, const RefusedValue& refused_value) {
  StateRecord copy = state;
  StateField* target = nullptr;
  visit_fields(copy, [&](const std::string& path, StateRecord& record, std::size_t index) {
    if (target == nullptr && path == refused_value.path) target = &record.fields[index];
  });
  REQUIRE_MESSAGE(target != nullptr, "the last state has no field ", refused_value.path);
  target->value = refused_value.value;
  return copy;
}

void restore(Subject& subject, const StateRecord& state) {
  REQUIRE_NOTHROW(subject.thing().check_state(state));
  REQUIRE_NOTHROW(subject.thing().restore_state(state));
}

}  // namespace

void Suite::verify() const {
  const std::vector<StateRecord> states = verify_changes();
  REQUIRE_MESSAGE(changes.empty() == states.front().fields.empty(), "a thing with fields needs changes");
  verify_every_field_varies(states);
  for (const StateRecord& state : states) verify_fresh_thing_takes(state);
  verify_refusals(states.back());
}

/// As the machine does: frozen.
StateRecord Suite::save(Subject& subject) const {
  subject.freeze();
  StateRecord state = subject.thing().save_state();
  subject.thaw();
  visit_fields(state, [&](const std::string& path, StateRecord& record, std::size_t index) {
    if (running.count(path) != 0) record.fields[index].value = std::uint64_t{0};
  });
  return state;
}

std::vector<StateRecord> Suite::verify_changes() const {
  const std::unique_ptr<Subject> subject = make();
  std::vector<StateRecord> states = {save(*subject)};
  CHECK_FALSE(subject->thing().state_name().empty());
  CHECK(difference(states.back(), save(*subject)) == "");
  for (const Change& change : changes) {
    INFO("change: ", change.what);
    const StateRecord before = states.back();
    change.apply(*subject);
    const StateRecord after = save(*subject);
    CHECK_MESSAGE(!(before == after), "the change does not show in the saved state");
    restore(*subject, before);
    CHECK(difference(before, save(*subject)) == "");
    restore(*subject, after);
    CHECK(difference(after, save(*subject)) == "");
    states.push_back(after);
  }
  return states;
}

void Suite::verify_fresh_thing_takes(const StateRecord& state) const {
  const std::unique_ptr<Subject> fresh = make();
  restore(*fresh, state);
  CHECK(difference(state, save(*fresh)) == "");
}

void Suite::verify_every_field_varies(const std::vector<StateRecord>& states) const {
  std::map<std::string, std::set<std::string>> values;
  for (const StateRecord& state : states) {
    visit_fields(state, [&](const std::string& path, const StateRecord& record, std::size_t index) {
      values[path].insert(value_text(record.fields[index].value));
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

void Suite::verify_refusals(const StateRecord& state) const {
  const std::unique_ptr<Subject> subject = make();
  restore(*subject, state);
  StateRecord other = state;
  other.type += "x";
  expect_refusal(*subject, other, "another type");
  other = state;
  ++other.version;
  expect_refusal(*subject, other, "another version");
  other = state;
  other.fields.push_back({0xfff0, "surprise", std::uint64_t{0}});
  expect_refusal(*subject, other, "an unknown field");
  verify_spoiled_fields(*subject, state);
  for (const RefusedValue& value : refused) {
    expect_refusal(*subject, with_value(state, value), value.path + " = " + value_text(value.value));
  }
}

void Suite::verify_spoiled_fields(Subject& subject, const StateRecord& state) const {
  std::vector<std::string> paths;
  visit_fields(state, [&](const std::string& path, const StateRecord&, std::size_t) { paths.push_back(path); });
  for (std::size_t nth = 0; nth < paths.size(); ++nth) {
    for (const auto& [how, spoil] : kSpoils) {
      if (const auto bad = spoiled(state, nth, spoil))
        expect_refusal(subject, *bad, fmt::format("{} {}", paths[nth], how));
    }
  }
}

void Suite::expect_refusal(Subject& subject, const StateRecord& bad, const std::string& why) const {
  INFO("damage: ", why);
  const StateRecord before = save(subject);
  CHECK_THROWS_AS(subject.thing().check_state(bad), StateError);
  CHECK(difference(before, save(subject)) == "");
}

}  // namespace tintype::state_contract_detail
