// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/cpu_entry.h"

namespace tintype {

namespace {

kvm_segment segment_for_kvm(const SegmentState& state) {
  kvm_segment segment{};
  segment.base = state.base;
  segment.limit = state.limit;
  segment.selector = state.selector;
  segment.type = state.type;
  segment.s = state.code_or_data ? 1 : 0;
  segment.present = state.present ? 1 : 0;
  segment.db = state.default_32 ? 1 : 0;
  segment.l = state.long_mode ? 1 : 0;
  segment.g = state.granularity_4k ? 1 : 0;
  return segment;
}

kvm_regs general_registers(const EntryState& entry) {
  kvm_regs regs{};
  regs.rip = entry.rip, regs.rsp = entry.rsp, regs.rflags = entry.rflags;
  regs.rax = entry.rax, regs.rbx = entry.rbx, regs.rcx = entry.rcx, regs.rdx = entry.rdx;
  regs.rsi = entry.rsi, regs.rdi = entry.rdi, regs.rbp = entry.rbp;
  return regs;
}

}  // namespace

void enter_kernel(KvmVcpu& vcpu, const EntryState& entry) {
  kvm_sregs sregs = vcpu.sregs();  // what is not the kernel's business (APIC base) stays as after reset
  sregs.cs = segment_for_kvm(entry.code);
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = segment_for_kvm(entry.data);
  sregs.tr = segment_for_kvm(entry.task);
  sregs.gdt.base = entry.gdt_base;
  sregs.gdt.limit = entry.gdt_limit;
  sregs.idt.base = 0;
  sregs.idt.limit = entry.idt_limit;
  sregs.cr0 = entry.cr0;
  sregs.cr3 = entry.cr3;
  sregs.cr4 = entry.cr4;
  sregs.efer = entry.efer;
  vcpu.set_sregs(sregs);
  vcpu.set_regs(general_registers(entry));
}

}  // namespace tintype
