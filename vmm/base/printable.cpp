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

}  // namespace tintype
