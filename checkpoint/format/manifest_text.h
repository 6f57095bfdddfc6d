// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tintype {

/// The manifest in other bytes, which say the same: a newline more at its end. Nothing where that cannot be: it is
/// damaged, or of format 1, whose identity is made of its bytes.
std::optional<std::string> respelled_manifest(std::string_view text);

}  // namespace tintype
