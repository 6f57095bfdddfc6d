// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace tintype {

/// The text with control characters, but for newline and tab, written out (\x1b). What comes from a guest, a checkpoint
/// or a path may hold sequences that a terminal obeys.
std::string printable(std::string_view text);

/// The text as it stands in an HTML page or in an attribute there. Control characters but for newline become '?'.
std::string html_text(std::string_view text);

}  // namespace tintype
