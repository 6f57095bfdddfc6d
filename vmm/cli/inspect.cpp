// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/inspect.h"

#include <charconv>

#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/cli/output.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb_options.h"
#include "vmm/machine/cpu_text.h"
#include "vmm/machine/inspector.h"

namespace tintype {

using nlohmann::json;

namespace {

constexpr std::uint64_t kMostBytes = 1 << 20, kBytesOfCode = 64;
constexpr std::size_t kBytesInLine = 16;

/// "0xffffffff81000000", or decimal.
std::uint64_t parse_address(std::string_view text, std::string_view option) {
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = hexadecimal ? text.substr(2) : text;
  std::uint64_t address = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), address, hexadecimal ? 16 : 10);
  if (error == std::errc() && end == digits.data() + digits.size() && !digits.empty()) return address;
  throw UsageError("{} cannot be \"{}\": give an address, as in 0xffffffff81000000", option, text);
}

struct Place {
  std::uint64_t address = 0, bytes = 0;
};

Place parse_place(const std::string& text) {
  const auto comma = text.find(',');
  if (comma == std::string::npos) throw UsageError("--memory cannot be \"{}\": give ADDRESS,LENGTH", text);
  const Place place{parse_address(text.substr(0, comma), "--memory"), parse_size(text.substr(comma + 1), "--memory")};
  if (place.bytes == 0 || place.bytes > kMostBytes)
    throw UsageError("--memory shows from 1 byte to 1 MiB: tintype export --memory writes all of it to a file");
  return place;
}

std::string hex(std::span<const std::uint8_t> bytes, const char* between) {
  return fmt::format("{:02x}", fmt::join(bytes, between));
}

/// "  1f0000  48 8b ...  |H.......|"
std::string dump_line(std::uint64_t address, std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '.';
  return fmt::format("  {:016x}  {:<47}  |{}|", address, hex(bytes, " "), text);
}

/// The bits of an entry that people look for (Intel SDM volume 3, table 4-20), and where it leads.
std::string entry_text(const PageWalkStep& step) {
  constexpr std::pair<unsigned, const char*> kBits[] = {{0, "present"},  {1, "write"}, {2, "user"},
                                                        {5, "accessed"}, {6, "dirty"}, {63, "no-execute"}};
  std::string text;
  for (const auto& [bit, name] : kBits)
    if ((step.entry >> bit & 1) != 0) text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
  if (step.level > 1 && (step.entry >> 7 & 1) != 0) text += ", large";
  return text.empty() ? "not present" : text;
}

/// One checkpoint, and one of its CPUs.
class View {
 public:
  View(const CheckpointReader& checkpoint, std::uint64_t cpu, bool is_physical)
      : inspector_(checkpoint), cpu_(cpu), physical_(is_physical), read_(inspector_.memory()) {
    static_cast<void>(registers());
  }

  json show_registers(Output& output) const {
    json cpus = json::array();
    for (std::size_t cpu = 0; cpu < inspector_.cpus(); ++cpu) {
      const VcpuRegisters& r = inspector_.registers(cpu);
      output.line("CPU {}\n{}{}", cpu, registers_text(r.general, r.system),
                  code_text(read_, r.system, linear_rip(r.general, r.system)));
      cpus.push_back(as_json(r));
    }
    return cpus;
  }

  json show_memory(const Place& place, Output& output) const {
    const auto bytes = read(place.address, place.bytes);
    for (std::size_t done = 0; done < bytes.size(); done += kBytesInLine)
      output.line("{}", dump_line(place.address + done,
                                  std::span(bytes).subspan(done, std::min(kBytesInLine, bytes.size() - done))));
    if (bytes.size() < place.bytes) output.line("  {:016x}  is not memory", place.address + bytes.size());
    return {{"address", place.address}, {"bytes", hex(bytes, "")}};
  }

  json show_code(std::uint64_t address, Output& output) const {
    json list = json::array();
    for (const Instruction& each :
         disassemble(read(address, kBytesOfCode), address, code_size(registers().system), 16)) {
      output.line("  {:016x}  {:<30} {}", each.address, hex(each.bytes, " "), each.text);
      list.push_back({{"address", each.address}, {"bytes", hex(each.bytes, "")}, {"text", each.text}});
    }
    if (list.empty()) output.line("  {:016x}  is not memory", address);
    return list;
  }

  json show_page_tables(std::uint64_t address, Output& output) const {
    std::vector<PageWalkStep> steps;
    const auto physical_address = translate(read_, registers().system, address, &steps);
    json list = json::array();
    for (const PageWalkStep& step : steps) {
      output.line("  level {}  at {:012x}  {:016x}  {}", step.level, step.at.value(), step.entry, entry_text(step));
      list.push_back({{"level", step.level}, {"at", step.at.value()}, {"entry", step.entry}});
    }
    if (physical_address)
      output.line("  {:016x} is guest physical {:#x}", address, physical_address->value());
    else
      output.line("  {:016x} is not mapped", address);
    return {{"address", address},
            {"physical", physical_address ? json(physical_address->value()) : json(nullptr)},
            {"steps", list}};
  }

 private:
  const VcpuRegisters& registers() const { return inspector_.registers(cpu_); }

  std::vector<std::uint8_t> read(std::uint64_t address, std::uint64_t bytes) const {
    kvm_sregs sregs = registers().system;
    if (physical_) sregs.cr0 &= ~(1ULL << 31);  // as without paging
    return read_linear(read_, sregs, address, bytes);
  }

  static json as_json(const VcpuRegisters& r) {
    const auto& g = r.general;
    const auto& s = r.system;
    return {{"rax", g.rax},
            {"rbx", g.rbx},
            {"rcx", g.rcx},
            {"rdx", g.rdx},
            {"rsi", g.rsi},
            {"rdi", g.rdi},
            {"rsp", g.rsp},
            {"rbp", g.rbp},
            {"r8", g.r8},
            {"r9", g.r9},
            {"r10", g.r10},
            {"r11", g.r11},
            {"r12", g.r12},
            {"r13", g.r13},
            {"r14", g.r14},
            {"r15", g.r15},
            {"rip", g.rip},
            {"rflags", g.rflags},
            {"cr0", s.cr0},
            {"cr2", s.cr2},
            {"cr3", s.cr3},
            {"cr4", s.cr4},
            {"efer", s.efer},
            {"cs", s.cs.selector},
            {"cs_base", s.cs.base},
            {"ss", s.ss.selector},
            {"cpl", s.ss.dpl},
            {"fs_base", s.fs.base},
            {"gs_base", s.gs.base},
            {"gdt_base", s.gdt.base},
            {"idt_base", s.idt.base}};
  }

  Inspector inspector_;
  std::uint64_t cpu_;
  bool physical_;
  ReadPhysical read_;
};

}  // namespace

void InspectOptions::declare(VerbOptions& options) {
  options.flag("--registers", registers_, "Of that checkpoint: what each CPU was doing");
  options.text("--memory", "ADDR,LEN", memory_, "Of that checkpoint: memory, up to 1M");
  options.text("--disassemble", "ADDR", disassemble_, "Of that checkpoint: the instructions there");
  options.text("--page-tables", "ADDR", page_tables_,
               "Of that checkpoint: the way from a linear to a physical address");
  options.number("--cpu", cpu_, "By whose page tables addresses are meant, by default CPU 0's");
  options.flag("--physical", physical_, "Addresses of --memory and --disassemble are guest physical");
}

void InspectOptions::show(const std::filesystem::path& repository, std::optional<std::uint64_t> id,
                          Output& output) const {
  const Place place = memory_ ? parse_place(*memory_) : Place{};
  const CheckpointReader checkpoint(repository, id);
  const View view(checkpoint, cpu_.value_or(0), physical_);
  json result{{"id", checkpoint.manifest().id}};
  if (registers_) result["cpus"] = view.show_registers(output);
  if (memory_) result["memory"] = view.show_memory(place, output);
  if (disassemble_) result["code"] = view.show_code(parse_address(*disassemble_, "--disassemble"), output);
  if (page_tables_)
    result["page_tables"] = view.show_page_tables(parse_address(*page_tables_, "--page-tables"), output);
  output.result(result);
}

}  // namespace tintype
