// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/machine/page_walk.h"

namespace tintype {

/// The names of what lies in a guest's memory, by physical address: functions and variables of its kernel, out of an
/// ELF64 file's symbol table (System V ABI, chapter 4: a vmlinux, or NAME.elf64 of our own).
class SymbolTable {
 public:
  /// `vmcoreinfo`: what a Linux says in its memory of where it placed itself (vmcoreinfo.h); empty where there is no
  /// Linux: then all lies where the file says. Throws tintype::Error where the file has no symbols, is damaged, or
  /// belongs to another kernel: another build than `vmcoreinfo` says, or without it, other code than `memory` has.
  SymbolTable(const std::filesystem::path& file, std::string_view vmcoreinfo, const ReadPhysical& memory);

  /// What overlaps these bytes, in order; names of C++ as they stand in the source.
  std::vector<std::string> names_in(std::uint64_t start, std::uint64_t bytes) const;

 private:
  struct Symbol {
    std::uint64_t start = 0, size = 0;
    std::string name;
  };
  std::vector<Symbol> symbols_;  ///< by start
  std::uint64_t largest_ = 0;    ///< size of the largest
};

}  // namespace tintype
