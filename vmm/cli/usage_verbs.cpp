// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/cli/output.h"
#include "vmm/cli/usage_pages.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;

std::string names_of_verbs() {
  std::string names;
  for (const VerbEntry& entry : verbs()) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

class CompletionVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.positional("SHELL", shell_, "bash, zsh or fish");
    options.words(offered_words<Shell>());
    options.footer(
        "For this shell only: source <(tintype completion bash). `meson install` puts them where shells look.");
  }

  int run(Output& output) override {
    output.text("completion", completion(chosen_value<Shell>(shell_, "SHELL"), usage_table()));
    return 0;
  }

 private:
  std::string shell_;
};

class ManVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.optional_positional("VERB", verb_, "The page of this verb, by default of all");
    options.words(names_of_verbs());
    options.path("--into", "DIR", directory_, "Write all pages into this directory, as tintype.1, tintype-run.1, ...");
    options.footer("To read one: tintype man run | man -l -");
  }

  int run(Output& output) override {
    const auto table = usage_table();
    if (directory_) {
      write_all(table, output);
    } else {
      output.text("page", verb_ ? man_page(verb_in(table)) : man_page(table));
    }
    return 0;
  }

 private:
  const VerbUsage& verb_in(const std::vector<VerbUsage>& table) const {
    const auto found = std::ranges::find(table, *verb_, &VerbUsage::name);
    if (found == table.end())
      throw UsageError("there is no verb \"{}\": `tintype --help` shows those that there are", *verb_);
    return *found;
  }

  void write_all(const std::vector<VerbUsage>& table, Output& output) const {
    fs::create_directories(*directory_);
    write("tintype", man_page(table));
    for (const VerbUsage& verb : table) write("tintype-" + verb.name, man_page(verb));
    output.line("{} pages in {}", table.size() + 1, directory_->string());
    output.result({{"directory", path_to_json(*directory_)}, {"pages", table.size() + 1}});
  }

  void write(const std::string& name, const std::string& page) const {
    const fs::path path = *directory_ / (name + ".1");
    std::ofstream file(path, std::ios::binary);
    file << page;
    if (!file.flush()) throw Error("{} cannot be written", path.string());
  }

  std::optional<std::string> verb_;
  std::optional<fs::path> directory_;
};

}  // namespace

std::unique_ptr<Verb> make_completion_verb() { return std::make_unique<CompletionVerb>(); }
std::unique_ptr<Verb> make_man_verb() { return std::make_unique<ManVerb>(); }

}  // namespace tintype
