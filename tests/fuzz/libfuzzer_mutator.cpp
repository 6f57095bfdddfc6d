// SPDX-License-Identifier: Apache-2.0
// Lets libFuzzer begin now and then with an input from our generator, so that it need not find out by itself
// how a driver starts a device, or what a checkpoint's file begins with.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/generator.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  if (seed % 16 != 0) return LLVMFuzzerMutate(data, size, max_size);
  std::mt19937_64 random(seed);
  const auto input = tintype::generate_input(random);
  const std::size_t count = std::min(input.size(), max_size);
  std::copy_n(input.begin(), count, data);
  return count;
}
