// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace tintype {

class Output;
class VerbOptions;

/// What `show REPO --id N` can show of the machine in a checkpoint: registers, memory, code, page tables.
class InspectOptions {
 public:
  void declare(VerbOptions& options);
  bool any() const noexcept { return registers_ || memory_ || disassemble_ || page_tables_; }
  /// Throws UsageError, tintype::Error.
  void show(const std::filesystem::path& repository, std::optional<std::uint64_t> id, Output& output) const;

 private:
  bool registers_ = false, physical_ = false;
  std::optional<std::uint64_t> cpu_;
  std::optional<std::string> memory_, disassemble_, page_tables_;
};

}  // namespace tintype
