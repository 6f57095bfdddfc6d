// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/usage_table.h"

#include <algorithm>
#include <numeric>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "vmm/cli/verb_options.h"

namespace tintype {

namespace {

/// "raw, qcow2"
std::vector<std::string> split_words(const std::string& list) {
  std::vector<std::string> words;
  for (std::size_t from = 0; from < list.size();) {
    const std::size_t end = std::min(list.find(", ", from), list.size());
    words.push_back(list.substr(from, end - from));
    from = end + 2;
  }
  return words;
}

OptionUsage usage_of(const CLI::Option& option, const std::map<std::string, std::string>& words) {
  OptionUsage usage;
  for (const std::string& name : option.get_snames()) usage.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) usage.names.push_back("--" + name);
  usage.help = option.get_description();
  usage.required = option.get_required();
  const bool flag = option.get_items_expected_max() == 0;
  if (const auto list = words.find(option.get_name()); list != words.end()) usage.words = split_words(list->second);
  usage.placeholder = usage.names.empty() ? option.get_name(true) : flag ? "" : option.get_type_name();
  return usage;
}

/// How many letters are to be changed, put in, left out or swapped with their neighbour.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> table(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) table[i][0] = i;
  std::iota(table[0].begin(), table[0].end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      table[i][j] = std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        table[i][j] = std::min(table[i][j], table[i - 2][j - 2] + 1);
    }
  }
  return table[a.size()][b.size()];
}

}  // namespace

std::vector<DeclaredVerb> declare_verbs(CLI::App& app, bool& json, std::string_view wanted) {
  std::vector<DeclaredVerb> declared;
  for (const VerbEntry& entry : verbs()) {
    CLI::App* subcommand = app.add_subcommand(std::string(entry.name), std::string(entry.summary));
    declared.push_back({subcommand, nullptr, {}});
    if (!wanted.empty() && entry.name != wanted) continue;
    declared.back().verb = entry.make();
    VerbOptions options(*subcommand, json);
    declared.back().verb->declare(options);
    declared.back().words = options.all_words();
  }
  return declared;
}

std::vector<VerbUsage> usage_table() {
  CLI::App app;
  bool json = false;
  std::vector<VerbUsage> table;
  const auto declared = declare_verbs(app, json);
  for (const DeclaredVerb& verb : declared) {
    VerbUsage usage{verb.subcommand->get_name(), verb.subcommand->get_description(), {}, verb.subcommand->get_footer()};
    const CLI::App& described = *verb.subcommand;
    for (const CLI::Option* option : described.get_options()) usage.options.push_back(usage_of(*option, verb.words));
    table.push_back(std::move(usage));
  }
  return table;
}

std::string nearest_word(const std::string& word, const std::vector<std::string>& known) {
  const std::size_t most = std::max<std::size_t>(word.size() / 3, 1);
  std::string nearest;
  std::size_t best = most + 1;
  for (const std::string& candidate : known) {
    const std::size_t here = distance(word, candidate);
    if (here < best) best = here, nearest = candidate;
  }
  return nearest;
}

}  // namespace tintype
