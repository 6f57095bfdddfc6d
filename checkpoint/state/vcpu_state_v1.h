// SPDX-License-Identifier: Apache-2.0
#pragma once

// The saved form of a vCPU, version 1: shipped, so it never changes (see vmm/base/state.h).
// Field names are those of the architecture manuals and of <linux/kvm.h>.

#include <cstdint>
#include <string_view>
#include <vector>

#include "vmm/base/state.h"

namespace tintype {

struct SegmentStateV1 {
  static constexpr std::string_view kType = "segment";
  static constexpr std::uint32_t kVersion = 1;
  std::uint64_t base = 0;
  std::uint32_t limit = 0;
  std::uint16_t selector = 0;
  std::uint8_t type = 0, present = 0, dpl = 0, db = 0, s = 0, l = 0, g = 0, avl = 0, unusable = 0;
  bool operator==(const SegmentStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "base", self.base);
    field(2, "limit", self.limit);
    field(3, "selector", self.selector);
    field(4, "type", self.type);
    field(5, "present", self.present);
    field(6, "dpl", self.dpl);
    field(7, "db", self.db);
    field(8, "s", self.s);
    field(9, "l", self.l);
    field(10, "g", self.g);
    field(11, "avl", self.avl);
    field(12, "unusable", self.unusable);
  }
};

struct GeneralRegistersV1 {
  static constexpr std::string_view kType = "general-registers";
  static constexpr std::uint32_t kVersion = 1;
  std::uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, rsp = 0, rbp = 0;
  std::uint64_t r8 = 0, r9 = 0, r10 = 0, r11 = 0, r12 = 0, r13 = 0, r14 = 0, r15 = 0;
  std::uint64_t rip = 0, rflags = 0;
  bool operator==(const GeneralRegistersV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "rax", self.rax);
    field(2, "rbx", self.rbx);
    field(3, "rcx", self.rcx);
    field(4, "rdx", self.rdx);
    field(5, "rsi", self.rsi);
    field(6, "rdi", self.rdi);
    field(7, "rsp", self.rsp);
    field(8, "rbp", self.rbp);
    field(9, "r8", self.r8);
    field(10, "r9", self.r9);
    field(11, "r10", self.r10);
    field(12, "r11", self.r11);
    field(13, "r12", self.r12);
    field(14, "r13", self.r13);
    field(15, "r14", self.r14);
    field(16, "r15", self.r15);
    field(17, "rip", self.rip);
    field(18, "rflags", self.rflags);
  }
};

struct SystemRegistersV1 {
  static constexpr std::string_view kType = "system-registers";
  static constexpr std::uint32_t kVersion = 1;
  SegmentStateV1 cs, ds, es, fs, gs, ss, tr, ldt;
  std::uint64_t gdt_base = 0;
  std::uint16_t gdt_limit = 0;
  std::uint64_t idt_base = 0;
  std::uint16_t idt_limit = 0;
  std::uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0, cr8 = 0, efer = 0, apic_base = 0;
  std::vector<std::uint64_t> interrupt_bitmap;
  bool operator==(const SystemRegistersV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "cs", self.cs);
    field(2, "ds", self.ds);
    field(3, "es", self.es);
    field(4, "fs", self.fs);
    field(5, "gs", self.gs);
    field(6, "ss", self.ss);
    field(7, "tr", self.tr);
    field(8, "ldt", self.ldt);
    field(9, "gdt_base", self.gdt_base);
    field(10, "gdt_limit", self.gdt_limit);
    field(11, "idt_base", self.idt_base);
    field(12, "idt_limit", self.idt_limit);
    field(13, "cr0", self.cr0);
    field(14, "cr2", self.cr2);
    field(15, "cr3", self.cr3);
    field(16, "cr4", self.cr4);
    field(17, "cr8", self.cr8);
    field(18, "efer", self.efer);
    field(19, "apic_base", self.apic_base);
    field(20, "interrupt_bitmap", self.interrupt_bitmap);
  }
};

/// Exceptions, interrupts, NMIs and SMIs on their way into the vCPU (struct kvm_vcpu_events).
struct PendingEventsV1 {
  static constexpr std::string_view kType = "pending-events";
  static constexpr std::uint32_t kVersion = 1;
  std::uint8_t exception_injected = 0, exception_vector = 0, exception_has_error_code = 0, exception_pending = 0;
  std::uint32_t exception_error_code = 0;
  std::uint8_t exception_has_payload = 0;
  std::uint64_t exception_payload = 0;
  std::uint8_t interrupt_injected = 0, interrupt_vector = 0, interrupt_soft = 0, interrupt_shadow = 0;
  std::uint8_t nmi_injected = 0, nmi_pending = 0, nmi_masked = 0;
  std::uint32_t sipi_vector = 0;
  std::uint8_t smi_smm = 0, smi_pending = 0, smi_inside_nmi = 0, smi_latched_init = 0;
  std::uint8_t triple_fault_pending = 0;
  std::uint32_t flags = 0;
  bool operator==(const PendingEventsV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "exception_injected", self.exception_injected);
    field(2, "exception_vector", self.exception_vector);
    field(3, "exception_has_error_code", self.exception_has_error_code);
    field(4, "exception_pending", self.exception_pending);
    field(5, "exception_error_code", self.exception_error_code);
    field(6, "exception_has_payload", self.exception_has_payload);
    field(7, "exception_payload", self.exception_payload);
    field(8, "interrupt_injected", self.interrupt_injected);
    field(9, "interrupt_vector", self.interrupt_vector);
    field(10, "interrupt_soft", self.interrupt_soft);
    field(11, "interrupt_shadow", self.interrupt_shadow);
    field(12, "nmi_injected", self.nmi_injected);
    field(13, "nmi_pending", self.nmi_pending);
    field(14, "nmi_masked", self.nmi_masked);
    field(15, "sipi_vector", self.sipi_vector);
    field(16, "smi_smm", self.smi_smm);
    field(17, "smi_pending", self.smi_pending);
    field(18, "smi_inside_nmi", self.smi_inside_nmi);
    field(19, "smi_latched_init", self.smi_latched_init);
    field(20, "triple_fault_pending", self.triple_fault_pending);
    field(21, "flags", self.flags);
  }
};

struct MsrV1 {
  static constexpr std::string_view kType = "msr";
  static constexpr std::uint32_t kVersion = 1;
  std::uint32_t index = 0;
  std::uint64_t value = 0;
  bool operator==(const MsrV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "index", self.index);
    field(2, "value", self.value);
  }
};

struct CpuidLeafV1 {
  static constexpr std::string_view kType = "cpuid-leaf";
  static constexpr std::uint32_t kVersion = 1;
  std::uint32_t function = 0, index = 0, flags = 0, eax = 0, ebx = 0, ecx = 0, edx = 0;
  bool operator==(const CpuidLeafV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "function", self.function);
    field(2, "index", self.index);
    field(3, "flags", self.flags);
    field(4, "eax", self.eax);
    field(5, "ebx", self.ebx);
    field(6, "ecx", self.ecx);
    field(7, "edx", self.edx);
  }
};

struct VcpuStateV1 {
  static constexpr std::string_view kType = "x86-vcpu";
  static constexpr std::uint32_t kVersion = 1;
  std::uint32_t mp_state = 0;      ///< KVM_MP_STATE_*
  std::uint32_t tsc_khz = 0;       ///< speed of the guest's time stamp counter
  std::vector<CpuidLeafV1> cpuid;  ///< what the guest saw
  GeneralRegistersV1 general;
  SystemRegistersV1 system;
  std::vector<std::uint64_t> extended_control;  ///< pairs: number, value (XCR0)
  std::vector<std::uint8_t> xsave;              ///< XSAVE area, standard form (Intel SDM volume 1, 13.4)
  std::vector<std::uint64_t> debug;             ///< DR0..DR3, DR6, DR7
  std::vector<std::uint8_t> lapic;  ///< the local APIC's register page, 1024 bytes (Intel SDM volume 3, 11.4)
  std::vector<MsrV1> msrs;
  PendingEventsV1 events;
  bool operator==(const VcpuStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "mp_state", self.mp_state);
    field(2, "tsc_khz", self.tsc_khz);
    field(3, "cpuid", self.cpuid);
    field(4, "general", self.general);
    field(5, "system", self.system);
    field(6, "extended_control", self.extended_control);
    field(7, "xsave", self.xsave);
    field(8, "debug", self.debug);
    field(9, "lapic", self.lapic);
    field(10, "msrs", self.msrs);
    field(11, "events", self.events);
  }
};

}  // namespace tintype
