// SPDX-License-Identifier: Apache-2.0
//
// A guest that prints one line and from then on never exits by itself: halted or spinning, in ring 0 or in ring 3. It
// shows what waits for a vCPU that does not come.
#include "guest-images/runtime/console.h"
#include "guest-images/runtime/interrupts.h"
#include "guest-images/runtime/layout.h"
#include "guest-images/runtime/options.h"
#include "guest-images/runtime/runtime.h"
#include "guest-images/runtime/timer.h"

extern "C" {
// Where ring 0 stays, one for each mode. Entered by a gate that turns interrupts off.
void ring0_halt_interrupts_off();
void ring0_halt_interrupts_on();
void ring0_spin();
}

asm(".text\n"
    "ring0_halt_interrupts_off: hlt\n"
    "    jmp ring0_halt_interrupts_off\n"
    "ring0_halt_interrupts_on: sti\n"
    "    hlt\n"
    "    jmp ring0_halt_interrupts_on\n"
    "ring0_spin: jmp ring0_spin\n");

namespace tintype::guest {
namespace {

constexpr std::uint64_t kInvalidOpcodeGate = TABLES_IDT + 16 * 6;

// Ring 3 may write the interrupt gates (see runtime/README.md), so it leads one to `place` and walks through it.
void go_to_ring0(void (*place)()) {
  const auto address = reinterpret_cast<std::uint64_t>(place);
  auto* const gate = reinterpret_cast<volatile std::uint16_t*>(kInvalidOpcodeGate);
  gate[0] = static_cast<std::uint16_t>(address);
  gate[3] = static_cast<std::uint16_t>(address >> 16);
  asm volatile("ud2" : : : "memory");
}

void spin_in_ring3() { asm volatile("1: jmp 1b"); }

// What an idle operating system does: it wakes at each tick of its timer, finds nothing to do, halts again.
void idle() {
  const Clock clock = Clock::calibrated();
  start_lapic_timer(clock, static_cast<std::uint32_t>(number_option("hz", 10)));
  for (;;) wait_for_interrupt(0, interrupts_taken(0));
}

}  // namespace

std::uint8_t kernel_main() {
  const Text mode = option("mode");
  print("SILENT ", mode, "\n");
  if (mode == Text("halt-off")) go_to_ring0(ring0_halt_interrupts_off);
  if (mode == Text("halt-on")) go_to_ring0(ring0_halt_interrupts_on);
  if (mode == Text("spin0")) go_to_ring0(ring0_spin);
  if (mode == Text("spin3")) spin_in_ring3();
  if (mode == Text("idle")) idle();
  print("SILENT NEEDS mode=halt-off, halt-on, spin0, spin3 or idle\n");
  return 2;
}

}  // namespace tintype::guest
