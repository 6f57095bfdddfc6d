// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/xml.h"

#include <array>
#include <utility>

namespace tintype {
namespace {

/// Where the element begins, behind `<name>` or `<name xmlns="...">`; npos where there is none. `open` is where `<` is.
std::size_t begin_of(std::string_view text, std::string_view name, std::size_t from) {
  for (std::size_t at = text.find('<', from); at != text.npos; at = text.find('<', at + 1)) {
    const std::string_view rest = text.substr(at + 1);
    if (!rest.starts_with(name)) continue;
    const std::string_view behind = rest.substr(name.size());
    if (!behind.starts_with('>') && !behind.starts_with(' ')) continue;
    const std::size_t end = behind.find('>');
    if (end == behind.npos || (end > 0 && behind[end - 1] == '/')) continue;
    return at + 1 + name.size() + end + 1;
  }
  return text.npos;
}

std::string unescaped(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, char>, 5> kEntities = {
      {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};
  std::string plain;
  while (!text.empty()) {
    std::size_t used = 1;
    char c = text.front();
    for (const auto& entity : kEntities) {
      if (!text.starts_with(entity.first)) continue;
      c = entity.second;
      used = entity.first.size();
    }
    if (text.starts_with("&#34;")) c = '"', used = 5;
    plain += c;
    text.remove_prefix(used);
  }
  return plain;
}

}  // namespace

std::vector<std::string_view> xml_elements(std::string_view text, std::string_view name) {
  std::vector<std::string_view> elements;
  const std::string closing = "</" + std::string(name) + ">";
  for (std::size_t at = begin_of(text, name, 0); at != text.npos; at = begin_of(text, name, at)) {
    const std::size_t end = text.find(closing, at);
    if (end == text.npos) break;
    elements.push_back(text.substr(at, end - at));
    at = end + closing.size();
  }
  return elements;
}

std::string xml_text(std::string_view text, std::string_view name) {
  const auto elements = xml_elements(text, name);
  return elements.empty() ? std::string() : unescaped(elements.front());
}

}  // namespace tintype
