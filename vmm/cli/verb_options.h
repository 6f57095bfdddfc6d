// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace tintype {

/// Declares the options of one verb. A thin face of CLI11, which takes seconds to compile and so is seen by two files
/// only. Options that were not given leave their variables as they are.
class VerbOptions {
 public:
  VerbOptions(CLI::App& verb, bool& json);

  /// A word without `--`, which must be given.
  void positional(const char* name, std::string& into, const char* help);
  void optional_positional(const char* name, std::optional<std::string>& into, const char* help);
  /// REPO, as repository_name() has it, and --endpoint.
  void repository(std::filesystem::path& into);
  /// --endpoint, for verbs that take a repository in another way.
  void endpoint();
  void flag(const char* option, bool& into, const char* help);
  // For what is not a variable: `take` is called with the text, and may throw UsageError.
  using Take = std::function<void(const std::string& text)>;
  void flag(const char* option, const Take& take, const std::string& help);
  void value(const char* option, const char* placeholder, const Take& take, const std::string& help, bool required);
  void text(const char* option, const char* placeholder, std::optional<std::string>& into, const char* help);
  /// A file or directory, made absolute.
  void path(const char* option, const char* placeholder, std::optional<std::filesystem::path>& into, const char* help);
  /// May be given several times.
  void list(const char* option, const char* placeholder, std::vector<std::string>& into, const std::string& help);
  void number(const char* option, std::optional<std::uint64_t>& into, const char* help);
  void required_number(const char* option, std::uint64_t& into, const char* help);
  /// "512M", "1G", or plain bytes.
  void size(const char* option, std::optional<std::uint64_t>& into, const char* help);
  /// What the one declared last is chosen from, for shells that complete it: "raw, qcow2". A word that ends in '=' or
  /// ':' goes on.
  void words(const std::string& list);
  void footer(const char* text);

  /// By the name of the option, or the word without `--`.
  const std::map<std::string, std::string>& all_words() const noexcept { return words_; }

 private:
  CLI::App& verb_;
  std::map<std::string, std::string> words_;
};

}  // namespace tintype
