// SPDX-License-Identifier: Apache-2.0
#pragma once

// The parameters of a method: one list for each struct of them, which reads them from JSON and tells the command line
// which options there are. Included by .cpp files only, but for Parameter.
//
//   void parameters(auto& list, StopRequest& request) { list.flag("force", request.force, {"--force", "End it ..."}); }

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "vmm/base/words.h"
#include "vmm/control/methods.h"

namespace tintype {

/// What the list is for: to tell which parameters there are.
class ParameterCatalogue {
 public:
  void flag(const char* name, bool&, const ParameterOption& option) { add(name, ParameterKind::kFlag, option); }
  void number(const char* name, std::uint64_t&, const ParameterOption& option) {
    add(name, ParameterKind::kNumber, option);
  }
  void number(const char* name, std::optional<std::uint64_t>&, const ParameterOption& option) {
    add(name, ParameterKind::kNumber, option);
  }
  void size(const char* name, std::uint64_t&, const ParameterOption& option) {
    add(name, ParameterKind::kSize, option);
  }
  void time(const char* name, std::uint64_t&, const ParameterOption& option) {
    add(name, ParameterKind::kTime, option);
  }
  void directory(const char* name, std::string&, const ParameterOption& option) {
    add(name, ParameterKind::kDirectory, option);
  }
  void text(const char* name, std::string&, const ParameterOption& option) { add(name, ParameterKind::kText, option); }
  void place(const char* name, std::string&, const ParameterOption& option) {
    add(name, ParameterKind::kPlace, option);
  }
  void repository(const char* name, std::string&, const ParameterOption& option) {
    add(name, ParameterKind::kRepository, option);
  }
  template <HasWords T>
  void word(const char* name, T&, const ParameterOption& option) {
    Parameter& parameter = add(name, ParameterKind::kWord, option);
    parameter.words = offered_words<T>();
    parameter.help = fmt::format("{}: {}", option.help, parameter.words);
    parameter.check_word = [](std::string_view text, std::string_view what) { chosen_value<T>(text, what); };
  }

  std::vector<Parameter> take() { return std::move(parameters_); }

 private:
  Parameter& add(const char* name, ParameterKind kind, const ParameterOption& option) {
    return parameters_.emplace_back(Parameter{name, kind, option, option.help == nullptr ? "" : option.help});
  }

  std::vector<Parameter> parameters_;
};

/// What the list is for: to read them from the JSON of a call. What is absent stays as it is; what is of the wrong kind
/// or unknown is a UsageError.
class ParameterReader {
 public:
  explicit ParameterReader(const nlohmann::json& object) : object_(object) {}

  void flag(const char* name, bool& value, const ParameterOption&);
  void number(const char* name, std::uint64_t& value, const ParameterOption&);
  void number(const char* name, std::optional<std::uint64_t>& value, const ParameterOption& option);
  void size(const char* name, std::uint64_t& value, const ParameterOption& option) { number(name, value, option); }
  void time(const char* name, std::uint64_t& value, const ParameterOption& option);
  void directory(const char* name, std::string& value, const ParameterOption&);
  void text(const char* name, std::string& value, const ParameterOption&);
  void place(const char* name, std::string& value, const ParameterOption& option);
  void repository(const char* name, std::string& value, const ParameterOption& option);
  template <HasWords T>
  void word(const char* name, T& value, const ParameterOption&) {
    if (const nlohmann::json* text = find(name)) value = chosen_value<T>(text_of(name, *text), name);
  }

  /// Comes last: refuses what none of the above asked for.
  void refuse_others() const;

 private:
  const nlohmann::json* find(const char* name);
  static const std::string& text_of(const char* name, const nlohmann::json& value);

  const nlohmann::json& object_;
  std::set<std::string_view> known_;
};

}  // namespace tintype
