// SPDX-License-Identifier: Apache-2.0
//
// Changes its page tables after it was marked. A machine that is reset has the page tables of the mark, and no
// translation that was made from others: 'L' looks through two mappings, 'M' makes both lead elsewhere and looks.
// Neither was used before the mark, so what is found is never an old entry of a TLB that was the guest's to flush.
#include "guest-images/runtime/console.h"
#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/layout.h"
#include "guest-images/runtime/runtime.h"
#include "tools/harness/tintype_harness.h"

namespace tintype::guest {
namespace {

constexpr std::uint64_t kSmall = 0x67, kLarge = 0xe7;  // present, writable, user, accessed, dirty; 2 MiB
constexpr std::uint64_t kLargePage = 2 << 20, kOneLarge = 4 * kLargePage, kOtherLarge = 5 * kLargePage;
constexpr std::uint64_t kByLarge = 1 << 30, kBySmall = kByLarge + kLargePage;  // where there is no memory

alignas(4096) std::uint64_t table[512];
alignas(4096) std::uint64_t one[512];
alignas(4096) std::uint64_t other[512];
alignas(4096) std::uint8_t input[4096];
alignas(8) tintype_request mark_request, reset_request;

volatile std::uint64_t& word_at(std::uint64_t address) { return *reinterpret_cast<volatile std::uint64_t*>(address); }
std::uint64_t address_of(const void* thing) { return reinterpret_cast<std::uint64_t>(thing); }
volatile std::uint64_t& entry_of(std::uint64_t address) {
  return word_at(TABLES_PAGE_DIRECTORIES + address / kLargePage * sizeof(std::uint64_t));
}

void ask(tintype_request& request) {
  request.magic = TINTYPE_REQUEST_MAGIC;
  request.done = 0;
  compiler_barrier();
  out32(TINTYPE_HARNESS_PORT, static_cast<std::uint32_t>(address_of(&request)));
  while (*static_cast<volatile std::uint32_t*>(&request.done) == 0) cpu_relax();
  compiler_barrier();
}

void lead_to(std::uint64_t large, const void* small) {
  entry_of(kByLarge) = large | kLarge;
  word_at(address_of(&table[0])) = address_of(small) | kSmall;
}

}  // namespace

std::uint8_t kernel_main() {
  word_at(kOneLarge) = 1;
  word_at(kOtherLarge) = 2;
  word_at(address_of(one)) = 3;
  word_at(address_of(other)) = 4;
  entry_of(kBySmall) = address_of(table) | kSmall;
  lead_to(kOneLarge, one);
  print("REMAP\n");
  mark_request.command = TINTYPE_COMMAND_MARK;
  mark_request.buffer = address_of(input);
  mark_request.capacity = sizeof input;
  ask(mark_request);
  if (input[0] == 'M') lead_to(kOtherLarge, other);
  reset_request.command = TINTYPE_COMMAND_RESET;
  reset_request.result = word_at(kByLarge) * 16 + word_at(kBySmall);
  ask(reset_request);
  return 1;  // nobody comes back from a reset
}

}  // namespace tintype::guest
