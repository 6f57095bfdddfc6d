// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/inspection.h"

#include "devices/virtio/spec.h"
#include "vmm/base/error.h"
#include "vmm/machine/cpu_text.h"
#include "vmm/machine/virtqueue_view.h"

namespace tintype {

using nlohmann::json;

namespace {

constexpr std::uint64_t kMostBytes = 1 << 20, kInstructions = 16;
constexpr std::size_t kBytesInLine = 16;

std::string hex(std::span<const std::uint8_t> bytes, const char* between) {
  return fmt::format("{:02x}", fmt::join(bytes, between));
}

/// "  1f0000  48 8b ...  |H.......|"
std::string dump_line(std::uint64_t address, std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '.';
  return fmt::format("  {:016x}  {:<47}  |{}|", address, hex(bytes, " "), text);
}

struct NamedBit {
  unsigned bit;
  const char* name;
};

/// "present, write", or "" where none of them is set.
std::string bits_text(std::uint64_t value, std::span<const NamedBit> bits) {
  std::string text;
  for (const auto& [bit, name] : bits)
    if ((value >> bit & 1) != 0) text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
  return text;
}

/// The bits of an entry that people look for (Intel SDM volume 3, table 4-20).
std::string entry_text(const PageWalkStep& step) {
  constexpr NamedBit kBits[] = {{0, "present"},  {1, "write"}, {2, "user"},
                                {5, "accessed"}, {6, "dirty"}, {63, "no-execute"}};
  std::string text = bits_text(step.entry, kBits);
  if (step.level > 1 && (step.entry >> 7 & 1) != 0) text += ", large";
  return text.empty() ? "not present" : text;
}

/// Virtio 1.2, 2.1.
std::string status_text(std::uint32_t status) {
  constexpr NamedBit kBits[] = {{0, "acknowledged"}, {1, "driver"},      {3, "features OK"},
                                {2, "driver OK"},    {6, "needs reset"}, {7, "failed"}};
  return status == 0 ? "not in use" : bits_text(status, kBits);
}

json registers_json(const VcpuRegisters& r) {
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

/// One machine, and one of its CPUs.
class View {
 public:
  View(const Inspector& machine, const InspectRequest& request)
      : machine_(machine), registers_(machine.registers(request.cpu)), is_physical_(request.is_physical) {}

  json registers() {
    json cpus = json::array();
    for (std::size_t cpu = 0; cpu < machine_.cpus(); ++cpu) {
      const VcpuRegisters& r = machine_.registers(cpu);
      line("CPU {}\n{}{}", cpu, registers_text(r.general, r.system),
           code_text(machine_.memory(), r.system, linear_rip(r.general, r.system)));
      cpus.push_back(registers_json(r));
    }
    return cpus;
  }

  json memory(std::uint64_t address, std::uint64_t count) {
    begin_section();
    const auto bytes = read(address, count);
    for (std::size_t done = 0; done < bytes.size(); done += kBytesInLine)
      line("{}",
           dump_line(address + done, std::span(bytes).subspan(done, std::min(kBytesInLine, bytes.size() - done))));
    if (bytes.size() < count) line("  {:016x}  is not memory", address + bytes.size());
    return {{"address", address}, {"bytes", hex(bytes, "")}};
  }

  json code(std::uint64_t address) {
    begin_section();
    json list = json::array();
    for (const Instruction& each : disassemble(read(address, kInstructions * kLongestInstruction), address,
                                               code_size(registers_.system), kInstructions)) {
      line("  {:016x}  {:<30} {}", each.address, hex(each.bytes, " "), each.text);
      list.push_back({{"address", each.address}, {"bytes", hex(each.bytes, "")}, {"text", each.text}});
    }
    if (list.empty()) line("  {:016x}  is not memory", address);
    return list;
  }

  json page_tables(std::uint64_t address) {
    begin_section();
    std::vector<PageWalkStep> steps;
    const auto physical_address = translate(machine_.memory(), registers_.system, address, &steps);
    json list = json::array();
    for (const PageWalkStep& step : steps) {
      line("  level {}  at {:012x}  {:016x}  {}", step.level, step.at.value(), step.entry, entry_text(step));
      list.push_back({{"level", step.level}, {"at", step.at.value()}, {"entry", step.entry}});
    }
    if (physical_address)
      line("  {:016x} is guest physical {:#x}", address, physical_address->value());
    else
      line("  {:016x} is not mapped", address);
    return {{"address", address},
            {"physical", physical_address ? json(physical_address->value()) : json(nullptr)},
            {"steps", list}};
  }

  json virtqueues() {
    begin_section();
    json list = json::array();
    for (const InspectedDevice& device : machine_.virtio()) {
      const VirtioMmioStateV1& transport = device.transport;
      line("{}  {}: {}; features {:#x}", device.name, device.kind, status_text(transport.status),
           transport.driver_features);
      json queues = json::array();
      for (const VirtioQueueStateV1& queue : transport.queues)
        queues.push_back(virtqueue(device, queue, queues.size()));
      list.push_back({{"name", device.name},
                      {"kind", device.kind},
                      {"status", transport.status},
                      {"features", transport.driver_features},
                      {"interrupt_status", transport.interrupt_status},
                      {"queues", queues}});
    }
    if (list.empty()) line("It has no virtio devices.");
    return list;
  }

  /// Without the end of the last line.
  std::string take_text() {
    if (!text_.empty()) text_.pop_back();
    return std::move(text_);
  }

 private:
  /// An empty line stands between what was asked for and what else was.
  void begin_section() {
    if (!text_.empty()) text_ += '\n';
  }

  json virtqueue(const InspectedDevice& device, const VirtioQueueStateV1& queue, std::size_t number) {
    json object = {{"ready", queue.ready}, {"size", queue.size}};
    if (!queue.ready) {
      line("  queue {}: not in use", number);
      return object;
    }
    const ViewedQueue seen = view_queue(machine_.memory(), device, queue);
    line("  queue {}: {} descriptors at {:#x}, available ring at {:#x}, used ring at {:#x}", number, queue.size,
         queue.descriptors, queue.available, queue.used);
    if (seen.problem.empty())
      line("    driver: {} made available, {} seen as used; device: {} taken, {} used", seen.available_index,
           seen.used_index, queue.next_available, queue.next_used);
    else
      line("    broken: {}", seen.problem);
    object.update({{"descriptors", queue.descriptors},
                   {"available", queue.available},
                   {"used", queue.used},
                   {"next_available", queue.next_available},
                   {"next_used", queue.next_used},
                   {"available_index", seen.available_index},
                   {"used_index", seen.used_index},
                   {"in_flight", chains("in flight", seen.in_flight)},
                   {"waiting", chains("waiting", seen.waiting)},
                   {"problem", seen.problem}});
    return object;
  }

  json chains(const char* what, std::span<const ViewedChain> chains) {
    json list = json::array();
    for (const ViewedChain& chain : chains) {
      line("    {}: chain {}{}{}", what, chain.head, chain.request.empty() ? "" : ", " + chain.request,
           chain.problem.empty() ? "" : ", broken: " + chain.problem);
      json buffers = json::array();
      for (const ViewedBuffer& buffer : chain.buffers) {
        line("      {:012x}  {:>8} bytes, {}", buffer.address, buffer.length,
             buffer.writable ? "the device writes" : "the device reads");
        buffers.push_back({{"address", buffer.address}, {"length", buffer.length}, {"writable", buffer.writable}});
      }
      list.push_back(
          {{"head", chain.head}, {"request", chain.request}, {"buffers", buffers}, {"problem", chain.problem}});
    }
    return list;
  }

  std::vector<std::uint8_t> read(std::uint64_t address, std::uint64_t bytes) const {
    kvm_sregs sregs = registers_.system;
    if (is_physical_) sregs.cr0 &= ~(1ULL << 31);  // as without paging
    return read_linear(machine_.memory(), sregs, address, bytes);
  }

  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    text_ += '\n';
  }

  const Inspector& machine_;
  const VcpuRegisters& registers_;
  const bool is_physical_;
  std::string text_;
};

}  // namespace

void check_inspection(const InspectRequest& request) {
  if (request.memory && (request.memory_bytes == 0 || request.memory_bytes > kMostBytes))
    throw UsageError("--memory shows from 1 byte to 1 MiB: tintype export --memory writes all of it to a file");
}

Inspection inspect(const Inspector& machine, const InspectRequest& request) {
  Inspection seen;
  View view(machine, request);
  if (request.registers) seen.object["cpus"] = view.registers();
  if (request.memory) seen.object["memory"] = view.memory(*request.memory, request.memory_bytes);
  if (request.disassemble) seen.object["code"] = view.code(*request.disassemble);
  if (request.page_tables) seen.object["page_tables"] = view.page_tables(*request.page_tables);
  if (request.virtqueues) seen.object["virtio"] = view.virtqueues();
  seen.text = view.take_text();
  return seen;
}

}  // namespace tintype
