// SPDX-License-Identifier: Apache-2.0
#pragma once

// The words by which options, reports, manifests and the control socket name the values of an enumeration. Each list
// stands once, beside its enumeration; help, messages and JSON are made from it.

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "vmm/base/error.h"

namespace tintype {

template <typename T>
struct Word {
  T value;
  std::string_view name;
  bool offered = true;  ///< false: promised for a later version, and refused in this one
};

/// The words of T: specialised where T is declared, as an array of Word<T>.
template <typename T>
inline constexpr std::array<Word<T>, 0> kWords{};

template <typename T>
concept HasWords = !kWords<T>.empty();

template <HasWords T>
constexpr std::string_view name_of(T value) noexcept {
  for (const Word<T>& word : kWords<T>) {
    if (word.value == value) return word.name;
  }
  return "unknown";
}

template <HasWords T>
constexpr std::optional<T> value_of(std::string_view name) noexcept {
  for (const Word<T>& word : kWords<T>) {
    if (word.name == name) return word.value;
  }
  return std::nullopt;
}

/// "auto, stop, cow": those that can be chosen in this version.
template <HasWords T>
std::string offered_words() {
  std::string list;
  for (const Word<T>& word : kWords<T>) {
    if (word.offered) list += (list.empty() ? "" : ", ") + std::string(word.name);
  }
  return list;
}

/// "choose one of auto, stop, cow", or "use persistent" where there is but one.
template <HasWords T>
std::string advice_on_words() {
  const std::string words = offered_words<T>();
  return (words.find(',') == std::string::npos ? "use " : "choose one of ") + words;
}

/// The value that was chosen by `text`. UsageError, naming `option` and the words there are, for any other word; Error
/// for one that comes in a later version.
template <HasWords T>
T chosen_value(std::string_view text, std::string_view option) {
  for (const Word<T>& word : kWords<T>) {
    if (word.name != text) continue;
    if (!word.offered) throw Error("{} {} is not in this version: {}", option, text, advice_on_words<T>());
    return word.value;
  }
  throw UsageError("{} cannot be \"{}\": {}", option, text, advice_on_words<T>());
}

}  // namespace tintype
