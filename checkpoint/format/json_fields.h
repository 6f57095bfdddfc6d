// SPDX-License-Identifier: Apache-2.0
#pragma once

// Structs to JSON and back by one list of fields for both ways. Included by .cpp files only.
//
//   void fields(auto& archive, Same<Thing> auto& thing) { archive("name", thing.name); }

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include "checkpoint/format/part_format.h"
#include "vmm/base/words.h"

namespace tintype::json_fields {

using Json = nlohmann::ordered_json;

/// The struct, to be written or to be read into.
template <typename T, typename Plain>
concept Same = std::same_as<std::remove_const_t<T>, Plain>;

/// For numbers that people compare rather than count: sixteen digits.
std::string hexadecimal_text(std::uint64_t number);
/// Exactly what hexadecimal_text() makes; throws ImageError otherwise.
std::uint64_t hexadecimal_number(std::string_view text, const std::string& where);

/// An optional value that is not there is null. Text that is not UTF-8 (a file's name may be anything) becomes
/// {"bytes": "<hexadecimal>"}.
Json text_to_json(const std::string& text);
std::string text_from_json(const Json& json, const std::string& where);

class Writer {
 public:
  template <typename T>
  void operator()(const char* name, const T& value) {
    json_[name] = convert(value);
  }
  /// What a manifest did not have from the beginning.
  template <typename T>
  void later(const char* name, const T& value) {
    (*this)(name, value);
  }
  void hexadecimal(const char* name, std::uint64_t number) { json_[name] = hexadecimal_text(number); }
  Json take() { return std::move(json_); }

 private:
  template <typename T>
  static Json convert(const T& value) {
    if constexpr (std::is_arithmetic_v<T>) {
      return value;
    } else if constexpr (std::same_as<T, std::string>) {
      return text_to_json(value);
    } else if constexpr (std::same_as<T, std::filesystem::path>) {
      return text_to_json(value.string());
    } else if constexpr (HasWords<T>) {
      return std::string(name_of(value));
    } else if constexpr (requires { value.has_value(); }) {
      return value ? convert(*value) : Json();
    } else if constexpr (requires { typename T::value_type; }) {
      Json list = Json::array();
      for (const auto& element : value) list.push_back(convert(element));
      return list;
    } else {
      Writer inner;
      fields(inner, value);
      return inner.take();
    }
  }

  Json json_ = Json::object();
};

/// From untrusted JSON: everything listed must be there and of the right kind and range. Throws ImageError
/// that names the field. What is not listed is left alone, so that later versions may add remarks.
class Reader {
 public:
  Reader(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json_.is_object()) fail(where_, "is not an object");
  }

  template <typename T>
  void operator()(const char* name, T& value) {
    convert(member(name), where_ + "." + name, value);
  }
  /// May be missing: older versions did not write it. The value stays as it is then.
  template <typename T>
  void later(const char* name, T& value) {
    if (json_.contains(name)) (*this)(name, value);
  }
  void hexadecimal(const char* name, std::uint64_t& number) {
    number = hexadecimal_number(text_from_json(member(name), where_ + "." + name), where_ + "." + name);
  }

 private:
  [[noreturn]] static void fail(const std::string& where, std::string_view why);
  const Json& member(const char* name) const;
  static std::uint64_t number(const Json& json, const std::string& where, std::uint64_t limit);
  static bool truth(const Json& json, const std::string& where);
  static const Json& list(const Json& json, const std::string& where);

  template <typename T>
  static void convert(const Json& json, const std::string& where, T& value) {
    if constexpr (std::same_as<T, bool>) {
      value = truth(json, where);
    } else if constexpr (std::unsigned_integral<T>) {
      value = static_cast<T>(number(json, where, std::numeric_limits<T>::max()));
    } else if constexpr (std::same_as<T, std::string> || std::same_as<T, std::filesystem::path>) {
      value = text_from_json(json, where);
    } else if constexpr (requires { value.has_value(); }) {
      if (!json.is_null()) convert(json, where, value.emplace());
    } else if constexpr (HasWords<T>) {
      const auto known = value_of<T>(text_from_json(json, where));
      if (!known) fail(where, "is not one of " + offered_words<T>());
      value = *known;
    } else if constexpr (requires { typename T::value_type; }) {
      for (const Json& element : list(json, where)) convert(element, where, value.emplace_back());
    } else {
      Reader inner(json, where);
      fields(inner, value);
    }
  }

  const Json& json_;
  std::string where_;
};

}  // namespace tintype::json_fields
