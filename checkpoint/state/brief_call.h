// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace tintype {

/// Calls `call`, which reads or sets a time, again where it took so long that nobody knows when it did: another program
/// may have had the CPU meanwhile. Returns the middle of the last call.
template <typename Call>
std::chrono::steady_clock::time_point brief_call(Call call) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::microseconds kBrief{100};
  constexpr int kMostCalls = 10;
  for (int calls = 1;; ++calls) {
    const Clock::time_point before = Clock::now();
    call();
    const Clock::duration took = Clock::now() - before;
    if (took < kBrief || calls == kMostCalls) return before + took / 2;
  }
}

}  // namespace tintype
