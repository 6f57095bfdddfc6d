// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/vcpu_state.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "checkpoint/state/cpu_features.h"
#include "checkpoint/state/kvm_pairs.h"
#include "checkpoint/state/vcpu_state_v1.h"
#include "vmm/base/log.h"

namespace tintype {

namespace {

constexpr std::uint32_t kMsrApicBase = 0x1b;
constexpr std::uint32_t kMsrTscDeadline = 0x6e0;
constexpr std::size_t kLapicSize = sizeof(kvm_lapic_state::regs);
constexpr std::size_t kLargestXsave = 64 << 10;

// Each pair of functions below names every member both ways; the contract test compares what was saved with what a
// restored vCPU saves.

// One list of (ours, KVM's) pairs serves both directions: `copy(a, b)` moves in the direction wanted.
void pair_general(auto&& ours, auto&& kvm, auto&& copy) {
  copy(ours.rax, kvm.rax), copy(ours.rbx, kvm.rbx), copy(ours.rcx, kvm.rcx), copy(ours.rdx, kvm.rdx);
  copy(ours.rsi, kvm.rsi), copy(ours.rdi, kvm.rdi), copy(ours.rsp, kvm.rsp), copy(ours.rbp, kvm.rbp);
  copy(ours.r8, kvm.r8), copy(ours.r9, kvm.r9), copy(ours.r10, kvm.r10), copy(ours.r11, kvm.r11);
  copy(ours.r12, kvm.r12), copy(ours.r13, kvm.r13), copy(ours.r14, kvm.r14), copy(ours.r15, kvm.r15);
  copy(ours.rip, kvm.rip), copy(ours.rflags, kvm.rflags);
}

void pair_segment(auto&& ours, auto&& kvm, auto&& copy) {
  copy(ours.base, kvm.base), copy(ours.limit, kvm.limit), copy(ours.selector, kvm.selector), copy(ours.type, kvm.type);
  copy(ours.present, kvm.present), copy(ours.dpl, kvm.dpl), copy(ours.db, kvm.db), copy(ours.s, kvm.s);
  copy(ours.l, kvm.l), copy(ours.g, kvm.g), copy(ours.avl, kvm.avl), copy(ours.unusable, kvm.unusable);
}

void pair_system(auto&& ours, auto&& kvm, auto&& copy) {
  pair_segment(ours.cs, kvm.cs, copy), pair_segment(ours.ds, kvm.ds, copy), pair_segment(ours.es, kvm.es, copy);
  pair_segment(ours.fs, kvm.fs, copy), pair_segment(ours.gs, kvm.gs, copy), pair_segment(ours.ss, kvm.ss, copy);
  pair_segment(ours.tr, kvm.tr, copy), pair_segment(ours.ldt, kvm.ldt, copy);
  copy(ours.gdt_base, kvm.gdt.base), copy(ours.gdt_limit, kvm.gdt.limit);
  copy(ours.idt_base, kvm.idt.base), copy(ours.idt_limit, kvm.idt.limit);
  copy(ours.cr0, kvm.cr0), copy(ours.cr2, kvm.cr2), copy(ours.cr3, kvm.cr3), copy(ours.cr4, kvm.cr4);
  copy(ours.cr8, kvm.cr8), copy(ours.efer, kvm.efer), copy(ours.apic_base, kvm.apic_base);
}

void pair_events(auto&& ours, auto&& kvm, auto&& copy) {
  copy(ours.exception_injected, kvm.exception.injected), copy(ours.exception_vector, kvm.exception.nr);
  copy(ours.exception_has_error_code, kvm.exception.has_error_code),
      copy(ours.exception_pending, kvm.exception.pending);
  copy(ours.exception_error_code, kvm.exception.error_code),
      copy(ours.exception_has_payload, kvm.exception_has_payload);
  copy(ours.exception_payload, kvm.exception_payload), copy(ours.interrupt_injected, kvm.interrupt.injected);
  copy(ours.interrupt_vector, kvm.interrupt.nr), copy(ours.interrupt_soft, kvm.interrupt.soft);
  copy(ours.interrupt_shadow, kvm.interrupt.shadow), copy(ours.nmi_injected, kvm.nmi.injected);
  copy(ours.nmi_pending, kvm.nmi.pending), copy(ours.nmi_masked, kvm.nmi.masked),
      copy(ours.sipi_vector, kvm.sipi_vector);
  copy(ours.smi_smm, kvm.smi.smm), copy(ours.smi_pending, kvm.smi.pending),
      copy(ours.smi_inside_nmi, kvm.smi.smm_inside_nmi);
  copy(ours.smi_latched_init, kvm.smi.latched_init), copy(ours.triple_fault_pending, kvm.triple_fault.pending);
  copy(ours.flags, kvm.flags);
}

SystemRegistersV1 save_system(const kvm_sregs& sregs) {
  SystemRegistersV1 saved;
  pair_system(saved, sregs, kFromKvm);
  saved.interrupt_bitmap.assign(std::begin(sregs.interrupt_bitmap), std::end(sregs.interrupt_bitmap));
  return saved;
}

kvm_sregs system_for_kvm(const SystemRegistersV1& saved) {
  kvm_sregs sregs{};
  pair_system(saved, sregs, kToKvm);
  std::copy(saved.interrupt_bitmap.begin(), saved.interrupt_bitmap.end(), std::begin(sregs.interrupt_bitmap));
  return sregs;
}

std::vector<CpuidLeafV1> save_cpuid(const std::vector<kvm_cpuid_entry2>& entries) {
  std::vector<CpuidLeafV1> saved;
  for (const kvm_cpuid_entry2& e : entries) saved.push_back({e.function, e.index, e.flags, e.eax, e.ebx, e.ecx, e.edx});
  return saved;
}

std::vector<kvm_cpuid_entry2> cpuid_for_kvm(const std::vector<CpuidLeafV1>& saved) {
  std::vector<kvm_cpuid_entry2> entries;
  for (const CpuidLeafV1& leaf : saved) {
    kvm_cpuid_entry2 entry{};
    entry.function = leaf.function, entry.index = leaf.index, entry.flags = leaf.flags;
    entry.eax = leaf.eax, entry.ebx = leaf.ebx, entry.ecx = leaf.ecx, entry.edx = leaf.edx;
    entries.push_back(entry);
  }
  return entries;
}

std::vector<std::uint64_t> save_debug(const kvm_debugregs& registers) {
  return {registers.db[0], registers.db[1], registers.db[2], registers.db[3], registers.dr6, registers.dr7};
}

kvm_debugregs debug_for_kvm(const std::vector<std::uint64_t>& saved) {
  kvm_debugregs registers{};
  std::copy_n(saved.begin(), 4, std::begin(registers.db));
  registers.dr6 = saved[4];
  registers.dr7 = saved[5];
  return registers;
}

std::vector<std::uint64_t> save_xcrs(const kvm_xcrs& xcrs) {
  std::vector<std::uint64_t> saved;
  for (std::uint32_t i = 0; i < xcrs.nr_xcrs; ++i) saved.insert(saved.end(), {xcrs.xcrs[i].xcr, xcrs.xcrs[i].value});
  return saved;
}

kvm_xcrs xcrs_for_kvm(const std::vector<std::uint64_t>& saved) {
  kvm_xcrs xcrs{};
  xcrs.nr_xcrs = static_cast<std::uint32_t>(saved.size() / 2);
  for (std::uint32_t i = 0; i < xcrs.nr_xcrs; ++i) {
    xcrs.xcrs[i].xcr = static_cast<std::uint32_t>(saved[2 * i]);
    xcrs.xcrs[i].value = saved[2 * i + 1];
  }
  return xcrs;
}

/// The TSC first, so that the deadline, which is compared with it, comes last; APIC_BASE came with the system
/// registers.
int msr_rank(std::uint32_t index) { return index == kMsrTsc ? 0 : index == kMsrTscDeadline ? 2 : 1; }

std::vector<kvm_msr_entry> msrs_in_order(const std::vector<MsrV1>& saved) {
  std::vector<kvm_msr_entry> entries;
  for (const MsrV1& msr : saved) {
    if (msr.index != kMsrApicBase) entries.push_back({.index = msr.index, .reserved = 0, .data = msr.value});
  }
  std::stable_sort(entries.begin(), entries.end(), [](const kvm_msr_entry& a, const kvm_msr_entry& b) {
    return msr_rank(a.index) < msr_rank(b.index);
  });
  return entries;
}

/// Some MSRs can be read but not written; that is fine where they hold the value already.
void restore_msrs(KvmVcpu& vcpu, std::span<const kvm_msr_entry> rest) {
  while (const auto refused = vcpu.set_msrs(rest)) {
    const auto at =
        std::find_if(rest.begin(), rest.end(), [&](const kvm_msr_entry& entry) { return entry.index == *refused; });
    if (vcpu.msr(at->index).value_or(~at->data) != at->data) {
      throw StateError(
          "this host's KVM does not take the value {:#x} of the guest's MSR {:#x}: restore on a host like the one that "
          "was captured",
          static_cast<std::uint64_t>(at->data), static_cast<std::uint32_t>(at->index));
    }
    rest = rest.subspan(static_cast<std::size_t>(at - rest.begin()) + 1);
  }
}

void check_lengths(const VcpuStateV1& saved) {
  const auto expect = [](bool holds, std::string_view what) {
    if (!holds) throw StateError("the saved state of a vCPU is damaged: {}", what);
  };
  expect(saved.lapic.size() == kLapicSize, "the local APIC does not have 1024 bytes");
  expect(saved.debug.size() == 6, "there are not six debug registers");
  expect(saved.xsave.size() >= 576 && saved.xsave.size() <= kLargestXsave, "the XSAVE area has a senseless size");
  expect(saved.extended_control.size() % 2 == 0 && saved.extended_control.size() / 2 <= KVM_MAX_XCRS,
         "XCRs do not come in pairs");
  expect(saved.system.interrupt_bitmap.size() == std::size(kvm_sregs{}.interrupt_bitmap),
         "the interrupt bitmap has the wrong size");
  expect(saved.cpuid.size() <= 256 && saved.msrs.size() <= 4096, "there are too many CPUID leaves or MSRs");
  expect(saved.mp_state <= KVM_MP_STATE_SIPI_RECEIVED, "the multiprocessing state is unknown");
}

/// What a guest's own guests were doing (VMX or SVM) is kept apart by KVM, and no checkpoint has it.
void check_not_a_hypervisor(const VcpuStateV1& saved) {
  constexpr std::uint64_t kCr4Vmxe = 1 << 13, kEferSvme = 1 << 12;
  if ((saved.system.cr4 & kCr4Vmxe) == 0 && (saved.system.efer & kEferSvme) == 0) return;
  throw StateError(
      "the guest had virtualization switched on itself, of which a checkpoint holds no state: restore one that was "
      "taken before");
}

/// Without what the guest itself changes: OSXSAVE, OSPKE, MWAIT and the APIC's bit follow its registers, and so do
/// sizes of the XSAVE area.
std::vector<CpuidLeafV1> lasting(std::vector<CpuidLeafV1> leaves) {
  for (CpuidLeafV1& leaf : leaves) {
    if (leaf.function == 1) leaf.ecx &= ~(1U << 27 | 1U << 3), leaf.edx &= ~(1U << 9);
    if (leaf.function == 7 && leaf.index == 0) leaf.ecx &= ~(1U << 4);
    if (leaf.function == 0xd && leaf.index <= 1) leaf.ebx = 0;
  }
  return leaves;
}

}  // namespace

VcpuState::VcpuState(KvmVcpu& vcpu, TscGroup& tscs, std::vector<std::uint32_t> msr_indices,
                     std::vector<kvm_cpuid_entry2> offered)
    : vcpu_(vcpu), tscs_(tscs), msr_indices_(std::move(msr_indices)), offered_(std::move(offered)) {}

std::string VcpuState::state_name() const { return fmt::format("vcpu{}", vcpu_.id()); }

// Half of the time that it takes lies before KVM reads its clock.
ApicLook VcpuState::look_at_apic() const {
  const auto before = std::chrono::steady_clock::now();
  const kvm_lapic_state lapic = vcpu_.lapic();
  return {lapic, before + (std::chrono::steady_clock::now() - before) / 2};
}

ApicLook VcpuState::apic_with_ticks() const {
  ApicLook look = look_at_apic();
  if (parked_ && ticks_periodically(look.lapic)) hold_tick_since(*parked_, look);
  return look;
}

// KVM's order for reading: MP_STATE first, because reading it makes KVM process an INIT or SIPI that is pending, which
// changes the other registers; events after the registers, which may flush a pending exception into them.
std::shared_ptr<VcpuStateV1> VcpuState::read_all() const {
  auto read = std::make_shared<VcpuStateV1>();
  VcpuStateV1& saved = *read;
  saved.mp_state = vcpu_.mp_state().mp_state;
  saved.tsc_khz = vcpu_.tsc_khz();
  saved.cpuid = save_cpuid(vcpu_.cpuid());
  pair_general(saved.general, vcpu_.regs(), kFromKvm);
  saved.system = save_system(vcpu_.sregs());
  saved.extended_control = save_xcrs(vcpu_.xcrs());
  saved.xsave = vcpu_.xsave();
  saved.debug = save_debug(vcpu_.debug_registers());
  const ApicLook apic = apic_with_ticks();
  saved.lapic.assign(std::begin(apic.lapic.regs), std::end(apic.lapic.regs));
  for (const kvm_msr_entry& entry : vcpu_.msrs(msr_indices_))
    saved.msrs.push_back({entry.index, entry.index == kMsrTsc ? tscs_.read(vcpu_, entry.data) : entry.data});
  pair_events(saved.events, vcpu_.events(), kFromKvm);
  return read;
}

Stateful::Unsaved VcpuState::read_state() const {
  return [read = read_all()] { return to_record(*read); };
}

void VcpuState::check(const StateRecord& record, const std::vector<kvm_cpuid_entry2>& offered) {
  const auto saved = from_record<VcpuStateV1>(record);
  check_lengths(saved);
  check_not_a_hypervisor(saved);
  const auto missing = missing_cpu_features(cpuid_for_kvm(saved.cpuid), offered);
  if (missing.empty()) return;
  throw StateError("the guest saw CPU features that this host lacks ({}): restore it on a host that has them",
                   fmt::join(missing, ", "));
}

VcpuRegisters VcpuState::registers_in(const StateRecord& record) {
  const auto saved = from_record<VcpuStateV1>(record);
  check_lengths(saved);
  VcpuRegisters registers{{}, system_for_kvm(saved.system), {}};
  pair_general(saved.general, registers.general, kToKvm);
  std::copy_n(saved.xsave.begin(), registers.fxsave.size(), registers.fxsave.begin());
  return registers;
}

// KVM's order for writing, each with its reason:
//   CPUID            decides which bits of CR4, XCR0 and which MSRs are legal.
//   TSC frequency    before the TSC's value, which is scaled by it.
//   system registers APIC_BASE is among them and decides in which mode (xAPIC, x2APIC) the local APIC's page is read.
//   XCR0, then XSAVE the area's components must be enabled.
//   LAPIC            before the MSRs: a TSC deadline is refused unless the timer is in deadline mode.
//   MSRs             TSC first, deadline last.
//   MP_STATE         after the registers: KVM resets some of them when a vCPU leaves INIT.
//   events           last: every other call may drop a pending exception or interrupt.
void VcpuState::restore_state(const StateRecord& record) {
  const auto saved = from_record<VcpuStateV1>(record);
  vcpu_.set_cpuid(cpuid_for_kvm(saved.cpuid));
  if (saved.tsc_khz != 0) give_tsc_speed(saved.tsc_khz);
  vcpu_.set_sregs(system_for_kvm(saved.system));
  if (!saved.extended_control.empty()) vcpu_.set_xcrs(xcrs_for_kvm(saved.extended_control));
  vcpu_.set_debug_registers(debug_for_kvm(saved.debug));
  give_registers(saved);
  give_interrupts(saved, msrs_in_order(saved.msrs));
}

// CPUID and the TSC's frequency cannot have changed. To be given system registers makes KVM forget the guest's page
// tables. The TSC and its deadline are given always, for they are time.
void VcpuState::go_back_to(const VcpuStateV1& remembered) {
  const SystemRegistersV1 system = save_system(vcpu_.sregs());
  if (!(system == remembered.system)) vcpu_.set_sregs(system_for_kvm(remembered.system));
  if (save_xcrs(vcpu_.xcrs()) != remembered.extended_control && !remembered.extended_control.empty())
    vcpu_.set_xcrs(xcrs_for_kvm(remembered.extended_control));
  if (save_debug(vcpu_.debug_registers()) != remembered.debug)
    vcpu_.set_debug_registers(debug_for_kvm(remembered.debug));
  give_registers(remembered);
  std::vector<kvm_msr_entry> msrs = msrs_in_order(remembered.msrs);
  const std::vector<kvm_msr_entry> now = vcpu_.msrs(msr_indices_);
  std::erase_if(msrs, [&](const kvm_msr_entry& wanted) {
    if (msr_rank(wanted.index) != 1) return false;
    const auto is = std::ranges::find(now, wanted.index, &kvm_msr_entry::index);
    return is != now.end() && is->data == wanted.data;
  });
  give_interrupts(remembered, msrs);
}

std::shared_ptr<const VcpuStateV1> VcpuState::remembered_in(const StateRecord& record) const {
  auto saved = std::make_shared<VcpuStateV1>(from_record<VcpuStateV1>(record));
  const bool same_time = saved->tsc_khz == 0 || saved->tsc_khz == vcpu_.tsc_khz();
  if (!same_time || lasting(saved->cpuid) != lasting(save_cpuid(vcpu_.cpuid())))
    throw StateError("the guest saw another CPU there than here: restore the checkpoint beside this machine");
  return saved;
}

/// Where that cannot be, the guest is better off here than nowhere: KVM's clock (kvmclock) is right all the same.
void VcpuState::give_tsc_speed(std::uint32_t khz) {
  const std::uint32_t here = vcpu_.tsc_khz();
  if (khz == here || vcpu_.set_tsc_khz(khz) || vcpu_.id() != 0) return;
  log_note(
      "the guest's time stamp counter ran at {:.3f} MHz and runs at {:.3f} here, since this computer's KVM cannot "
      "scale it: a guest that tells time by it alone is {} by a factor of {:.4f}",
      khz / 1e3, here / 1e3, here > khz ? "fast" : "slow", static_cast<double>(here) / khz);
}

void VcpuState::give_registers(const VcpuStateV1& saved) {
  kvm_regs general{};
  pair_general(saved.general, general, kToKvm);
  vcpu_.set_regs(general);
  vcpu_.set_xsave(saved.xsave);
}

void VcpuState::give_msrs(std::span<const kvm_msr_entry> msrs) {
  if (msrs.empty() || msrs.front().index != kMsrTsc) return restore_msrs(vcpu_, msrs);
  const std::uint64_t tsc = msrs.front().data;
  const bool given = tscs_.give(vcpu_, tsc);
  restore_msrs(vcpu_, given ? msrs.subspan(1) : msrs);
  if (!given) tscs_.written(vcpu_, tsc);
}

void VcpuState::give_interrupts(const VcpuStateV1& saved, std::span<const kvm_msr_entry> msrs) {
  kvm_lapic_state lapic{};
  std::memcpy(lapic.regs, saved.lapic.data(), kLapicSize);
  vcpu_.set_lapic(lapic);
  give_msrs(msrs);
  vcpu_.set_mp_state({.mp_state = saved.mp_state});
  kvm_vcpu_events events{};
  pair_events(saved.events, events, kToKvm);
  vcpu_.set_events(events);
}

}  // namespace tintype
