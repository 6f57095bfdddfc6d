// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/state.h"

namespace tintype {

/// The saved state of one thing, under the name that the thing has in its machine ("vcpu0", "uart0").
struct NamedState {
  std::string name;
  StateRecord record;
  bool operator==(const NamedState&) const = default;
};

/// `machine.state` may not be larger than this, records may not lie deeper in each other than that.
inline constexpr std::uint64_t kMaximumStateBytes = 64ULL << 20;
inline constexpr unsigned kMaximumStateDepth = 16;

/// The bytes of `machine.state` (checkpoint/FORMAT.md). Throws StateError for a name that comes twice, or a
/// limit exceeded.
std::vector<std::byte> encode_states(std::span<const NamedState> states);

/// The way back, from untrusted bytes: every length, count and depth is checked before anything is allocated
/// for it, and the checksum before anything else. Throws StateError; `what` names the file in its text.
std::vector<NamedState> decode_states(std::span<const std::byte> bytes, const std::string& what);

/// One JSON object: {"uart0": {"type", "version", "fields": {"line_control": 3, ...}}}. Bytes are text in
/// hexadecimal.
std::string states_as_json(std::span<const NamedState> states);

}  // namespace tintype
