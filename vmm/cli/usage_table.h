// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/cli/verb.h"

namespace CLI {
class App;
}

namespace tintype {

struct DeclaredVerb {
  CLI::App* subcommand;
  std::unique_ptr<Verb> verb;
  std::map<std::string, std::string> words;  ///< as VerbOptions has them
};

/// Every verb with its options; or all by name, and options only of the one that is wanted, for it takes time: the
/// others have no `verb`. `json` is set where --json is given.
std::vector<DeclaredVerb> declare_verbs(CLI::App& app, bool& json, std::string_view wanted = {});

/// An option, or a word without `--` where it has no names.
struct OptionUsage {
  std::vector<std::string> names;  ///< "-f", "--follow"
  std::string placeholder;         ///< empty: a flag
  std::string help;
  bool required = false;
  std::vector<std::string> words;  ///< what it is chosen from; empty: anything
};

struct VerbUsage {
  std::string name, summary;
  std::vector<OptionUsage> options;
  std::string footer;
};

/// The same table as --help shows, for what else is made from it: man pages, and completion in shells.
std::vector<VerbUsage> usage_table();

/// The word that was probably meant: it differs in a third of its letters at most. Empty where none is near.
std::string nearest_word(const std::string& word, const std::vector<std::string>& known);

}  // namespace tintype
