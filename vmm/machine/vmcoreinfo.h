// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "checkpoint/format/block_source.h"

namespace tintype {

/// The text in which a Linux kernel says where its things are, for whoever reads its memory afterwards: lines of
/// KEY=VALUE (Documentation/admin-guide/kdump/vmcoreinfo.rst of Linux). The kernel keeps it in a page of its own, which
/// begins with OSRELEASE=. Empty where the memory has none.
std::string find_vmcoreinfo(const BlockSource& memory);

/// The text of a page that is one; nothing where it only looks like it.
std::optional<std::string> vmcoreinfo_in(std::span<const std::byte> page);

/// Value of a line; empty where there is none.
std::string_view vmcoreinfo_value(std::string_view text, std::string_view key);

}  // namespace tintype
