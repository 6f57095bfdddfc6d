// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
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
/// Of a number in hexadecimal, as addresses are; 0 where there is none.
std::uint64_t vmcoreinfo_hex(std::string_view text, std::string_view key);

/// Where a Linux's image is linked (__START_KERNEL_map), and the end of all that lies elsewhere.
inline constexpr std::uint64_t kLinuxMap = 0xffffffff80000000;
/// What is added to a linear address in the image, as it runs, for the physical one.
std::uint64_t linux_shift(std::string_view text);

}  // namespace tintype
