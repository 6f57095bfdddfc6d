// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/parameters.h"

#include <filesystem>

#include "checkpoint/s3/location.h"
#include "vmm/control/status_json.h"

namespace tintype {

using nlohmann::json;

const json* ParameterReader::find(const char* name) {
  known_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() ? nullptr : &*found;
}

const std::string& ParameterReader::text_of(const char* name, const json& value) {
  if (!value.is_string()) throw UsageError("the parameter \"{}\" must be a text", name);
  return value.get_ref<const std::string&>();
}

void ParameterReader::flag(const char* name, bool& value, const ParameterOption&) {
  const json* given = find(name);
  if (given == nullptr) return;
  if (!given->is_boolean()) throw UsageError("the parameter \"{}\" must be true or false", name);
  value = given->get<bool>();
}

void ParameterReader::number(const char* name, std::uint64_t& value, const ParameterOption&) {
  const json* given = find(name);
  if (given == nullptr) return;
  if (!given->is_number_unsigned()) throw UsageError("the parameter \"{}\" must be a whole number, 0 or more", name);
  value = given->get<std::uint64_t>();
}

void ParameterReader::number(const char* name, std::optional<std::uint64_t>& value, const ParameterOption& option) {
  std::uint64_t given = 0;
  number(name, given, option);
  if (object_.contains(name)) value = given;
}

void ParameterReader::time(const char* name, std::uint64_t& value, const ParameterOption& option) {
  number(name, value, option);
  if (value > kLongestTimeMs) throw UsageError("the parameter \"{}\" is at most {}: ten years", name, kLongestTimeMs);
}

void ParameterReader::text(const char* name, std::string& value, const ParameterOption&) {
  if (const json* given = find(name))
    value = given->is_object() ? path_from_json(*given, name).string() : text_of(name, *given);
}

void ParameterReader::directory(const char* name, std::string& value, const ParameterOption& option) {
  text(name, value, option);
  if (!object_.contains(name)) return;
  if (!std::filesystem::path(value).is_absolute()) {
    throw UsageError("the parameter \"{}\" must be an absolute path: the machine has a working directory of its own",
                     name);
  }
}

void ParameterReader::place(const char* name, std::string& value, const ParameterOption& option) {
  const json* given = find(name);
  const std::string text = given != nullptr && given->is_string() ? given->get<std::string>() : "";
  if (S3Location::is_meant_by(text) || text.find("://") == std::string::npos)
    repository(name, value, option);
  else
    value = text;
}

void ParameterReader::repository(const char* name, std::string& value, const ParameterOption& option) {
  const json* given = find(name);
  if (given == nullptr || !given->is_string() || !S3Location::is_meant_by(given->get<std::string>()))
    return directory(name, value, option);
  value = S3Location::parse(given->get<std::string>()).text();
}

void ParameterReader::refuse_others() const {
  for (const auto& [name, value] : object_.items()) {
    if (!known_.contains(name)) throw UsageError("there is no parameter \"{}\" here", name);
  }
}

}  // namespace tintype
