// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <fmt/format.h>

namespace tintype {

/// One line on stderr, prefixed with the program's name. Whole lines only, so that threads do not mix theirs.
/// Never called for something that a guest can do without bound.
void log_line(const std::string& text) noexcept;

template <typename... Args>
void log_note(fmt::format_string<Args...> text, Args&&... args) {
  log_line(fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace tintype
