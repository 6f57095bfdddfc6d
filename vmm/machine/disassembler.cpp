// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/disassembler.h"

#include <capstone/capstone.h>
#include <fmt/format.h>

#include "vmm/base/late_library.h"
#include "vmm/base/late_names.h"

namespace tintype {

namespace {

/// Its functions, without the "cs_" of their names; loaded when they are first wanted.
class LateCapstone {
 public:
  /// Throws tintype::Error where there is no Capstone.
  static const LateCapstone& get() {
    static const LateCapstone capstone;
    return capstone;
  }

  decltype(&::cs_open) open = nullptr;
  decltype(&::cs_close) close = nullptr;
  decltype(&::cs_disasm) disasm = nullptr;
  decltype(&::cs_free) free = nullptr;

 private:
  LateCapstone() : library_(TINTYPE_CAPSTONE) {
    library_.find("cs_open", open);
    library_.find("cs_close", close);
    library_.find("cs_disasm", disasm);
    library_.find("cs_free", free);
  }

  const LateLibrary library_;
};

/// Capstone's handle and its list of instructions.
class Capstone {
 public:
  explicit Capstone(cs_mode mode) { ready_ = library_.open(CS_ARCH_X86, mode, &handle_) == CS_ERR_OK; }
  Capstone(const Capstone&) = delete;
  Capstone& operator=(const Capstone&) = delete;
  ~Capstone() {
    if (list_ != nullptr) library_.free(list_, count_);
    if (ready_) library_.close(&handle_);
  }
  std::span<const cs_insn> run(std::span<const std::uint8_t> code, std::uint64_t address, std::size_t count) {
    if (ready_) count_ = library_.disasm(handle_, code.data(), code.size(), address, count, &list_);
    return {list_, count_};
  }

 private:
  const LateCapstone& library_ = LateCapstone::get();
  csh handle_ = 0;
  bool ready_ = false;
  cs_insn* list_ = nullptr;
  std::size_t count_ = 0;
};

cs_mode mode_of(CodeSize size) {
  switch (size) {
    case CodeSize::k16:
      return CS_MODE_16;
    case CodeSize::k32:
      return CS_MODE_32;
    case CodeSize::k64:
      break;
  }
  return CS_MODE_64;
}

std::string text_of(const cs_insn& instruction) {
  if (instruction.op_str[0] == '\0') return instruction.mnemonic;
  return fmt::format("{} {}", instruction.mnemonic, instruction.op_str);
}

}  // namespace

std::vector<Instruction> disassemble(std::span<const std::uint8_t> code, std::uint64_t address, CodeSize size,
                                     std::size_t count) {
  std::vector<Instruction> instructions;
  if (code.empty() || count == 0) return instructions;
  Capstone capstone(mode_of(size));
  std::size_t used = 0;
  for (const cs_insn& found : capstone.run(code, address, count)) {
    instructions.push_back({found.address, {found.bytes, found.bytes + found.size}, text_of(found)});
    used += found.size;
  }
  if (instructions.size() < count && used < code.size())
    instructions.push_back({address + used, {code[used]}, "(bad)"});
  return instructions;
}

}  // namespace tintype
