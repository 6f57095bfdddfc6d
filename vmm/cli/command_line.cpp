// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/command_line.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "vmm/base/error.h"
#include "vmm/cli/output.h"
#include "vmm/cli/revision.h"
#include "vmm/cli/usage_table.h"
#include "vmm/cli/verb.h"

namespace tintype {

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitWrongUsage = 2;

/// ": did you mean X?" for a word that is near one that there is.
std::string suggestion(const std::string& word, const std::vector<std::string>& known) {
  const std::string nearest = nearest_word(word, known);
  return nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest);
}

/// For an option that the verb, or the program without one, does not have.
std::string option_suggestion(const CLI::App& verb, const CLI::ParseError& failure) {
  if (failure.get_exit_code() != static_cast<int>(CLI::ExitCodes::ExtrasError)) return "";
  std::vector<std::string> known;
  for (const CLI::Option* option : verb.get_options()) {
    if (option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  for (const std::string& word : verb.remaining()) {
    if (!word.starts_with("--")) continue;
    if (auto text = suggestion(word.substr(0, word.find('=')), known); !text.empty()) return text;
  }
  return "";
}

/// "NAME (the machine) is missing".
std::string missing_word(const std::string& name, std::string meaning) {
  if (meaning.size() > 1 && std::isupper(meaning[1]) == 0) meaning[0] = static_cast<char>(std::tolower(meaning[0]));
  return fmt::format("{} ({}) is missing", name, meaning);
}

/// What CLI11 says in words of its own, or not at all.
std::string better_words(const CLI::App& verb, const CLI::ParseError& failure, std::string complaint) {
  const auto left = verb.remaining();
  if (failure.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError) && std::ranges::count(left, "") != 0)
    return "an empty word was not expected";
  constexpr std::string_view kRequired = " is required";
  if (complaint.ends_with(kRequired)) {
    const std::string name = complaint.substr(0, complaint.size() - kRequired.size());
    const CLI::Option* const option = verb.get_option_no_throw(name);
    if (option != nullptr && option->get_positional()) return missing_word(name, option->get_description());
  }
  const auto twice = complaint.find(": At Most 1 required but received");
  if (twice != std::string::npos) return complaint.substr(0, twice) + " is given more than once";
  return complaint;
}

/// CLI11's complaint as one sentence that says where help is.
std::string usage_sentence(const CLI::App& app, const CLI::ParseError& failure) {
  std::string complaint = failure.what();
  std::replace(complaint.begin(), complaint.end(), '\n', ' ');
  while (!complaint.empty() && (complaint.back() == ' ' || complaint.back() == '.')) complaint.pop_back();
  if (complaint.size() > 1 && std::islower(complaint[1]) != 0)
    complaint[0] = static_cast<char>(std::tolower(complaint[0]));
  const auto chosen = app.get_subcommands();
  const std::string verb = chosen.empty() ? "" : " " + chosen.front()->get_name();
  const CLI::App& asked = chosen.empty() ? app : *chosen.front();
  complaint = better_words(asked, failure, complaint);
  const std::string meant = option_suggestion(asked, failure);
  return fmt::format("{}{}{} `tintype{} --help` shows what can be given", complaint, meant, meant.empty() ? ":" : "",
                     verb);
}

bool is_request_for_text(const CLI::ParseError& outcome) { return outcome.get_exit_code() == 0; }  // --help, --version

int print_text(const CLI::App& app, const CLI::ParseError& request, Output& output) {
  std::ostringstream text;
  app.exit(request, text, text);
  std::string lines = text.str();
  while (!lines.empty() && lines.back() == '\n') lines.pop_back();
  output.text(request.get_name() == "CallForVersion" ? "version" : "help", lines);
  return 0;
}

/// A file of ours that took the place of a closed stdin, stdout or stderr would be read and written as if it were it.
/// Where stdout is closed, what stands there cannot be written, so that lost output is an error still.
void fill_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0) ::open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
  }
}

/// CLI11 would only say that some verb is required.
void check_verb(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + std::min(argc, 1), argv + argc);
  if (std::ranges::count(words, "--json") == std::ssize(words))
    throw UsageError("say what to do: `tintype --help` shows the verbs");
  const std::string_view verb = argv[1];
  const auto known = verbs();
  std::vector<std::string> names;
  for (const VerbEntry& entry : known) names.emplace_back(entry.name);
  if (std::ranges::find(names, verb) != names.end() || verb.starts_with('-')) return;
  const std::string meant = suggestion(std::string(verb), names);
  throw UsageError("there is no verb \"{}\"{}{} `tintype --help` shows those that there are", verb, meant,
                   meant.empty() ? ":" : "");
}

int parse_and_run(int argc, char** argv, Output& output) {
  check_verb(argc, argv);
  CLI::App app("Tintype runs virtual machines and photographs them while they run.", "tintype");
  const std::string commit = revision();
  app.set_version_flag("--version",
                       "tintype " TINTYPE_VERSION + (commit.empty() ? std::string() : " (commit " + commit + ")"));
  app.require_subcommand(1);
  bool json = false;
  const std::string_view word = argv[1];
  const auto declared = declare_verbs(app, json, word.starts_with('-') ? std::string_view() : word);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& outcome) {
    if (is_request_for_text(outcome)) return print_text(app, outcome, output);
    throw UsageError(usage_sentence(app, outcome));
  }
  const auto chosen = std::find_if(declared.begin(), declared.end(),
                                   [](const DeclaredVerb& verb) { return verb.verb && verb.subcommand->parsed(); });
  return chosen->verb->run(output);
}

/// `tintype help VERB` is `tintype VERB --help`.
std::vector<char*> without_word_help(int argc, char** argv) {
  static char option[] = "--help";
  std::vector<char*> words(argv, argv + argc);
  if (words.size() < 2 || std::string_view(words[1]) != "help") return words;
  words.erase(words.begin() + 1);
  words.push_back(option);
  return words;
}

bool asks_for_json(int argc, char** argv) {
  return std::any_of(argv, argv + argc, [](const char* word) { return std::string_view(word) == "--json"; });
}

}  // namespace

int run_command_line(int argc, char** argv) {
  fill_standard_descriptors();
  ::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of that write, not the end of a machine
  Output output(asks_for_json(argc, argv));
  try {
    std::vector<char*> words = without_word_help(argc, argv);
    return parse_and_run(static_cast<int>(words.size()), words.data(), output);
  } catch (const UsageError& failure) {
    output.error(failure.what());
    return kExitWrongUsage;
  } catch (const std::exception& failure) {
    output.error(failure.what());
    return kExitFailed;
  }
}

}  // namespace tintype
