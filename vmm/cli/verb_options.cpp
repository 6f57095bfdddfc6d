// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/verb_options.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "vmm/cli/values.h"

namespace tintype {

VerbOptions::VerbOptions(CLI::App& verb, bool& json) : verb_(verb) {
  verb_.add_flag("--json", json, "Print one JSON object and nothing else");
}

void VerbOptions::positional(const char* name, std::string& into, const char* help) {
  verb_.add_option(name, into, help)->required()->type_name("");
}

void VerbOptions::flag(const char* option, bool& into, const char* help) { verb_.add_flag(option, into, help); }

void VerbOptions::text(const char* option, const char* placeholder, std::optional<std::string>& into,
                       const char* help) {
  verb_
      .add_option_function<std::string>(
          option, [&into](const std::string& text) { into = text; }, help)
      ->type_name(placeholder);
}

void VerbOptions::required_text(const char* option, const char* placeholder, std::string& into, const char* help) {
  verb_.add_option(option, into, help)->required()->type_name(placeholder);
}

void VerbOptions::list(const char* option, const char* placeholder, std::vector<std::string>& into, const char* help) {
  verb_.add_option(option, into, help)->type_name(placeholder)->allow_extra_args(false);
}

void VerbOptions::number(const char* option, std::optional<std::uint64_t>& into, const char* help) {
  const auto take = [&into, option](const std::string& text) { into = parse_number(text, option); };
  verb_.add_option_function<std::string>(option, take, help)->type_name("N");
}

void VerbOptions::required_number(const char* option, std::uint64_t& into, const char* help) {
  const auto take = [&into, option](const std::string& text) { into = parse_number(text, option); };
  verb_.add_option_function<std::string>(option, take, help)->type_name("N")->required();
}

void VerbOptions::size(const char* option, std::optional<std::uint64_t>& into, const char* help) {
  const auto take = [&into, option](const std::string& text) { into = parse_size(text, option); };
  verb_.add_option_function<std::string>(option, take, help)->type_name("SIZE");
}

void VerbOptions::footer(const char* text) { verb_.footer(text); }

}  // namespace tintype
