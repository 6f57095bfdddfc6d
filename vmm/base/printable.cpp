// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/printable.h"

#include <fmt/format.h>

namespace tintype {

std::string printable(std::string_view text) {
  std::string result;
  for (const char character : text) {
    const auto code = static_cast<unsigned char>(character);
    const bool is_control = (code < 0x20 && character != '\n' && character != '\t') || code == 0x7f;
    result += is_control ? fmt::format("\\x{:02x}", code) : std::string(1, character);
  }
  return result;
}

std::string html_text(std::string_view text) {
  std::string safe;
  for (const char byte : text) {
    switch (byte) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += static_cast<unsigned char>(byte) < ' ' && byte != '\n' ? '?' : byte;
    }
  }
  return safe;
}

}  // namespace tintype
