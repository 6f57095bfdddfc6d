// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vmm/base/words.h"
#include "vmm/cli/usage_table.h"

namespace tintype {

/// tintype(1), in the language of man(7).
std::string man_page(const std::vector<VerbUsage>& table);
/// tintype-VERB(1)
std::string man_page(const VerbUsage& verb);

enum class Shell : std::uint8_t { kBash, kZsh, kFish };
template <>
inline constexpr auto kWords<Shell> =
    std::to_array<Word<Shell>>({{Shell::kBash, "bash"}, {Shell::kZsh, "zsh"}, {Shell::kFish, "fish"}});

/// What that shell is told so that it completes verbs, options, and names of machines.
std::string completion(Shell shell, const std::vector<VerbUsage>& table);

}  // namespace tintype
