// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/json_fields.h"

#include <charconv>

namespace tintype::json_fields {
namespace {

constexpr const char* kBytesKey = "bytes";

bool is_utf8(const std::string& text) {
  try {
    (void)Json(text).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

std::string bytes_of(std::string_view digits, const std::string& where) {
  if (digits.size() % 2 != 0) throw ImageError("{} is not text", where);
  std::string text;
  for (; !digits.empty(); digits.remove_prefix(2)) {
    std::uint8_t byte = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + 2, byte, 16);
    if (error != std::errc() || end != digits.data() + 2) throw ImageError("{} is not text", where);
    text.push_back(static_cast<char>(byte));
  }
  return text;
}

}  // namespace

std::string hexadecimal_text(std::uint64_t number) { return fmt::format("{:016x}", number); }

std::uint64_t hexadecimal_number(std::string_view text, const std::string& where) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (error != std::errc() || end != text.data() + text.size() || text != hexadecimal_text(number)) {
    throw ImageError("{} is not a checksum", where);
  }
  return number;
}

Json text_to_json(const std::string& text) {
  if (is_utf8(text)) return text;
  std::string digits;
  for (const char character : text) digits += fmt::format("{:02x}", static_cast<std::uint8_t>(character));
  return {{kBytesKey, digits}};
}

std::string text_from_json(const Json& json, const std::string& where) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_object() && json.contains(kBytesKey) && json[kBytesKey].is_string()) {
    return bytes_of(json[kBytesKey].get_ref<const std::string&>(), where);
  }
  throw ImageError("{} is not text", where);
}

void Reader::fail(const std::string& where, std::string_view why) { throw ImageError("{} {}", where, why); }

const Json& Reader::member(const char* name) const {
  const auto found = json_.find(name);
  if (found == json_.end()) fail(where_ + "." + name, "is missing");
  return *found;
}

std::uint64_t Reader::number(const Json& json, const std::string& where, std::uint64_t limit) {
  if (!json.is_number_unsigned()) fail(where, "is not a whole number of at least zero");
  const auto number = json.get<std::uint64_t>();
  if (number > limit) fail(where, "is too large");
  return number;
}

bool Reader::truth(const Json& json, const std::string& where) {
  if (!json.is_boolean()) fail(where, "is neither true nor false");
  return json.get<bool>();
}

const Json& Reader::list(const Json& json, const std::string& where) {
  if (!json.is_array()) fail(where, "is not a list");
  return json;
}

}  // namespace tintype::json_fields
