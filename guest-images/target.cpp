// SPDX-License-Identifier: Apache-2.0
//
// A parser with planted bugs, for whoever looks for bugs: it asks to be marked before it reads its input, and to be
// reset when it has. What it says of an input is a bug's number (0: none) and, above eight bits, which of its branches
// it took, so that a fuzzer can tell what is new.
#include "guest-images/runtime/console.h"
#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/options.h"
#include "guest-images/runtime/runtime.h"
#include "tools/harness/tintype_harness.h"

namespace tintype::guest {
namespace {

constexpr std::uint64_t kCapacity = 4096;
alignas(4096) std::uint8_t input[kCapacity];
alignas(8) tintype_request mark_request, reset_request;

void ask(tintype_request& request) {
  request.magic = TINTYPE_REQUEST_MAGIC;
  request.done = 0;
  compiler_barrier();
  out32(TINTYPE_HARNESS_PORT, static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(&request)));
  while (*static_cast<volatile std::uint32_t*>(&request.done) == 0) cpu_relax();
  compiler_barrier();
}

// Returns once for each input.
std::uint64_t next_input() {
  mark_request.command = TINTYPE_COMMAND_MARK;
  mark_request.buffer = reinterpret_cast<std::uintptr_t>(input);
  mark_request.capacity = kCapacity;
  ask(mark_request);
  return mark_request.length;
}

void finish(std::uint64_t result) {
  reset_request.command = TINTYPE_COMMAND_RESET;
  reset_request.result = result;
  ask(reset_request);
}

// "TT", a version, then records: a letter, a length, so many bytes.
class Parser {
 public:
  std::uint64_t parse(std::uint64_t length) {
    length_ = length;
    if (!header()) return path_ << 8;
    while (at_ + 2 <= length_ && bug_ == 0) record();
    return path_ << 8 | bug_;
  }

 private:
  void took(std::uint32_t branch) { path_ |= std::uint64_t{1} << branch; }

  bool header() {
    if (length_ < 3 || input[0] != 'T') return false;
    took(0);
    if (input[1] != 'T') return false;
    took(1);
    if (input[2] != 1) return false;
    took(2);
    at_ = 3;
    return true;
  }

  void record() {
    const std::uint8_t kind = input[at_], size = input[at_ + 1];
    at_ += 2;
    if (at_ + size > length_) return took(3), static_cast<void>(at_ = length_);
    if (kind == 'N') name(size);
    if (kind == 'D') divide(size);
    if (kind == 'L') list(size);
    at_ += size;
  }

  // Planted: the length is believed once there was a list.
  void name(std::uint8_t size) {
    took(4);
    struct {
      std::uint8_t text[8];
      std::uint8_t canary = 0xa5;
    } place;
    const std::uint8_t most = listed_ ? size : 8;
    if (listed_) took(5);
    volatile std::uint8_t* const text = place.text;
    for (std::uint8_t i = 0; i < size && i < most && i < 9; ++i) text[i] = input[at_ + i];
    if (static_cast<volatile std::uint8_t&>(place.canary) != 0xa5) bug_ = 1;
  }

  // Planted: a divisor that is not looked at, behind a small secret.
  void divide(std::uint8_t size) {
    took(6);
    if (size < 2) return;
    took(7);
    if (input[at_] != 0x5a) return;
    took(8);
    if (input[at_ + 1] == 0) bug_ = 2;
  }

  // Planted: a step of nothing goes nowhere, for ever.
  void list(std::uint8_t size) {
    took(9);
    listed_ = true;
    for (std::uint8_t i = 0; i < size;) {
      const volatile std::uint8_t& step = input[at_ + i];
      i = static_cast<std::uint8_t>(i + step);
      if (step > 1) took(10);
    }
  }

  std::uint64_t length_ = 0, at_ = 0, path_ = 0;
  std::uint8_t bug_ = 0;
  bool listed_ = false;
};

// Pages that a real program would write to.
void dirty(std::uint64_t pages) {
  static std::uint8_t scratch[256 * 4096];
  for (std::uint64_t page = 0; page < pages && page < 256; ++page)
    static_cast<volatile std::uint8_t*>(scratch)[page * 4096] = 1;
}

}  // namespace

std::uint8_t kernel_main() {
  const std::uint64_t pages = number_option("pages", 8);
  print("TARGET capacity=", kCapacity, "\n");
  const std::uint64_t length = next_input();
  dirty(pages);
  finish(Parser().parse(length));
  return 1;  // nobody comes back from a reset
}

}  // namespace tintype::guest
