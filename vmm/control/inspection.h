// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "vmm/machine/inspector.h"

namespace tintype {

/// What is asked of a machine that stands still, in a checkpoint or alive.
struct InspectRequest {
  bool registers = false, virtqueues = false;
  bool is_physical = false;  ///< the addresses of the next two are guest physical
  std::optional<std::uint64_t> memory, disassemble, page_tables;
  std::uint64_t memory_bytes = 0;
  std::uint64_t cpu = 0;  ///< by whose page tables addresses are meant

  bool any() const noexcept { return registers || virtqueues || memory || disassemble || page_tables; }
};

/// The answer, twice: as JSON for programs, and as lines for people.
struct Inspection {
  nlohmann::json object = nlohmann::json::object();
  std::string text;
};

/// UsageError where it cannot be asked, whatever the machine.
void check_inspection(const InspectRequest& request);
/// Throws tintype::Error: there is no such CPU, or what is asked for is damaged.
Inspection inspect(const Inspector& machine, const InspectRequest& request);

}  // namespace tintype
