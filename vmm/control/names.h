// SPDX-License-Identifier: Apache-2.0
#pragma once

// The words by which options and reports name things: on the command line, in JSON and on the control socket alike.
// Those that manifests have too are in checkpoint/image/names.h.

#include <string_view>

#include "checkpoint/image/names.h"
#include "vmm/machine/machine.h"

namespace tintype {

std::string_view name_of(RunState state) noexcept;
std::string_view name_of(DiskMode mode) noexcept;

/// The way back. UsageError, naming `option` and the words there are, for any other word.
Strategy strategy_from_text(std::string_view text, std::string_view option);
Compression compression_from_text(std::string_view text, std::string_view option);
DiskMode disk_mode_from_text(std::string_view text, std::string_view option);

}  // namespace tintype
