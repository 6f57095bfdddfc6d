// SPDX-License-Identifier: Apache-2.0
#include "vmm/gdb/live_machine.h"

#include <fmt/format.h>

#include "vmm/base/error.h"
#include "vmm/machine/cpu_text.h"

namespace tintype {

namespace {

constexpr std::uint64_t kProtectedMode = 1;

constexpr const char* kHelp =
    "monitor checkpoint REPO  photographs the machine as it stands; REPO is an absolute path\n"
    "monitor mark             notes this instant\n"
    "monitor reset            goes back to it: registers and memory are those of then\n"
    "monitor exits            counts the exits of the guest\n";

}  // namespace

LiveMachine::LiveMachine(Machine& machine) : machine_(machine), debug_(machine.debug()) {}

const VcpuRegisters& LiveMachine::registers(std::size_t cpu) const { return registers_ = debug_.registers(cpu); }

std::vector<std::uint8_t> LiveMachine::read(std::size_t cpu, std::uint64_t address, std::size_t bytes) const {
  return debug_.read(cpu, address, bytes);
}

std::string LiveMachine::describe(std::size_t cpu) const {
  const VcpuRegisters& r = registers(cpu);
  return fmt::format("CPU {}, ring {}, at {:#x}", cpu, static_cast<unsigned>(r.system.ss.dpl),
                     linear_rip(r.general, r.system));
}

// Kernels are entered in 32-bit mode and are 64-bit ones a few instructions later: before the first of them, that is
// what they are shown as.
GdbArchitecture LiveMachine::architecture() const {
  const VcpuRegisters& r = registers(0);
  const bool has_run = machine_.status().exits != 0;
  if (!has_run && (r.system.cr0 & kProtectedMode) != 0) return GdbArchitecture::kX86_64;
  return architecture_of(r);
}

bool LiveMachine::set_registers(std::size_t cpu, const VcpuRegisters& registers) {
  try {
    debug_.set_registers(cpu, registers);
    return true;
  } catch (const std::exception&) {  // KVM will not have them
    return false;
  }
}

bool LiveMachine::write(std::size_t cpu, std::uint64_t address, std::span<const std::uint8_t> bytes) {
  return debug_.write(cpu, address, bytes);
}

bool LiveMachine::add_break(std::size_t cpu, BreakKind kind, std::uint64_t address, std::uint64_t length) {
  return debug_.add(cpu, kind, address, length);
}

void LiveMachine::remove_break(BreakKind kind, std::uint64_t address, std::uint64_t length) {
  debug_.remove(kind, address, length);
}

void LiveMachine::kill() { machine_.stop(true); }

std::string LiveMachine::monitor(const std::string& command) {
  const auto space = command.find(' ');
  const std::string argument = space == command.npos ? "" : command.substr(space + 1);
  try {
    return carry_out(command.substr(0, space), argument);
  } catch (const std::exception& error) {
    return fmt::format("{}\n", error.what());
  }
}

std::string LiveMachine::carry_out(const std::string& verb, const std::string& argument) {
  if (verb == "checkpoint") {
    if (argument.empty() || argument.front() != '/')
      throw Error("say where it goes, by an absolute path: monitor checkpoint /DIRECTORY");
    CheckpointOptions options;
    options.repository = argument;
    const CheckpointReport report = machine_.checkpoint(options, {});
    return fmt::format("checkpoint {} in {}\n", report.id, argument);
  }
  if (verb == "mark") {
    machine_.mark();
    return "marked\n";
  }
  if (verb == "reset") {
    const ResetReport report = machine_.reset();
    return fmt::format("back at the mark, {} pages; `maintenance flush register-cache` has gdb look again\n",
                       report.pages);
  }
  if (verb == "exits") {
    const MachineStatus status = machine_.status();
    const std::string interrupts = status.interrupts ? fmt::format(", {} interrupts", *status.interrupts) : "";
    std::string text = fmt::format("{} exits{}, in {} ms\n", status.exits, interrupts, status.uptime_ms);
    for (const auto& [name, count] : status.exits_by_reason) text += fmt::format("{:>12} {}\n", count, name);
    for (const auto& [name, count] : status.exits_by_device) text += fmt::format("{:>12} by {}\n", count, name);
    return text;
  }
  if (verb == "help" || verb.empty()) return kHelp;
  throw Error("there is no \"{}\":\n{}", verb, kHelp);
}

}  // namespace tintype
