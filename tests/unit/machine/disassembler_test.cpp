// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/disassembler.h"

#include <doctest/doctest.h>

namespace tintype {

TEST_CASE("the same bytes mean what the CPU's mode makes of them") {
  const std::vector<std::uint8_t> code = {0x48, 0x89, 0xd8};  // mov rax, rbx; in 32-bit code: dec eax, mov eax, ebx
  const auto in_64 = disassemble(code, 0x1000, CodeSize::k64, 5);
  REQUIRE(in_64.size() == 1);
  CHECK(in_64[0].text == "mov rax, rbx");
  CHECK(in_64[0].address == 0x1000);
  CHECK(disassemble(code, 0x1000, CodeSize::k32, 5).size() == 2);
}

TEST_CASE("an instruction without operands is its name and nothing behind it") {
  const std::vector<std::uint8_t> code = {0xf4};
  CHECK(disassemble(code, 0, CodeSize::k64, 1).at(0).text == "hlt");
}

TEST_CASE("bytes that are no instruction are said to be none, and end the list") {
  const std::vector<std::uint8_t> code = {0x90, 0x06, 0x90};  // nop; 06 does not exist in 64-bit mode
  const auto instructions = disassemble(code, 0, CodeSize::k64, 5);
  REQUIRE(instructions.size() == 2);
  CHECK(instructions[1].text == "(bad)");
  CHECK(disassemble({}, 0, CodeSize::k64, 5).empty());
}

}  // namespace tintype
