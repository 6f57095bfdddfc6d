// SPDX-License-Identifier: Apache-2.0
#include "vmm/gdb/registers.h"

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "vmm/gdb/packet.h"

namespace tintype {
namespace {

constexpr std::uint64_t kLongModeActive = 1 << 10;
// Places in the legacy area of XSAVE (Intel SDM volume 1, 10.5.1).
constexpr std::size_t kMxcsr = 24, kSt0 = 32, kXmm0 = 160;

using Value = std::vector<std::uint8_t>;

struct Register {
  std::string name, type;
  unsigned bits = 0;
  std::function<Value(const VcpuRegisters&)> value;
  std::function<void(VcpuRegisters&, const Value&)> set{};  ///< none where it cannot be
};

struct Feature {
  std::string name;
  std::vector<Register> registers;
};

Value bytes_of(std::uint64_t number, unsigned bits) {
  Value bytes(bits / 8);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i < 8 ? number >> (8 * i) : 0);
  return bytes;
}

Register number(const char* name, const char* type, unsigned bits,
                std::function<std::uint64_t(const VcpuRegisters&)> get) {
  return {
      name, type, bits, [get = std::move(get), bits](const VcpuRegisters& r) { return bytes_of(get(r), bits); }, {}};
}

std::uint64_t number_in(const Value& bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = std::min<std::size_t>(bytes.size(), 8); i-- > 0;) number = number << 8 | bytes[i];
  return number;
}

Register general(const char* name, const char* type, unsigned bits, __u64 kvm_regs::*member) {
  Register made = number(name, type, bits, [member](const VcpuRegisters& r) { return (r.general.*member); });
  made.set = [member](VcpuRegisters& r, const Value& value) { r.general.*member = number_in(value); };
  return made;
}

Register selector(const char* name, kvm_segment kvm_sregs::*member) {
  return number(name, "int32", 32, [member](const VcpuRegisters& r) { return (r.system.*member).selector; });
}

Register control(const char* name, unsigned bits, __u64 kvm_sregs::*member) {
  Register made = number(name, bits == 64 ? "int64" : "int32", bits,
                         [member](const VcpuRegisters& r) { return (r.system.*member); });
  made.set = [member](VcpuRegisters& r, const Value& value) { r.system.*member = number_in(value); };
  return made;
}

Register segment_base(const char* name, kvm_segment kvm_sregs::*member) {
  Register made = number(name, "int", 64, [member](const VcpuRegisters& r) { return (r.system.*member).base; });
  made.set = [member](VcpuRegisters& r, const Value& value) { (r.system.*member).base = number_in(value); };
  return made;
}

/// A piece of the area that FXSAVE writes.
Register piece(std::string name, const char* type, unsigned bits, std::size_t place) {
  return {std::move(name), type, bits,
          [bits, place](const VcpuRegisters& r) {
            const auto begin = r.fxsave.begin() + static_cast<std::ptrdiff_t>(place);
            return Value(begin, begin + bits / 8);
          },
          [place](VcpuRegisters& r, const Value& value) {
            std::copy(value.begin(), value.end(), r.fxsave.begin() + static_cast<std::ptrdiff_t>(place));
          }};
}

std::uint64_t word_at(const VcpuRegisters& r, std::size_t place, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) value = value << 8 | r.fxsave[place + i];
  return value;
}

/// FXSAVE has a bit for each register that is in use; gdb wants two, and 3 is empty (Intel SDM volume 1, 8.1.7).
std::uint64_t tag_word(const VcpuRegisters& r) {
  std::uint64_t tags = 0;
  for (unsigned i = 0; i < 8; ++i)
    if ((r.fxsave[4] >> i & 1) == 0) tags |= 3ULL << (2 * i);
  return tags;
}

void add_x87(std::vector<Register>& list) {
  for (unsigned i = 0; i < 8; ++i) list.push_back(piece(fmt::format("st{}", i), "i387_ext", 80, kSt0 + 16 * i));
  const auto word = [&](const char* name, std::size_t place, std::size_t bytes) {
    list.push_back(
        number(name, "int", 32, [place, bytes](const VcpuRegisters& r) { return word_at(r, place, bytes); }));
  };
  word("fctrl", 0, 2), word("fstat", 2, 2);
  list.push_back(number("ftag", "int", 32, tag_word));
  word("fiseg", 12, 2), word("fioff", 8, 4), word("foseg", 20, 2), word("fooff", 16, 4), word("fop", 6, 2);
}

std::vector<Register> core(GdbArchitecture architecture) {
  using R = kvm_regs;
  std::vector<Register> list;
  if (architecture == GdbArchitecture::kX86_64) {
    const std::pair<const char*, __u64 R::*> names[] = {
        {"rax", &R::rax}, {"rbx", &R::rbx}, {"rcx", &R::rcx}, {"rdx", &R::rdx}, {"rsi", &R::rsi}, {"rdi", &R::rdi},
        {"rbp", &R::rbp}, {"rsp", &R::rsp}, {"r8", &R::r8},   {"r9", &R::r9},   {"r10", &R::r10}, {"r11", &R::r11},
        {"r12", &R::r12}, {"r13", &R::r13}, {"r14", &R::r14}, {"r15", &R::r15}};
    for (const auto& [name, member] : names)
      list.push_back(general(name, member == &R::rbp || member == &R::rsp ? "data_ptr" : "int64", 64, member));
    list.push_back(general("rip", "code_ptr", 64, &R::rip));
  } else {
    const std::pair<const char*, __u64 R::*> names[] = {{"eax", &R::rax}, {"ecx", &R::rcx}, {"edx", &R::rdx},
                                                        {"ebx", &R::rbx}, {"esp", &R::rsp}, {"ebp", &R::rbp},
                                                        {"esi", &R::rsi}, {"edi", &R::rdi}};
    for (const auto& [name, member] : names)
      list.push_back(general(name, member == &R::rbp || member == &R::rsp ? "data_ptr" : "int32", 32, member));
    list.push_back(general("eip", "code_ptr", 32, &R::rip));
  }
  list.push_back(general("eflags", "int32", 32, &R::rflags));
  using S = kvm_sregs;
  const std::pair<const char*, kvm_segment S::*> segments[] = {{"cs", &S::cs}, {"ss", &S::ss}, {"ds", &S::ds},
                                                               {"es", &S::es}, {"fs", &S::fs}, {"gs", &S::gs}};
  for (const auto& [name, member] : segments) list.push_back(selector(name, member));
  add_x87(list);
  return list;
}

std::vector<Register> sse(GdbArchitecture architecture) {
  std::vector<Register> list;
  const unsigned count = architecture == GdbArchitecture::kX86_64 ? 16 : 8;
  for (unsigned i = 0; i < count; ++i) list.push_back(piece(fmt::format("xmm{}", i), "uint128", 128, kXmm0 + 16 * i));
  list.push_back(piece("mxcsr", "int", 32, kMxcsr));
  return list;
}

std::vector<Register> system_registers(GdbArchitecture architecture) {
  using S = kvm_sregs;
  const unsigned bits = architecture == GdbArchitecture::kX86_64 ? 64 : 32;
  return {control("cr0", bits, &S::cr0), control("cr2", bits, &S::cr2), control("cr3", bits, &S::cr3),
          control("cr4", bits, &S::cr4), control("efer", 64, &S::efer)};
}

std::vector<Feature> features(GdbArchitecture architecture) {
  std::vector<Feature> list{{"org.gnu.gdb.i386.core", core(architecture)}, {"org.gnu.gdb.i386.sse", sse(architecture)}};
  if (architecture == GdbArchitecture::kX86_64) {
    list.push_back({"org.gnu.gdb.i386.segments",
                    {segment_base("fs_base", &kvm_sregs::fs), segment_base("gs_base", &kvm_sregs::gs)}});
  }
  list.push_back({"org.tintype.system", system_registers(architecture)});
  return list;
}

}  // namespace

GdbArchitecture architecture_of(const VcpuRegisters& registers) noexcept {
  return (registers.system.efer & kLongModeActive) != 0 ? GdbArchitecture::kX86_64 : GdbArchitecture::kI386;
}

std::string target_description(GdbArchitecture architecture) {
  std::string xml = fmt::format(
      "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target><architecture>{}</architecture>",
      architecture == GdbArchitecture::kX86_64 ? "i386:x86-64" : "i386");
  for (const Feature& feature : features(architecture)) {
    xml += fmt::format("<feature name=\"{}\">", feature.name);
    for (const Register& each : feature.registers)
      xml += fmt::format("<reg name=\"{}\" bitsize=\"{}\" type=\"{}\"/>", each.name, each.bits, each.type);
    xml += "</feature>";
  }
  return xml + "</target>";
}

std::string registers_hex(GdbArchitecture architecture, const VcpuRegisters& registers) {
  std::string hex;
  for (const Feature& feature : features(architecture))
    for (const Register& each : feature.registers) hex += to_hex(each.value(registers));
  return hex;
}

std::optional<std::string> register_hex(GdbArchitecture architecture, const VcpuRegisters& registers,
                                        std::uint64_t number) {
  for (const Feature& feature : features(architecture)) {
    if (number < feature.registers.size()) return to_hex(feature.registers[number].value(registers));
    number -= feature.registers.size();
  }
  return std::nullopt;
}

bool set_register(GdbArchitecture architecture, VcpuRegisters& registers, std::uint64_t number, std::string_view hex) {
  const auto value = from_hex(hex);
  for (const Feature& feature : features(architecture)) {
    if (number < feature.registers.size()) {
      const Register& each = feature.registers[number];
      if (!value || value->size() * 8 != each.bits || !each.set) return false;
      each.set(registers, *value);
      return true;
    }
    number -= feature.registers.size();
  }
  return false;
}

// What does not change is left as it is: a value that was cut short on its way to gdb comes back as it went.
bool set_registers(GdbArchitecture architecture, VcpuRegisters& registers, std::string_view hex) {
  const auto bytes = from_hex(hex);
  if (!bytes) return false;
  auto rest = std::span(*bytes);
  for (const Feature& feature : features(architecture)) {
    for (const Register& each : feature.registers) {
      if (rest.size() < each.bits / 8) return false;
      const Value value(rest.begin(), rest.begin() + each.bits / 8);
      if (each.set && value != each.value(registers)) each.set(registers, value);
      rest = rest.subspan(each.bits / 8);
    }
  }
  return rest.empty();
}

}  // namespace tintype
