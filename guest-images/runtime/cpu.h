// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

// The instructions that C++ has no name for. All of them work in ring 3 here: the task state's
// I/O bitmap opens every port.
namespace tintype::guest {

inline void out8(std::uint16_t port, std::uint8_t value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

inline void out32(std::uint16_t port, std::uint32_t value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }

inline std::uint8_t in8(std::uint16_t port) {
  std::uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

inline std::uint64_t read_tsc() {
  std::uint32_t low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return std::uint64_t{high} << 32 | low;
}

inline void cpu_relax() { asm volatile("pause"); }

// Keeps the compiler from moving memory accesses across.
inline void compiler_barrier() { asm volatile("" : : : "memory"); }

// Orders stores before later loads, which x86 does not do by itself.
inline void memory_barrier() { asm volatile("lock orq $0, (%%rsp)" : : : "memory", "cc"); }

struct CpuidResult {
  std::uint32_t eax, ebx, ecx, edx;
};

inline CpuidResult cpuid(std::uint32_t leaf) {
  CpuidResult result;
  asm volatile("cpuid" : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx) : "a"(leaf), "c"(0));
  return result;
}

// Device registers: every access happens, once, as written.
inline std::uint32_t mmio_read32(std::uint64_t address) { return *reinterpret_cast<volatile std::uint32_t*>(address); }

inline void mmio_write32(std::uint64_t address, std::uint32_t value) {
  *reinterpret_cast<volatile std::uint32_t*>(address) = value;
}

}  // namespace tintype::guest
