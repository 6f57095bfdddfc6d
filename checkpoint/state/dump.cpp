// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "checkpoint/state/codec.h"

namespace tintype {
namespace {

using Json = nlohmann::ordered_json;

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

}  // namespace

std::string states_as_json(std::span<const NamedState> states) {
  Json all = Json::object();
  for (const NamedState& state : states) all[state.name] = json_of(state.record);
  return all.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tintype
