// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/trace.h"

#include <cstring>
#include <string>

#include "vmm/base/log.h"
#include "vmm/machine/exit_report.h"

namespace tintype {

namespace {

std::string hex_value(const void* data, std::size_t size) {
  std::uint64_t value = 0;
  std::memcpy(&value, data, std::min<std::size_t>(size, sizeof value));
  return fmt::format("{:#x}", value);
}

std::string device_suffix(const Bus& bus, std::uint64_t address) {
  const std::string name = bus.name_at(address);
  return name.empty() ? " (nobody)" : " (" + name + ")";
}

// A read's value is not known yet: the device is asked after this.
std::string port_text(kvm_run& run, const Bus& ports) {
  const bool out = run.io.direction == KVM_EXIT_IO_OUT;
  const auto* data = reinterpret_cast<const std::byte*>(&run) + run.io.data_offset;
  return fmt::format("pio {} {:#x} size {}{}{}{}", out ? "out" : "in", static_cast<unsigned>(run.io.port),
                     static_cast<unsigned>(run.io.size), out ? " value " + hex_value(data, run.io.size) : "",
                     run.io.count > 1 ? fmt::format(" count {}", static_cast<unsigned>(run.io.count)) : "",
                     device_suffix(ports, run.io.port));
}

std::string mmio_text(kvm_run& run, const Bus& mmio) {
  const bool write = run.mmio.is_write != 0;
  return fmt::format("mmio {} {:#x} size {}{}{}", write ? "write" : "read",
                     static_cast<std::uint64_t>(run.mmio.phys_addr), static_cast<unsigned>(run.mmio.len),
                     write ? " value " + hex_value(run.mmio.data, run.mmio.len) : "",
                     device_suffix(mmio, run.mmio.phys_addr));
}

}  // namespace

void trace_exit(const TraceConfig& config, KvmVcpu& vcpu, const GuestMemory& memory, const Backplane& backplane) {
  kvm_run& run = vcpu.shared();
  std::string text;
  if (run.exit_reason == KVM_EXIT_IO && (config.pio || config.exits)) {
    text = port_text(run, backplane.ports());
  } else if (run.exit_reason == KVM_EXIT_MMIO && (config.mmio || config.exits)) {
    text = mmio_text(run, backplane.mmio());
  } else if (config.exits) {
    text = fmt::format("exit {}", static_cast<unsigned>(run.exit_reason));
  } else {
    return;
  }
  log_note("vcpu{} {}  {}", vcpu.id(), text, exit_instruction(vcpu, memory));
}

}  // namespace tintype
