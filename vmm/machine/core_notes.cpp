// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/core_notes.h"

#include <elf.h>

#include <sys/procfs.h>
#include <sys/user.h>

#include <cstring>
#include <span>

#include "vmm/base/overflow.h"

namespace tintype {

namespace {

constexpr std::size_t kAlignment = 4;

template <typename T>
std::span<const std::byte> note_bytes(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

user_regs_struct user_registers(const VcpuRegisters& cpu) {
  const kvm_regs& r = cpu.general;
  const kvm_sregs& s = cpu.system;
  user_regs_struct user{};
  user.r15 = r.r15, user.r14 = r.r14, user.r13 = r.r13, user.r12 = r.r12;
  user.r11 = r.r11, user.r10 = r.r10, user.r9 = r.r9, user.r8 = r.r8;
  user.rbp = r.rbp, user.rbx = r.rbx, user.rax = r.rax, user.rcx = r.rcx;
  user.rdx = r.rdx, user.rsi = r.rsi, user.rdi = r.rdi, user.rsp = r.rsp;
  user.orig_rax = ~0ULL;  // in no system call
  user.rip = r.rip, user.eflags = r.rflags;
  user.cs = s.cs.selector, user.ss = s.ss.selector, user.ds = s.ds.selector;
  user.es = s.es.selector, user.fs = s.fs.selector, user.gs = s.gs.selector;
  user.fs_base = s.fs.base, user.gs_base = s.gs.base;
  return user;
}

/// As in QEMU's target/i386/arch_dump.c.
struct QemuSegment {
  std::uint32_t selector = 0, limit = 0, flags = 0, pad = 0;
  std::uint64_t base = 0;
};

struct QemuCpuState {
  std::uint32_t version = 1, size = sizeof(QemuCpuState);
  std::uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, rsp = 0, rbp = 0;
  std::uint64_t r8 = 0, r9 = 0, r10 = 0, r11 = 0, r12 = 0, r13 = 0, r14 = 0, r15 = 0;
  std::uint64_t rip = 0, rflags = 0;
  QemuSegment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
  std::uint64_t cr[5] = {};
};
static_assert(sizeof(QemuCpuState) == 432);

/// The flags stand where the second word of a descriptor has them (Intel SDM volume 3, 3.4.5).
QemuSegment qemu_segment(const kvm_segment& segment) {
  QemuSegment result{segment.selector, segment.limit, 0, 0, segment.base};
  result.flags =
      static_cast<std::uint32_t>(segment.type << 8 | segment.s << 12 | segment.dpl << 13 | segment.present << 15 |
                                 segment.avl << 20 | segment.l << 21 | segment.db << 22 | segment.g << 23);
  return result;
}

QemuSegment qemu_table(const kvm_dtable& table) { return {0, table.limit, 0, 0, table.base}; }

QemuCpuState qemu_state(const VcpuRegisters& cpu) {
  const kvm_regs& r = cpu.general;
  const kvm_sregs& s = cpu.system;
  QemuCpuState state;
  state.rax = r.rax, state.rbx = r.rbx, state.rcx = r.rcx, state.rdx = r.rdx;
  state.rsi = r.rsi, state.rdi = r.rdi, state.rsp = r.rsp, state.rbp = r.rbp;
  state.r8 = r.r8, state.r9 = r.r9, state.r10 = r.r10, state.r11 = r.r11;
  state.r12 = r.r12, state.r13 = r.r13, state.r14 = r.r14, state.r15 = r.r15;
  state.rip = r.rip, state.rflags = r.rflags;
  state.cs = qemu_segment(s.cs), state.ds = qemu_segment(s.ds), state.es = qemu_segment(s.es);
  state.fs = qemu_segment(s.fs), state.gs = qemu_segment(s.gs), state.ss = qemu_segment(s.ss);
  state.ldt = qemu_segment(s.ldt), state.tr = qemu_segment(s.tr);
  state.gdt = qemu_table(s.gdt), state.idt = qemu_table(s.idt);
  state.cr[0] = s.cr0, state.cr[2] = s.cr2, state.cr[3] = s.cr3, state.cr[4] = s.cr4;
  return state;
}

}  // namespace

void CoreNotes::add(std::string_view name, std::uint32_t type, std::span<const std::byte> description) {
  const Elf64_Nhdr header{static_cast<Elf64_Word>(name.size() + 1), static_cast<Elf64_Word>(description.size()), type};
  const auto append = [this](std::span<const std::byte> piece) {
    bytes_.insert(bytes_.end(), piece.begin(), piece.end());
    bytes_.resize(align_up(bytes_.size(), kAlignment));
  };
  append(note_bytes(header));
  append(std::as_bytes(std::span(std::string(name).c_str(), name.size() + 1)));
  append(description);
}

void CoreNotes::add_registers(const VcpuRegisters& cpu, std::uint32_t thread) {
  prstatus_t status{};
  status.pr_pid = static_cast<pid_t>(thread);
  const user_regs_struct user = user_registers(cpu);
  static_assert(sizeof user == sizeof status.pr_reg);
  std::memcpy(&status.pr_reg, &user, sizeof user);
  add("CORE", NT_PRSTATUS, note_bytes(status));
}

void CoreNotes::add_system_registers(const VcpuRegisters& cpu) { add("QEMU", 0, note_bytes(qemu_state(cpu))); }

void CoreNotes::add_vmcoreinfo(std::string_view text) {
  add("VMCOREINFO", 0, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace tintype
