// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace tintype {

/// The page of `tintype watch --listen`: HTML, style and script in one, nothing from elsewhere. `no_checkpoint`: why
/// its button cannot be pressed; empty where it can.
std::string watch_page(const std::string& machine, const std::string& no_checkpoint);

}  // namespace tintype
