// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tintype {

/// One instruction as text.
struct Instruction {
  std::uint64_t address = 0;
  std::vector<std::uint8_t> bytes;
  std::string text;  ///< "mov eax, dword ptr [rbx]"; "(bad)" where the bytes are no instruction
};

/// In bytes (Intel SDM volume 2, 2.3.11): who reads so many for each instruction cuts none in two.
inline constexpr std::size_t kLongestInstruction = 15;

enum class CodeSize : std::uint8_t { k16 = 16, k32 = 32, k64 = 64 };

/// Disassembles at most `count` instructions of x86 code that stands at `address`. Stops at bytes that are no
/// instruction, with a last entry that says so.
std::vector<Instruction> disassemble(std::span<const std::uint8_t> code, std::uint64_t address, CodeSize size,
                                     std::size_t count);

}  // namespace tintype
