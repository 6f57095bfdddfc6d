// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "vmm/control/inspection.h"

namespace tintype {

class VerbOptions;

/// What can be looked at in a machine that stands still: `show REPO --id N` has one in a checkpoint, `status NAME` one
/// that is paused.
class InspectOptions {
 public:
  /// `whose`: "of that checkpoint".
  void declare(VerbOptions& options, const std::string& whose);
  bool any() const noexcept { return registers_ || virtqueues_ || memory_ || disassemble_ || page_tables_; }
  /// Throws UsageError.
  InspectRequest request() const;
  /// The same, as the parameters of the control socket's `look`.
  nlohmann::json parameters() const;

 private:
  bool registers_ = false, virtqueues_ = false, physical_ = false;
  std::optional<std::uint64_t> cpu_;
  std::optional<std::string> memory_, disassemble_, page_tables_;
};

}  // namespace tintype
