// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <nlohmann/json.hpp>

#include "checkpoint/state/codec.h"

namespace tintype {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShownBytes = 32;

std::string hexadecimal(std::span<const std::uint8_t> bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

Json json_of(const StateRecord& record);

Json json_of(const StateValue& value) {
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return *number;
  if (const auto* bytes = std::get_if<StateBytes>(&value)) return hexadecimal(*bytes);
  Json list = Json::array();
  for (const StateRecord& record : std::get<std::vector<StateRecord>>(value)) list.push_back(json_of(record));
  return list;
}

Json json_of(const StateRecord& record) {
  Json fields = Json::object();
  for (const StateField& field : record.fields) fields[field.name] = json_of(field.value);
  return {{"type", record.type}, {"version", record.version}, {"fields", std::move(fields)}};
}

void add_record(std::string& text, const StateRecord& record, unsigned depth);

void add_value(std::string& text, const StateValue& value, unsigned depth) {
  const auto out = std::back_inserter(text);
  if (const auto* number = std::get_if<std::uint64_t>(&value)) {
    fmt::format_to(out, "{} ({:#x})\n", *number, *number);
  } else if (const auto* bytes = std::get_if<StateBytes>(&value)) {
    const std::span shown(bytes->data(), std::min(bytes->size(), kShownBytes));
    fmt::format_to(out, "{}{} [{} bytes]\n", hexadecimal(shown), shown.size() < bytes->size() ? "..." : "",
                   bytes->size());
  } else {
    const auto& records = std::get<std::vector<StateRecord>>(value);
    fmt::format_to(out, "[{} records]\n", records.size());
    for (const StateRecord& record : records) add_record(text, record, depth + 1);
  }
}

void add_record(std::string& text, const StateRecord& record, unsigned depth) {
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{:{}}{} version {}\n", "", depth * 2, record.type, record.version);
  for (const StateField& field : record.fields) {
    fmt::format_to(out, "{:{}}{} {} = ", "", depth * 2 + 2, field.number, field.name);
    add_value(text, field.value, depth + 1);
  }
}

}  // namespace

std::string states_as_text(std::span<const NamedState> states) {
  std::string text;
  for (const NamedState& state : states) {
    text += state.name + ":\n";
    add_record(text, state.record, 1);
  }
  return text;
}

std::string states_as_json(std::span<const NamedState> states) {
  Json all = Json::object();
  for (const NamedState& state : states) all[state.name] = json_of(state.record);
  return all.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tintype
