// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vmm/gdb/session.h"
#include "vmm/machine/machine.h"

namespace tintype {

/// A machine that runs, as gdb sees it. On the thread that has attached to it.
class LiveMachine final : public DebugSubject {
 public:
  explicit LiveMachine(Machine& machine);

  std::size_t cpus() const override { return debug_.cpus(); }
  const VcpuRegisters& registers(std::size_t cpu) const override;
  std::vector<std::uint8_t> read(std::size_t cpu, std::uint64_t address, std::size_t bytes) const override;
  std::string describe(std::size_t cpu) const override;

  bool is_live() const override { return true; }
  GdbArchitecture architecture() const override;
  bool set_registers(std::size_t cpu, const VcpuRegisters& registers) override;
  bool write(std::size_t cpu, std::uint64_t address, std::span<const std::uint8_t> bytes) override;
  bool add_break(std::size_t cpu, BreakKind kind, std::uint64_t address, std::uint64_t length) override;
  void remove_break(BreakKind kind, std::uint64_t address, std::uint64_t length) override;
  void run(std::span<const CpuAction> actions) override { debug_.run(actions); }
  void interrupt() override { debug_.interrupt(); }
  void kill() override;
  std::string monitor(const std::string& command) override;

 private:
  std::string carry_out(const std::string& verb, const std::string& argument);

  Machine& machine_;
  MachineDebug& debug_;
  mutable VcpuRegisters registers_;  ///< last read
};

}  // namespace tintype
