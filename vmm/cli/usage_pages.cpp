// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/usage_pages.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace tintype {

namespace {

// ---- man(7) ----

/// Text of ours in roff: nothing in it is a request.
std::string roff(std::string_view text) {
  std::string safe;
  for (const char byte : text) {
    if ((byte == '.' || byte == '\'') && (safe.empty() || safe.back() == '\n')) safe += "\\&";
    if (byte == '\\') {
      safe += "\\e";
    } else if (byte == '-') {
      safe += "\\-";
    } else {
      safe += byte;
    }
  }
  return safe;
}

std::string names_of(const OptionUsage& option) {
  return option.names.empty() ? option.placeholder : fmt::format("{}", fmt::join(option.names, ", "));
}

std::string synopsis(const VerbUsage& verb) {
  std::string text = fmt::format(".B tintype {}\n", roff(verb.name));
  for (const OptionUsage& option : verb.options) {
    const std::string name = option.names.empty() ? "" : option.names.back() + (option.placeholder.empty() ? "" : " ");
    const std::string word = roff(name + option.placeholder);
    if (option.names != std::vector<std::string>{"-h", "--help"})
      text += option.required ? fmt::format("{}\n", word) : fmt::format("[{}]\n", word);
  }
  return text;
}

/// Its lines are filled, but for those of a table, whose columns are apart.
std::string notes(const std::string& footer) {
  std::string text = roff(footer);
  if (footer.find("  ") == footer.npos) return text;
  for (auto end = text.find('\n'); end != text.npos; end = text.find('\n', end + 5)) text.insert(end, "\n.br");
  return text;
}

std::string title(std::string_view name) {
  std::string upper(name);
  std::ranges::transform(upper, upper.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c; });
  return fmt::format(".TH {} 1\n", roff(upper));
}

constexpr const char* kStatus =
    ".SH EXIT STATUS\n0: fine. 1: failed; one sentence on stderr says why. 2: wrong usage.\n"
    ".B run\nand\n.B restore\nin the foreground: the guest's.\n";

// ---- shells ----

std::vector<std::string> long_names(const VerbUsage& verb) {
  std::vector<std::string> names;
  for (const OptionUsage& option : verb.options) {
    if (!option.names.empty()) names.push_back(option.names.back());
  }
  return names;
}

bool wants_machine(const VerbUsage& verb) {
  return std::ranges::any_of(
      verb.options, [](const OptionUsage& option) { return option.names.empty() && option.placeholder == "NAME"; });
}

/// In single quotes, for any of the three.
std::string in_quotes(std::string_view text) {
  std::string safe = "'";
  for (const char byte : text) safe += byte == '\'' ? std::string("'\\''") : std::string(1, byte == '\n' ? ' ' : byte);
  return safe + "'";
}

std::string verb_names(const std::vector<VerbUsage>& table, bool only_with_machine) {
  std::string names;
  for (const VerbUsage& verb : table) {
    if (!only_with_machine || wants_machine(verb)) names += (names.empty() ? "" : " ") + verb.name;
  }
  return names;
}

/// What it is chosen from stands at its first word without `--`.
const OptionUsage* first_word(const VerbUsage& verb) {
  const auto found = std::ranges::find_if(verb.options, [](const OptionUsage& option) { return option.names.empty(); });
  return found == verb.options.end() ? nullptr : &*found;
}

std::string alternatives(std::string words) {
  std::ranges::replace(words, ' ', '|');
  return words;
}

constexpr const char* kMachines = "tintype list 2>/dev/null | awk 'NR > 1 { print $1 }'";

/// The words for each verb and option that has some: "VERB:--option|VERB:-o) words='...' ;;". At its first word without
/// `--`, the place of the option is empty.
std::string bash_words(const std::vector<VerbUsage>& table) {
  std::string text;
  for (const VerbUsage& verb : table) {
    for (const OptionUsage& option : verb.options) {
      if (option.words.empty() || (option.names.empty() && &option != first_word(verb))) continue;
      std::string places = option.names.empty() ? verb.name + ":" : "";
      for (const std::string& name : option.names)
        places += fmt::format("{}{}:{}", places.empty() ? "" : "|", verb.name, name);
      text += fmt::format("    {}) words='{}' ;;\n", places, fmt::join(option.words, " "));
    }
  }
  return text;
}

std::string bash_completion(const std::vector<VerbUsage>& table) {
  std::string text = fmt::format(
      "# bash completion for tintype; made by `tintype completion bash`\n"
      "_tintype() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} options= words=\n"
      "  if ((COMP_CWORD == 1)); then\n"
      "    mapfile -t COMPREPLY < <(compgen -W '{} help --help --version' -- \"$word\")\n"
      "    return\n"
      "  fi\n"
      "  case ${{COMP_WORDS[1]}} in\n",
      verb_names(table, false));
  for (const VerbUsage& verb : table)
    text += fmt::format("    {}) options='{}' ;;\n", verb.name, fmt::join(long_names(verb), " "));
  return text + "  esac\n  ((COMP_CWORD > 2)) || before=\n  case ${COMP_WORDS[1]}:$before in\n" + bash_words(table) +
         fmt::format(
             "    help:) words='{0}' ;;\n"
             "  esac\n"
             "  if [[ $word == -* ]]; then\n"
             "    mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
             "  elif [[ -n $words ]]; then\n"
             "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
             "    [[ ${{COMPREPLY[0]-}} != *[=:] ]] || compopt -o nospace 2>/dev/null\n"
             "  elif ((COMP_CWORD == 2)) && [[ ${{COMP_WORDS[1]}} =~ ^({1})$ ]]; then\n"
             "    mapfile -t COMPREPLY < <(compgen -W \"$({2})\" -- \"$word\")\n"
             "  else\n"
             "    mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
             "  fi\n"
             "}}\n"
             "complete -o filenames -F _tintype tintype\n",
             verb_names(table, false), alternatives(verb_names(table, true)), kMachines);
}

/// In the specification of an option, ':' and brackets mean something.
std::string zsh_text(std::string_view text) {
  std::string safe;
  for (const char byte : text) {
    if (byte == ':' || byte == '[' || byte == ']' || byte == '\\') safe += '\\';
    safe += byte;
  }
  return safe;
}

/// How the value of an option is completed: ":value:(raw qcow2)".
std::string zsh_value(const OptionUsage& option) {
  if (option.placeholder.empty()) return "";
  if (option.words.empty()) return ":value:_files";
  return fmt::format(":value:({})", zsh_text(fmt::format("{}", fmt::join(option.words, " "))));
}

std::string zsh_first_word(const VerbUsage& verb) {
  const OptionUsage* const first = first_word(verb);
  if (first != nullptr && !first->words.empty()) return fmt::format("        {} ", in_quotes("1" + zsh_value(*first)));
  return wants_machine(verb) ? "        '1:machine:_tintype_machines' " : "        ";
}

std::string zsh_completion(const std::vector<VerbUsage>& table) {
  std::string text =
      "#compdef tintype\n# made by `tintype completion zsh`\n"
      "_tintype_machines() { compadd -- ${(f)\"$(" +
      std::string(kMachines) + ")\"} }\n_tintype() {\n  if ((CURRENT == 2)); then\n    local -a verbs=(\n";
  for (const VerbUsage& verb : table)
    text += fmt::format("      {}\n", in_quotes(verb.name + ":" + zsh_text(verb.summary)));
  text +=
      "    )\n    _describe verb verbs\n    return\n  fi\n  local verb=$words[2]\n  shift words\n"
      "  ((CURRENT -= 1))\n  case $verb in\n";
  for (const VerbUsage& verb : table) {
    text += fmt::format("    {})\n      _arguments \\\n", verb.name);
    for (const OptionUsage& option : verb.options) {
      for (const std::string& name : option.names)
        text += fmt::format("        {} \\\n",
                            in_quotes(fmt::format("*{}[{}]{}", name, zsh_text(option.help), zsh_value(option))));
    }
    text += zsh_first_word(verb) + "'*:file:_files' ;;\n";
  }
  return text + "  esac\n}\n_tintype \"$@\"\n";
}

std::string fish_words(const OptionUsage& option) {
  if (option.words.empty()) return "";
  return fmt::format(" -f -a {}", in_quotes(fmt::format("{}", fmt::join(option.words, " "))));
}

std::string fish_completion(const std::vector<VerbUsage>& table) {
  std::string text = "# made by `tintype completion fish`\n";
  for (const VerbUsage& verb : table)
    text += fmt::format("complete -c tintype -f -n __fish_use_subcommand -a {} -d {}\n", verb.name,
                        in_quotes(verb.summary));
  for (const VerbUsage& verb : table) {
    const std::string seen = in_quotes("__fish_seen_subcommand_from " + verb.name);
    if (wants_machine(verb))
      text += fmt::format("complete -c tintype -f -n {} -a {}\n", seen, in_quotes(fmt::format("({})", kMachines)));
    if (const OptionUsage* const first = first_word(verb); first != nullptr && !first->words.empty())
      text += fmt::format(
          "complete -c tintype -f -n '__fish_seen_subcommand_from {}; and test (count (commandline -opc)) "
          "-eq 2'{}\n",
          verb.name, fish_words(*first));
    for (const OptionUsage& option : verb.options) {
      if (option.names.empty()) continue;
      text += fmt::format("complete -c tintype -n {} -l {}{}{} -d {}\n", seen, option.names.back().substr(2),
                          option.placeholder.empty() ? "" : " -r", fish_words(option), in_quotes(option.help));
    }
  }
  return text;
}

}  // namespace

std::string man_page(const std::vector<VerbUsage>& table) {
  std::string text = title("tintype") +
                     ".SH NAME\ntintype \\- run virtual machines and photograph them while they run\n"
                     ".SH SYNOPSIS\n.B tintype\n.I VERB\n[...]\n.SH VERBS\n";
  for (const VerbUsage& verb : table) text += fmt::format(".TP\n.B {}\n{}\n", roff(verb.name), roff(verb.summary));
  text += kStatus;
  return text + ".SH SEE ALSO\nEach verb has a page of its own, such as\n.BR tintype\\-run (1).\n";
}

std::string man_page(const VerbUsage& verb) {
  std::string text =
      title("tintype-" + verb.name) + fmt::format(".SH NAME\ntintype\\-{} \\- {}\n.SH SYNOPSIS\n{}.SH OPTIONS\n",
                                                  roff(verb.name), roff(verb.summary), synopsis(verb));
  for (const OptionUsage& option : verb.options) {
    const std::string value = option.names.empty() || option.placeholder.empty() ? "" : " " + option.placeholder;
    text += fmt::format(".TP\n.B {}\n{}\n", roff(names_of(option) + value), roff(option.help));
  }
  if (!verb.footer.empty()) text += fmt::format(".SH NOTES\n{}\n", notes(verb.footer));
  return text + kStatus + ".SH SEE ALSO\n.BR tintype (1)\n";
}

std::string completion(Shell shell, const std::vector<VerbUsage>& table) {
  switch (shell) {
    case Shell::kBash:
      return bash_completion(table);
    case Shell::kZsh:
      return zsh_completion(table);
    case Shell::kFish:
      break;
  }
  return fish_completion(table);
}

}  // namespace tintype
