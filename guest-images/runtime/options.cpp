// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/options.h"

#include "guest-images/runtime/boot_info.h"

namespace tintype::guest {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n'; }

// Takes the next word off the front; empty at the end.
Text take_word(Text& line) {
  std::size_t begin = 0;
  while (begin != line.size && is_space(line.data[begin])) ++begin;
  std::size_t end = begin;
  while (end != line.size && !is_space(line.data[end])) ++end;
  const Text word{line.data + begin, end - begin};
  line = Text{line.data + end, line.size - end};
  return word;
}

}  // namespace

Text option(Text key, std::uint32_t nth) {
  Text line = boot_info().command_line;
  for (Text word = take_word(line); word.size != 0; word = take_word(line)) {
    if (word.size <= key.size || word.data[key.size] != '=') continue;
    if (!(Text{word.data, key.size} == key)) continue;
    if (nth-- == 0) return Text{word.data + key.size + 1, word.size - key.size - 1};
  }
  return Text{};
}

std::uint64_t number_option(Text key, std::uint64_t fallback) {
  Text value = option(key);
  return value.size != 0 ? take_number(value) : fallback;
}

}  // namespace tintype::guest
