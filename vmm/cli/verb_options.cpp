// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/verb_options.h"

#include <stdlib.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "vmm/base/error.h"
#include "vmm/cli/values.h"

namespace tintype {

VerbOptions::VerbOptions(CLI::App& verb, bool& json) : verb_(verb) {
  verb_.add_flag("--json", json, "Print one JSON object and nothing else");
}

void VerbOptions::positional(const char* name, std::string& into, const char* help) {
  verb_.add_option(name, into, help)->required()->type_name("");
}

void VerbOptions::optional_positional(const char* name, std::optional<std::string>& into, const char* help) {
  verb_
      .add_option_function<std::string>(
          name, [&into](const std::string& text) { into = text; }, help)
      ->type_name("");
}

void VerbOptions::repository(std::filesystem::path& into) {
  endpoint();
  verb_
      .add_option_function<std::string>(
          "REPO", [&into](const std::string& text) { into = repository_name(text, "REPO"); },
          "Directory of checkpoints, or s3://BUCKET/PREFIX")
      ->required()
      ->type_name("");
}

// Comes before the names that it is for: callbacks are called in the order in which options were declared.
void VerbOptions::endpoint() {
  value(
      "--endpoint", "URL", [](const std::string& url) { ::setenv("AWS_ENDPOINT_URL_S3", url.c_str(), 1); },
      "Where the object store of s3://BUCKET/PREFIX is, by default AWS_ENDPOINT_URL, else Amazon's", false);
}

void VerbOptions::flag(const char* option, bool& into, const char* help) { verb_.add_flag(option, into, help); }

void VerbOptions::flag(const char* option, const Take& take, const std::string& help) {
  verb_.add_flag_function(
      option, [take](std::int64_t) { take(""); }, help);
}

void VerbOptions::value(const char* option, const char* placeholder, const Take& take, const std::string& help,
                        bool required) {
  verb_.add_option_function<std::string>(option, take, help)->type_name(placeholder)->required(required);
}

void VerbOptions::text(const char* option, const char* placeholder, std::optional<std::string>& into,
                       const char* help) {
  value(
      option, placeholder, [&into](const std::string& text) { into = text; }, help, false);
}

void VerbOptions::path(const char* option, const char* placeholder, std::optional<std::filesystem::path>& into,
                       const char* help) {
  value(
      option, placeholder, [&into, option](const std::string& text) { into = absolute_path(text, option); }, help,
      false);
}

void VerbOptions::list(const char* option, const char* placeholder, std::vector<std::string>& into,
                       const std::string& help) {
  verb_.add_option(option, into, help)->type_name(placeholder)->allow_extra_args(false);
}

void VerbOptions::number(const char* option, std::optional<std::uint64_t>& into, const char* help) {
  value(
      option, "N", [&into, option](const std::string& text) { into = parse_number(text, option); }, help, false);
}

void VerbOptions::required_number(const char* option, std::uint64_t& into, const char* help) {
  value(
      option, "N", [&into, option](const std::string& text) { into = parse_number(text, option); }, help, true);
}

void VerbOptions::size(const char* option, std::optional<std::uint64_t>& into, const char* help) {
  value(
      option, "SIZE", [&into, option](const std::string& text) { into = parse_size(text, option); }, help, false);
}

void VerbOptions::words(const std::string& list) {
  const CLI::App& declared = verb_;
  words_[declared.get_options().back()->get_name()] = list;
}

void VerbOptions::footer(const char* text) { verb_.footer(text); }

}  // namespace tintype
