// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/native_traps.h"

#include <cstring>
#include <span>

#include "vmm/machine/paging_bits.h"

namespace tintype {

namespace {

constexpr unsigned kDebugVector = 1, kBreakpointVector = 3;
constexpr std::uint64_t kTrapFlag = 1 << 8;

template <typename T>
std::optional<T> load(const ReadPhysical& memory, const kvm_sregs& sregs, std::uint64_t linear) {
  const auto bytes = read_linear(memory, sregs, linear, sizeof(T));
  if (bytes.size() != sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// A gate of 64-bit mode (Intel SDM volume 3, figure 6-8).
struct Gate {
  std::uint16_t low, selector, flags, middle;
  std::uint32_t high, reserved;
};
static_assert(sizeof(Gate) == 16);

std::optional<std::uint64_t> handler_of(const ReadPhysical& memory, const kvm_sregs& sregs, unsigned vector) {
  if ((sregs.efer & paging::kEferLongModeActive) == 0) return std::nullopt;
  if (sregs.idt.limit + 1U < (vector + 1) * sizeof(Gate)) return std::nullopt;
  const auto gate = load<Gate>(memory, sregs, sregs.idt.base + vector * sizeof(Gate));
  if (!gate || (gate->flags & 0x8000) == 0) return std::nullopt;
  return std::uint64_t{gate->high} << 32 | std::uint64_t{gate->middle} << 16 | gate->low;
}

/// What the CPU pushes (Intel SDM volume 3, 6.14.2).
struct Frame {
  std::uint64_t rip, cs, rflags, rsp, ss;
};

kvm_segment ring_3_segment(std::uint64_t selector, bool code) {
  kvm_segment segment{};
  segment.selector = static_cast<std::uint16_t>(selector);
  segment.limit = 0xffffffff;
  segment.type = code ? 11 : 3;
  segment.s = segment.present = segment.g = 1;
  segment.dpl = 3;
  segment.l = code ? 1 : 0;
  segment.db = code ? 0 : 1;
  return segment;
}

}  // namespace

std::vector<std::uint64_t> trap_handlers(const ReadPhysical& memory, const kvm_sregs& sregs) {
  std::vector<std::uint64_t> list;
  for (const unsigned vector : {kDebugVector, kBreakpointVector})
    if (const auto handler = handler_of(memory, sregs, vector)) list.push_back(*handler);
  return list;
}

std::optional<TrappedCpu> before_trap(const ReadPhysical& memory, const kvm_regs& regs, const kvm_sregs& sregs) {
  const bool is_breakpoint = handler_of(memory, sregs, kBreakpointVector) == regs.rip;
  if (!is_breakpoint && handler_of(memory, sregs, kDebugVector) != regs.rip) return std::nullopt;
  const auto frame = load<Frame>(memory, sregs, regs.rsp);
  if (!frame || (frame->cs & 3) != 3) return std::nullopt;
  TrappedCpu cpu{regs, sregs, is_breakpoint};
  cpu.regs.rip = frame->rip - (is_breakpoint ? 1 : 0);
  cpu.regs.rsp = frame->rsp;
  cpu.regs.rflags = frame->rflags & ~kTrapFlag;
  cpu.sregs.cs = ring_3_segment(frame->cs, true);
  cpu.sregs.ss = ring_3_segment(frame->ss, false);
  return cpu;
}

// The frame lies at the top of one of the stacks that the TSS names (Intel SDM volume 3, figure 8-11): RSP0, or an IST.
void take_back_trap_flag(GuestMemory& memory, const kvm_sregs& sregs, std::uint64_t rip) {
  constexpr std::uint64_t kRsp0 = 4, kFirstIst = 36;
  constexpr int kIsts = 7;
  const ReadPhysical read = physical(memory);
  for (int i = 0; i <= kIsts; ++i) {
    const std::uint64_t place = i == 0 ? kRsp0 : kFirstIst + 8 * static_cast<std::uint64_t>(i - 1);
    const auto top = load<std::uint64_t>(read, sregs, sregs.tr.base + place);
    if (!top || *top < sizeof(Frame)) continue;
    const std::uint64_t at = (*top & ~0xfULL) - sizeof(Frame);
    auto frame = load<Frame>(read, sregs, at);
    if (!frame || frame->rip != rip || (frame->cs & 3) != 3 || (frame->rflags & kTrapFlag) == 0) continue;
    frame->rflags &= ~kTrapFlag;
    static_cast<void>(write_linear(memory, sregs, at, std::as_bytes(std::span(&*frame, 1))));
  }
}

}  // namespace tintype
