// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/runtime.h"

#include <cstddef>

#include "guest-images/runtime/boot_info.h"
#include "guest-images/runtime/console.h"
#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/interrupts.h"
#include "guest-images/runtime/layout.h"
#include "guest-images/runtime/smp.h"

extern "C" {

// interrupts.S
extern std::uint64_t exception_vector, exception_error, exception_rip, exception_rsp, exception_address;

// The compiler may call these for plain assignments and initialisations.
void* memcpy(void* to, const void* from, std::size_t size) {
  void* const result = to;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
  return result;
}

void* memset(void* to, int byte, std::size_t size) {
  void* const result = to;
  asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
  return result;
}

// Where an exception ends; interrupts.S notes what it was.
[[noreturn]] void report_exception() {
  using namespace tintype::guest;
  print("EXCEPTION vector=", exception_vector, " error=", hex(exception_error), " rip=", hex(exception_rip),
        " rsp=", hex(exception_rsp), " address=", hex(exception_address), "\n");
  debug_exit(0x7e);
}

// Every CPU enters ring 3 here.
[[noreturn]] void cpu_entry(std::uint32_t cpu) {
  using namespace tintype::guest;
  if (cpu != 0) further_cpu_entry(cpu);
  read_boot_info();
  start_console();
  start_local_apic();
  debug_exit(kernel_main());
}

}  // extern "C"

namespace tintype::guest {

void debug_exit(std::uint8_t code) {
  out8(DEBUG_EXIT_PORT, code);
  for (;;) cpu_relax();  // nobody listens there: stay
}

}  // namespace tintype::guest
