// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/trace.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "vmm/base/trace.h"
#include "vmm/kvm/exit_name.h"
#include "vmm/machine/exit_report.h"

namespace tintype {

namespace {

std::uint64_t value_of(const void* data, std::size_t size) {
  std::uint64_t value = 0;
  std::memcpy(&value, data, std::min<std::size_t>(size, sizeof value));
  return value;
}

void add_device(TraceLine& line, const Bus& bus, std::uint64_t address) {
  const std::string name = bus.name_at(address);
  line.text("device", name.empty() ? "nobody" : name);
}

TraceLine port_line(kvm_run& run, const Bus& ports) {
  TraceLine line(TraceKind::kPio, run.io.direction == KVM_EXIT_IO_OUT ? "out" : "in");
  const auto* data = reinterpret_cast<const std::byte*>(&run) + run.io.data_offset;
  add_device(line, ports, run.io.port);
  line.address("port", run.io.port).number("size", run.io.size).address("value", value_of(data, run.io.size));
  if (run.io.count > 1) line.number("count", run.io.count);
  return line;
}

TraceLine mmio_line(const kvm_run& run, const Bus& mmio) {
  TraceLine line(TraceKind::kMmio, run.mmio.is_write != 0 ? "write" : "read");
  add_device(line, mmio, run.mmio.phys_addr);
  line.address("address", run.mmio.phys_addr).number("size", run.mmio.len);
  line.address("value", value_of(run.mmio.data, run.mmio.len));
  return line;
}

}  // namespace

void trace_exit(KvmVcpu& vcpu, const GuestMemory& memory, const Backplane& backplane) {
  kvm_run& run = vcpu.shared();
  const bool port = run.exit_reason == KVM_EXIT_IO, mmio = run.exit_reason == KVM_EXIT_MMIO;
  if (!traces(TraceKind::kExits) && !(port && traces(TraceKind::kPio)) && !(mmio && traces(TraceKind::kMmio))) return;
  const std::string instruction = exit_instruction(vcpu, memory);
  TraceLine line = port   ? port_line(run, backplane.ports())
                   : mmio ? mmio_line(run, backplane.mmio())
                          : TraceLine(TraceKind::kExits, exit_name(run.exit_reason)).number("reason", run.exit_reason);
  line.number("vcpu", vcpu.id()).text("instruction", instruction).put();
}

}  // namespace tintype
