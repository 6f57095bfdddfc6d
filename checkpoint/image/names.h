// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "checkpoint/report.h"

namespace tintype {

/// The words of the command line and of manifests.
std::string_view name_of(Strategy strategy) noexcept;
std::string_view name_of(Compression compression) noexcept;
std::optional<Strategy> strategy_of(std::string_view name) noexcept;
std::optional<Compression> compression_of(std::string_view name) noexcept;

}  // namespace tintype
